#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "comm/communicators.h"
#include "comm/error.h"
#include "comm/mpi_pulse.h"
#include "comm/mpi_session.h"
#include "comm/tensor_rules.h"
#include "comm/ulfm.h"

namespace elbow::comm {
namespace {

// A survivor that only heard of a revocation learns who died a moment later, from its daemon.
constexpr auto kWhoDiedDeadline = std::chrono::milliseconds(500);
// Ranks that die together are heard of within this time of each other.
constexpr auto kQuiet = std::chrono::milliseconds(50);

MPI_Datatype type_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kInt:
      return MPI_INT32_T;
    case at::kLong:
      return MPI_INT64_T;
    default:
      return MPI_UINT8_T;
  }
}

// MPI_MAX leaves open what a NaN does, and then ranks may get different values: here a NaN wins.
template <typename T>
void max_or_nan(const T* in, T* inout, int count) {
  for (int i = 0; i < count; ++i) {
    if (std::isnan(in[i]) || std::isnan(inout[i])) {
      inout[i] = std::numeric_limits<T>::quiet_NaN();
    } else {
      inout[i] = std::max(in[i], inout[i]);
    }
  }
}

void max_or_nan_of_type(void* in, void* inout, int* count, MPI_Datatype* type) {
  if (*type == MPI_FLOAT) {
    max_or_nan(static_cast<const float*>(in), static_cast<float*>(inout), *count);
  } else {
    max_or_nan(static_cast<const double*>(in), static_cast<double*>(inout), *count);
  }
}

MPI_Op max_of(at::ScalarType dtype) {
  if (!at::isFloatingType(dtype)) return MPI_MAX;
  static const MPI_Op op = [] {
    MPI_Op made = MPI_OP_NULL;
    MPI_Op_create(max_or_nan_of_type, /*commute=*/1, &made);
    return made;
  }();
  return op;
}

// A CUDA tensor's bytes on the host for the time of one operation; the tensor itself if it lives
// there.
class OnHost {
 public:
  // Whether the operation reads what the tensor holds.
  enum class Content { kNeeded, kOverwritten };

  OnHost(const at::Tensor& tensor, Content content) : tensor_(tensor.detach()) {
    if (tensor_.is_cpu()) {
      host_ = tensor_;
    } else {
      host_ = content == Content::kNeeded
                  ? tensor_.cpu()
                  : at::empty(tensor_.sizes(), tensor_.options().device(at::kCPU));
    }
  }
  char* bytes() const { return static_cast<char*>(host_.data_ptr()); }
  int64_t byte_count() const { return static_cast<int64_t>(host_.nbytes()); }
  void bring_back() {
    if (!host_.is_same(tensor_)) tensor_.copy_(host_);
  }

 private:
  at::Tensor tensor_;
  at::Tensor host_;
};

class MpiCommunicator final : public Communicator {
 public:
  // Takes over `comm`, unless it is MPI's own world.
  MpiCommunicator(MpiSession& session, MPI_Comm comm, MpiOptions options)
      : session_(session), comm_(comm), options_(options) {
    publish_to(session.heartbeat());
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Group mine = MPI_GROUP_NULL, world = MPI_GROUP_NULL;
    MPI_Comm_group(comm_, &mine);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    std::vector<int> ranks(size_);
    std::iota(ranks.begin(), ranks.end(), 0);
    world_ranks_.resize(size_);
    MPI_Group_translate_ranks(mine, size_, ranks.data(), world, world_ranks_.data());
    MPI_Group_free(&mine);
    MPI_Group_free(&world);
  }

