#include "trainer/healing.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

#include "comm/error.h"

namespace elbow::trainer {
namespace {

// Every rank's `mine`, in rank order.
std::vector<int64_t> gather_numbers(comm::Communicator& ranks, std::span<const int64_t> mine) {
  const auto columns = static_cast<int64_t>(mine.size());
  auto own = at::empty({1, columns}, at::kLong);
  std::ranges::copy(mine, own.mutable_data_ptr<int64_t>());
  auto all = at::full({ranks.size(), columns}, -1, at::kLong);
  ranks.all_gather(own, all, std::vector<int64_t>(ranks.size(), 1));
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + all.numel()};
}

}  // namespace

int newest_rank(comm::Communicator& ranks, const Standing& mine) {
  const auto numbers = gather_numbers(
      ranks, std::array<int64_t, 4>{mine.rollbacks, mine.step, mine.epochs_done, mine.trained});
  std::vector<Standing> standings;
  for (size_t i = 0; i < numbers.size(); i += 4)
    standings.push_back({numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3] != 0});
  const auto [oldest, newest] = std::ranges::minmax_element(standings);
  if (*oldest == *newest) return -1;
  return static_cast<int>(std::ranges::find(standings, *newest) - standings.begin());
}

uint64_t digest_of(const Checkpoint& state, const at::Tensor& trace) {
  const auto text = state_text(state);
  uint64_t digest = XXH3_64bits(text.data(), text.size());
  const auto add = [&](const at::Tensor& tensor) {
    digest = XXH3_64bits_withSeed(tensor.const_data_ptr(), tensor.nbytes(), digest);
  };
  for (const auto& row : state.snapshot.rows) {
    add(row.parameters);
    add(row.state);
  }
  add(trace);
  return digest;
}

void require_same(comm::Communicator& ranks, uint64_t digest) {
  const auto all = gather_numbers(ranks, std::array{static_cast<int64_t>(digest)});
  if (std::ranges::all_of(all, [&](int64_t other) { return other == all[0]; })) return;
  throw comm::PeerLost(-1, "", ranks.step(), ranks.phase(), "sending the newest state");
}

Members::Members(comm::Communicator& ranks) : own_(ranks.rank()), numbers_(ranks.size()) {
  std::iota(numbers_.begin(), numbers_.end(), 0);
  for (int rank = 0; rank < ranks.size(); ++rank) hosts_.push_back(ranks.host(rank));
}

std::vector<std::string> Members::reduce_to(comm::Communicator& survivors) {
  auto left = gather_numbers(survivors, std::array<int64_t, 1>{own_});
  std::ranges::sort(left);
  std::vector<std::string> lost;
  for (const int64_t number : numbers_) {
    if (!std::ranges::binary_search(left, number))
      lost.push_back(fmt::format("rank {} on {}", number, hosts_[number]));
  }
  numbers_ = std::move(left);
  return lost;
}

}  // namespace elbow::trainer
