#include "tests/support/communicator_contract.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "comm/error.h"
#include "comm/text.h"

namespace elbow::tests {
namespace {

using comm::Communicator;

constexpr at::ScalarType kReducible[] = {at::kFloat, at::kDouble, at::kInt, at::kLong, at::kByte};

// A value that differs between ranks; the sum over 4 ranks fits into a byte.
at::Tensor ramp(int64_t count, int rank, at::ScalarType dtype, at::Device device) {
  return (at::arange(count, at::kLong).remainder(7) * (rank + 1)).to(dtype).to(device);
}

// Values whose sum depends on the order of the additions.
at::Tensor inexact(int64_t count, int rank) {
  const auto index = at::arange(count, at::kDouble);
  return (at::sin(index * 12.9898 + rank * 78.233) * 43758.5453).to(at::kFloat);
}

std::vector<int64_t> uneven_counts(int size) {
  std::vector<int64_t> counts;  // 0, 3, 0, 9, ...
  for (int rank = 0; rank < size; ++rank) counts.push_back(rank % 2 == 0 ? 0 : 3 * rank);
  return counts;
}

int64_t total(const std::vector<int64_t>& counts) {
  int64_t sum = 0;
  for (const int64_t count : counts) sum += count;
  return sum;
}

void knows_its_place(Communicator& ranks, at::Device) {
  EXPECT_GE(ranks.size(), 1);
  EXPECT_GE(ranks.rank(), 0);
  EXPECT_LT(ranks.rank(), ranks.size());
  EXPECT_EQ(ranks.lost_rank(), -1);
  for (int rank = 0; rank < ranks.size(); ++rank) EXPECT_FALSE(ranks.host(rank).empty());
}

void adds_every_dtype(Communicator& ranks, at::Device device) {
  for (const auto dtype : kReducible) {
    for (const int64_t count : {int64_t{1}, int64_t{5}, int64_t{100'003}}) {
      auto tensor = ramp(count, ranks.rank(), dtype, device);
      ranks.all_reduce_sum(tensor);
      ranks.wait();
      auto expected = at::zeros({count}, dtype);
      for (int rank = 0; rank < ranks.size(); ++rank)
        expected += ramp(count, rank, dtype, at::kCPU);
      EXPECT_TRUE(at::equal(tensor.cpu(), expected)) << c10::toString(dtype) << " " << count;
    }
  }
}

void sums_have_the_same_bits_on_every_rank(Communicator& ranks, at::Device device) {
  for (const int64_t count : {int64_t{3}, int64_t{1'000}, int64_t{300'001}}) {
    auto tensor = inexact(count, ranks.rank()).to(device);
    ranks.all_reduce_sum(tensor);
    auto all = at::empty({ranks.size(), count}, tensor.options());
    ranks.all_gather(tensor.unsqueeze(0), all, std::vector<int64_t>(ranks.size(), 1));
    ranks.wait();
    const auto mine = tensor.cpu();
    for (int rank = 0; rank < ranks.size(); ++rank) EXPECT_TRUE(at::equal(all[rank].cpu(), mine));
  }
}

void takes_the_maximum_of_every_dtype(Communicator& ranks, at::Device device) {
  for (const auto dtype : kReducible) {
    auto tensor = at::zeros({4}, dtype);
    tensor[1] = ranks.rank();
    tensor[2] = ranks.size() - ranks.rank();
    if (dtype != at::kByte) tensor[3] = -1 - ranks.rank();
    tensor = tensor.to(device);
    ranks.all_reduce_max(tensor);
    ranks.wait();
    auto expected = at::zeros({4}, dtype);
    expected[1] = ranks.size() - 1;
    expected[2] = ranks.size();
    if (dtype != at::kByte) expected[3] = -1;
    EXPECT_TRUE(at::equal(tensor.cpu(), expected)) << c10::toString(dtype);
  }
}

void a_nan_is_the_maximum_on_every_rank(Communicator& ranks, at::Device device) {
  if (device.is_cuda()) return;  // NCCL leaves it open
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    for (int source = 0; source < ranks.size(); ++source) {
      auto tensor = at::full({3}, 1.0 + ranks.rank(), dtype);
      if (ranks.rank() == source) tensor[1] = std::numeric_limits<double>::quiet_NaN();
      ranks.all_reduce_max(tensor);
      EXPECT_EQ(tensor[0].item<double>(), ranks.size());
      EXPECT_TRUE(std::isnan(tensor[1].item<double>()));
    }
  }
}

void gathers_in_rank_order(Communicator& ranks, at::Device device) {
  const auto mine = at::full({2, 3}, ranks.rank(), at::dtype(at::kFloat).device(device));
  auto all = at::empty({2 * ranks.size(), 3}, mine.options());
  ranks.all_gather(mine, all, std::vector<int64_t>(ranks.size(), 2));
  ranks.wait();
  for (int rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_TRUE(at::equal(all.narrow(0, 2 * rank, 2).cpu(), at::full({2, 3}, rank, at::kFloat)));
  }
}

void gathers_uneven_and_empty_parts(Communicator& ranks, at::Device device) {
  const auto counts = uneven_counts(ranks.size());
  const auto part = [&](int rank) {
    return (at::arange(counts[rank] * 2, at::kLong) + 1000 * rank).view({counts[rank], 2});
  };
  auto all = at::empty({total(counts), 2}, at::dtype(at::kLong).device(device));
  ranks.all_gather(part(ranks.rank()).to(device), all, counts);
  ranks.wait();
  int64_t first = 0;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_TRUE(at::equal(all.narrow(0, first, counts[rank]).cpu(), part(rank)));
    first += counts[rank];
  }
}

void gathers_any_dtype_bit_for_bit(Communicator& ranks, at::Device device) {
  // Bits of NaNs with payloads, as the 2-byte type that carries them.
  const auto bits = at::arange(8, at::kInt).add(0x7FC1 + 16 * ranks.rank()).to(at::kShort);
  for (const auto dtype : {at::kBFloat16, at::kHalf, at::kShort}) {
    const auto mine = bits.view(dtype).to(device);
    auto all = at::empty({8 * ranks.size()}, mine.options());
    ranks.all_gather(mine, all, std::vector<int64_t>(ranks.size(), 8));
    ranks.wait();
    for (int rank = 0; rank < ranks.size(); ++rank) {
      const auto expected = at::arange(8, at::kInt).add(0x7FC1 + 16 * rank).to(at::kShort);
      EXPECT_TRUE(at::equal(all.narrow(0, 8 * rank, 8).cpu().view(at::kShort), expected));
    }
  }
}

void broadcasts_from_every_root(Communicator& ranks, at::Device device) {
  for (const auto dtype : {at::kFloat, at::kBool, at::kBFloat16}) {
    for (int root = 0; root < ranks.size(); ++root) {
      auto tensor =
          at::full({70'001}, ranks.rank() == root ? 1 : 0, at::dtype(dtype).device(device));
      ranks.broadcast(tensor, root);
      ranks.wait();
      EXPECT_TRUE(at::equal(tensor.cpu(), at::ones({70'001}, dtype)));
    }
  }
}

void accepts_empty_tensors(Communicator& ranks, at::Device device) {
  auto empty = at::empty({0}, at::dtype(at::kFloat).device(device));
  ranks.all_reduce_sum(empty);
  ranks.all_reduce_max(empty);
  ranks.broadcast(empty, 0);
  ranks.all_gather(empty, empty, std::vector<int64_t>(ranks.size(), 0));
  ranks.barrier();
  ranks.wait();
}

void moves_texts(Communicator& ranks, at::Device) {
  const std::string text("a\0b\n\xff", 5);
  for (int root = 0; root < ranks.size(); ++root) {
    EXPECT_EQ(comm::broadcast_text(ranks, ranks.rank() == root ? text : "other", root), text);
    EXPECT_EQ(comm::broadcast_text(ranks, ranks.rank() == root ? "" : "other", root), "");
  }
  const auto all = comm::gather_texts(ranks, std::string(3 * ranks.rank(), 'x'));
  ASSERT_EQ(std::ssize(all), ranks.size());
  for (int rank = 0; rank < ranks.size(); ++rank) EXPECT_EQ(all[rank], std::string(3 * rank, 'x'));
}

void splits_by_color_and_key(Communicator& ranks, at::Device device) {
  const int color = ranks.rank() % 2;
  const auto half = ranks.split(color, /*key=*/-ranks.rank());
  const int expected_size = (ranks.size() + 1 - color) / 2;
  EXPECT_EQ(half->size(), expected_size);
  EXPECT_EQ(half->rank(), expected_size - 1 - ranks.rank() / 2);  // reversed
  EXPECT_EQ(half->host(half->rank()), ranks.host(ranks.rank()));

  auto sum = at::full({1}, ranks.rank(), at::dtype(at::kLong).device(device));
  half->all_reduce_sum(sum);
  half->wait();
  int64_t expected = 0;
  for (int rank = color; rank < ranks.size(); rank += 2) expected += rank;
  EXPECT_EQ(sum.cpu().item<int64_t>(), expected);
  ranks.barrier();  // the parent stays usable
}

void communicators_are_independent(Communicator& ranks, at::Device device) {
  if (device.is_cuda() && ranks.size() > 1)
    return;  // NCCL may deadlock if ranks launch in different orders
  const auto first = ranks.split(0, 0), second = ranks.split(0, 0);
  const auto work = [&](Communicator& own, int64_t value) {
    for (int i = 0; i < 200; ++i) {
      auto sum = at::full({17}, value, at::dtype(at::kLong).device(device));
      own.all_reduce_sum(sum);
      own.wait();
      ASSERT_TRUE(at::equal(sum.cpu(), at::full({17}, value * own.size(), at::kLong)));
    }
  };
  std::jthread other([&] { work(*second, 3); });
  work(*first, 5);
}

void shrinks_to_a_copy_when_nobody_is_lost(Communicator& ranks, at::Device device) {
  const auto old = ranks.split(0, ranks.rank());
  const auto survivors = old->shrink();
  EXPECT_EQ(survivors->size(), ranks.size());
  EXPECT_EQ(survivors->rank(), ranks.rank());
  auto sum = at::ones({3}, at::dtype(at::kDouble).device(device));
  survivors->all_reduce_sum(sum);
  survivors->wait();
  EXPECT_TRUE(at::equal(sum.cpu(), at::full({3}, survivors->size(), at::kDouble)));
}

void refuses_what_it_cannot_do(Communicator& ranks, at::Device device) {
  const auto options = at::dtype(at::kFloat).device(device);
  EXPECT_THROW(ranks.all_reduce_sum(at::zeros({4, 4}, options).t()), comm::Error);
  EXPECT_THROW(ranks.all_reduce_sum(at::zeros({4}, at::kHalf)), comm::Error);
  EXPECT_THROW(ranks.all_reduce_max(at::Tensor()), comm::Error);
  EXPECT_THROW(ranks.broadcast(at::zeros({1}, options), ranks.size()), comm::Error);
  EXPECT_THROW(ranks.broadcast(at::zeros({1}, options), -1), comm::Error);
  EXPECT_THROW(ranks.split(-1, 0), comm::Error);
  const std::vector<int64_t> ones(ranks.size(), 1);
  const auto one = at::zeros({1}, options);
  EXPECT_THROW(ranks.all_gather(one, at::zeros({ranks.size() + 1}, options), ones), comm::Error);
  EXPECT_THROW(ranks.all_gather(at::zeros({2}, options), at::zeros({ranks.size()}, options), ones),
               comm::Error);
  EXPECT_THROW(ranks.all_gather(one, at::zeros({ranks.size()}, at::kInt), ones), comm::Error);
  EXPECT_THROW(ranks.all_gather(one, at::zeros({ranks.size()}, options), {}), comm::Error);
  ranks.barrier();
}

}  // namespace

const std::vector<ContractCase>& communicator_contract() {
  static const std::vector<ContractCase> cases = {
      {"KnowsItsPlace", knows_its_place},
      {"AddsEveryDtype", adds_every_dtype},
      {"SumsHaveTheSameBitsOnEveryRank", sums_have_the_same_bits_on_every_rank},
      {"TakesTheMaximumOfEveryDtype", takes_the_maximum_of_every_dtype},
      {"ANanIsTheMaximumOnEveryRank", a_nan_is_the_maximum_on_every_rank},
      {"GathersInRankOrder", gathers_in_rank_order},
      {"GathersUnevenAndEmptyParts", gathers_uneven_and_empty_parts},
      {"GathersAnyDtypeBitForBit", gathers_any_dtype_bit_for_bit},
      {"BroadcastsFromEveryRoot", broadcasts_from_every_root},
      {"AcceptsEmptyTensors", accepts_empty_tensors},
      {"MovesTexts", moves_texts},
      {"SplitsByColorAndKey", splits_by_color_and_key},
      {"CommunicatorsAreIndependent", communicators_are_independent},
      {"ShrinksToACopyWhenNobodyIsLost", shrinks_to_a_copy_when_nobody_is_lost},
      {"RefusesWhatItCannotDo", refuses_what_it_cannot_do},
  };
  return cases;
}

}  // namespace elbow::tests