  // Once a peer is lost, in this group or another, nothing is freed: freeing is collective, and
  // dead ranks do not come.
  ~MpiCommunicator() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && usable_ && session_.healthy() && comm_ != MPI_COMM_WORLD)
      MPI_Comm_free(&comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string backend() const override { return "mpi"; }
  std::string host(int rank) const override { return session_.host(world_ranks_.at(rank)); }

  void all_reduce_sum(at::Tensor tensor) override {
    require_reducible(tensor, "all_reduce_sum");
    all_reduce(tensor, MPI_SUM, "all_reduce_sum");
  }

  void all_reduce_max(at::Tensor tensor) override {
    require_reducible(tensor, "all_reduce_max");
    all_reduce(tensor, max_of(tensor.scalar_type()), "all_reduce_max");
  }

  void all_gather(const at::Tensor& input, at::Tensor output,
                  std::span<const int64_t> counts) override {
    require_gatherable(input, output, counts, rank_, size_);
    require_usable("all_gather");
    const Waiting waiting(*this);
    const OnHost source(input, OnHost::Content::kNeeded);
    OnHost target(output, OnHost::Content::kOverwritten);
    const int64_t row_bytes = row_size(output);
    if (target.byte_count() <= options_.chunk_bytes) {
      gather_at_once(source, target, counts, row_bytes);
    } else {
      gather_rank_by_rank(source, target, counts, row_bytes);
    }
    target.bring_back();
  }

  void broadcast(at::Tensor tensor, int root) override {
    require_contiguous(tensor, "broadcast");
    require_root(root, size_);
    require_usable("broadcast");
    const Waiting waiting(*this);
    OnHost host(tensor, rank_ == root ? OnHost::Content::kNeeded : OnHost::Content::kOverwritten);
    broadcast_bytes(host.bytes(), host.byte_count(), root, "broadcast");
    if (rank_ != root) host.bring_back();
  }

  void barrier() override {
    require_usable("barrier");
    const Waiting waiting(*this);
    check(MPI_Barrier(comm_), "barrier");
  }

  void wait() override {}

  std::unique_ptr<Communicator> split(int color, int key) override {
    require_color(color);
    require_usable("split");
    return derive("split", [&](MPI_Comm* part) { return MPI_Comm_split(comm_, color, key, part); });
  }

  bool agree(bool yes) override {
    if (!session_.fault_tolerant()) return Communicator::agree(yes);
    const Waiting waiting(*this);
    return all_say(yes);
  }

  int lost_rank() override {
    if (!session_.fault_tolerant()) return -1;
    const MpiPulse::Quiet quiet;
    int arrived = 0;  // a probe lets MPI take note of what happened
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &arrived, MPI_STATUS_IGNORE);
    const auto failed = ulfm::failed_ranks(comm_);
    return failed.empty() ? -1 : *std::ranges::min_element(failed);
  }

  std::unique_ptr<Communicator> duplicate() {
    return derive("duplicate", [&](MPI_Comm* copy) { return MPI_Comm_dup(comm_, copy); });
  }

  std::unique_ptr<Communicator> shrink() override {
    if (!session_.fault_tolerant()) {
      require_usable("shrink");
      return duplicate();
    }
    const Waiting waiting(*this);
    ulfm::revoke(comm_);
    usable_ = false;
    session_.note_lost_peer();
    let_news_arrive();
    // A survivor may be in agree(), where only another agreement reaches it.
    if (!refused_) all_say(false);
    // Again when one more rank dies meanwhile; each time there is one rank less.
    for (int attempt = 0; attempt < size_; ++attempt) {
      MPI_Comm survivors = MPI_COMM_NULL;
      const int code = ulfm::shrink(comm_, &survivors);
      if (ulfm::agree(comm_, code == MPI_SUCCESS)) return wrap(survivors);
    }
    throw Error(fmt::format("shrink failed {} times on rank {} on {}", size_, rank_, host(rank_)));
  }

 private:
  // Held in operations, which may have to wait for others.
  struct Waiting : Communicator::Waiting {
    using Communicator::Waiting::Waiting;
    MpiPulse::Quiet quiet;
  };

  std::unique_ptr<Communicator> wrap(MPI_Comm comm) {
    return std::make_unique<MpiCommunicator>(session_, comm, options_);
  }

  // Makes a communicator out of this one on all ranks or on none, and returns after every rank has
  // made it: Open MPI 5.0 crashes when the revocation of a communicator reaches a rank that is
  // still making it.
  std::unique_ptr<Communicator> derive(const char* operation, auto make) {
    const Waiting waiting(*this);
    MPI_Comm made = MPI_COMM_NULL;
    const int code = make(&made);
    if (session_.fault_tolerant()) {
      if (code != MPI_SUCCESS) ulfm::revoke(comm_);  // frees whoever waits for this rank
      const bool all_have_it = all_say(code == MPI_SUCCESS);
      if (code == MPI_SUCCESS && !all_have_it) throw_peer_lost(operation);
    }
    check(code, operation);
    return wrap(made);
  }

  // After a no, every rank goes on with shrink().
  bool all_say(bool yes) {
    const bool all = ulfm::agree(comm_, yes);
    refused_ = refused_ || !all;
    return all;
  }

  void all_reduce(const at::Tensor& tensor, MPI_Op op, const char* name) {
    require_usable(name);
    const Waiting waiting(*this);
    OnHost host(tensor, OnHost::Content::kNeeded);
    const MPI_Datatype type = type_of(tensor.scalar_type());
    const int64_t item = tensor.element_size();
    const int64_t chunk = std::max<int64_t>(1, options_.chunk_bytes / item);
    for (int64_t first = 0; first < tensor.numel(); first += chunk) {
      const int count = static_cast<int>(std::min(chunk, tensor.numel() - first));
      check(MPI_Allreduce(MPI_IN_PLACE, host.bytes() + first * item, count, type, op, comm_), name);
    }
    host.bring_back();
  }

  static int64_t row_size(const at::Tensor& tensor) {
    int64_t bytes = tensor.element_size();
    for (const int64_t extent : tensor.sizes().slice(1)) bytes *= extent;
    return bytes;
  }

  void gather_at_once(const OnHost& source, OnHost& target, std::span<const int64_t> counts,
                      int64_t row_bytes) {
    std::vector<int> bytes(size_), offsets(size_);
    int offset = 0;
    for (int rank = 0; rank < size_; ++rank) {
      bytes[rank] = static_cast<int>(counts[rank] * row_bytes);
      offsets[rank] = offset;
      offset += bytes[rank];
    }
    check(MPI_Allgatherv(source.bytes(), bytes[rank_], MPI_BYTE, target.bytes(), bytes.data(),
                         offsets.data(), MPI_BYTE, comm_),
          "all_gather");
  }

  // MPI counts in int, so what does not fit goes in several pieces.
  void gather_rank_by_rank(const OnHost& source, OnHost& target, std::span<const int64_t> counts,
                           int64_t row_bytes) {
    char* place = target.bytes();
    for (int rank = 0; rank < size_; ++rank) {
      const int64_t bytes = counts[rank] * row_bytes;
      if (rank == rank_) std::copy_n(source.bytes(), bytes, place);
      broadcast_bytes(place, bytes, rank, "all_gather");
      place += bytes;
    }
  }

  void broadcast_bytes(char* data, int64_t bytes, int root, const char* name) {
    for (int64_t first = 0; first < bytes; first += options_.chunk_bytes) {
      const int count = static_cast<int>(std::min(options_.chunk_bytes, bytes - first));
      check(MPI_Bcast(data + first, count, MPI_BYTE, root, comm_), name);
    }
  }

  void require_usable(const char* operation) const {
    if (usable_) return;
    throw Error(
        fmt::format("{} was called on rank {} on {} after a peer was lost; call shrink() first",
                    operation, rank_, host(rank_)));
  }

  void check(int code, const char* operation) {
    if (code == MPI_SUCCESS) return;
    if (tells_of_a_loss(code)) throw_peer_lost(operation);
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw Error(fmt::format("{} failed on rank {} on {} in phase '{}' at step {}: {}", operation,
                            rank_, host(rank_), phase(), step(), text));
  }

  // A broken connection to a dying peer is, now and then, some other error before the death is
  // known.
  bool tells_of_a_loss(int code) {
    return ulfm::is_loss(code) || (session_.fault_tolerant() && who_died() >= 0);
  }

  // Revokes first, so that survivors which wait for this rank, and not for the dead one, leave as
  // well.
  [[noreturn]] void throw_peer_lost(const char* operation) {
    usable_ = false;
    session_.note_lost_peer();
    ulfm::revoke(comm_);
    const int rank = who_died();
    throw PeerLost(rank, rank < 0 ? "" : host(rank), step(), phase(), operation);
  }

  // Open MPI 5.0 crashes where it hears of a death while it makes a communicator (its half-made one
  // has no place for the news), so what has happened already must be known before.
  void let_news_arrive() {
    size_t known = 0;
    auto quiet_since = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - quiet_since < kQuiet) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      lost_rank();
      const size_t now = ulfm::failed_ranks(comm_).size();
      if (now != known) quiet_since = std::chrono::steady_clock::now();
      known = now;
    }
  }

  int who_died() {
    const auto deadline = std::chrono::steady_clock::now() + kWhoDiedDeadline;
    while (true) {
      const int rank = lost_rank();
      if (rank >= 0 || std::chrono::steady_clock::now() > deadline) return rank;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  MpiSession& session_;
  MPI_Comm comm_;
  MpiOptions options_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<int> world_ranks_;  // per rank of this group
  bool usable_ = true;            // false once a peer was lost, and after shrink()
  bool refused_ = false;          // an agreement ended with no, on all ranks
};

}  // namespace

std::unique_ptr<Communicator> make_mpi(MpiSession& session, MpiOptions options) {
  MpiCommunicator world(session, MPI_COMM_WORLD, options);
  return world.duplicate();
}

}  // namespace elbow::comm
