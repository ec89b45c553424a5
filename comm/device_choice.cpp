#include "comm/device_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "comm/cuda_library.h"
#include "comm/error.h"
#include "comm/text.h"

namespace elbow::comm {
namespace {

// Gives each rank a GPU that no other rank has, as far as there are enough (bipartite matching by
// augmenting paths).
class GpuMatching {
 public:
  explicit GpuMatching(const std::vector<RankDevices>& ranks)
      : ranks_(ranks), device_(ranks.size(), -1) {
    for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) {
      std::map<std::string, bool> tried;
      place(rank, tried);
    }
  }

  const std::vector<int>& device() const { return device_; }  // per rank: index, or -1

 private:
  bool place(int rank, std::map<std::string, bool>& tried) {
    const auto& uuids = ranks_[rank].gpu_uuids;
    for (int index = 0; index < static_cast<int>(uuids.size()); ++index) {
      const std::string gpu = ranks_[rank].host + "/" + uuids[index];
      if (std::exchange(tried[gpu], true)) continue;
      const auto owner = owner_.find(gpu);
      if (owner != owner_.end() && !place(owner->second, tried)) continue;
      owner_[gpu] = rank;
      device_[rank] = index;
      return true;
    }
    return false;
  }

  const std::vector<RankDevices>& ranks_;
  std::vector<int> device_;
  std::map<std::string, int> owner_;
};

// The ranks that got none take the least loaded GPU that they see.
void share(const std::vector<RankDevices>& ranks, std::vector<int>& device) {
  std::map<std::string, int> load;
  const auto name = [&](size_t rank, int index) {
    return ranks[rank].host + "/" + ranks[rank].gpu_uuids[index];
  };
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (device[rank] >= 0) ++load[name(rank, device[rank])];
  }
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (device[rank] >= 0) continue;
    device[rank] = 0;
    for (int index = 1; index < static_cast<int>(ranks[rank].gpu_uuids.size()); ++index) {
      if (load[name(rank, index)] < load[name(rank, device[rank])]) device[rank] = index;
    }
    ++load[name(rank, device[rank])];
  }
}

std::string why_not(const std::vector<RankDevices>& ranks) {
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (!ranks[rank].gpu_uuids.empty()) continue;
    const std::string& reason = ranks[rank].reason;
    return fmt::format("rank {} on {} sees no GPU{}{}", rank, ranks[rank].host,
                       reason.empty() ? "" : ": ", reason);
  }
  return "";
}

RankDevices seen_by_this_rank(const std::string& host) {
  const CudaLibrary& library = cuda_library();
  if (library.functions == nullptr) return {.host = host, .reason = library.reason};
  auto uuids = library.functions->gpu_uuids();
  const std::string reason = uuids.empty() ? "the driver shows none to this process" : "";
  return {.host = host, .gpu_uuids = std::move(uuids), .reason = reason};
}

// The reason on the first line, then a UUID a line.
std::string packed(const RankDevices& seen) {
  std::string reason = seen.reason;
  std::ranges::replace(reason, '\n', ' ');
  std::string text = reason + "\n";
  for (const auto& uuid : seen.gpu_uuids) text += uuid + "\n";
  return text;
}

RankDevices unpacked(const std::string& host, const std::string& text) {
  RankDevices seen{.host = host};
  std::istringstream lines(text);
  std::getline(lines, seen.reason);
  for (std::string uuid; std::getline(lines, uuid);) seen.gpu_uuids.push_back(uuid);
  return seen;
}

}  // namespace

Decision choose(const std::vector<RankDevices>& ranks, DeviceRequest request) {
  Decision decision{.device = std::vector<int>(ranks.size(), -1)};
  if (request == DeviceRequest::kCpu) {
    decision.why = "the CPU was asked for";
    return decision;
  }
  if (const std::string reason = why_not(ranks); !reason.empty()) {
    if (request == DeviceRequest::kCuda) {
      throw NoDevice(
          fmt::format("train.device=cuda cannot be: {}; use train.device=auto or cpu", reason));
    }
    decision.why = fmt::format("all ranks compute on the CPU: {}", reason);
    return decision;
  }
  decision.device = GpuMatching(ranks).device();
  const auto alone = std::ranges::find(decision.device, -1);
  if (alone == decision.device.end()) {
    decision.nccl = ranks.size() > 1;
    decision.why = decision.nccl ? "every rank has a GPU of its own, so tensors move with NCCL"
                                 : "one rank computes on one GPU";
    return decision;
  }
  const auto rank = alone - decision.device.begin();
  share(ranks, decision.device);
  decision.why = fmt::format(
      "rank {} on {} shares its GPU with another rank, so tensors move through the host over MPI",
      rank, ranks[rank].host);
  return decision;
}

Decision choose_together(Communicator& ranks, DeviceRequest request) {
  const RankDevices mine =
      request == DeviceRequest::kCpu ? RankDevices{} : seen_by_this_rank(ranks.host(ranks.rank()));
  const auto texts = gather_texts(ranks, packed(mine));
  std::vector<RankDevices> seen;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    seen.push_back(unpacked(ranks.host(rank), texts[rank]));
  }
  return choose(seen, request);
}

}  // namespace elbow::comm
