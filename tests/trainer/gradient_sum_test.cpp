#include "trainer/gradient_sum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <thread>

#include "comm/communicators.h"
#include "models/ordered_products.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

using namespace std::chrono_literals;
using tests::spawn_ranks;

const SumShape kShape{.rows = 2, .parameters = 32, .numbers = 3};
constexpr int64_t kExamples = 103;

// Contribution of examples [begin, end): sums of numbers that do not add exactly, so that another
// order gives other bits.
void contribute(const Range& range, Summand& place) {
  place.gradient.zero_();
  place.sums.zero_();
  for (int64_t i = range.begin; i < range.end; ++i) {
    at::manual_seed(static_cast<uint64_t>(i));
    place.gradient.add_(at::randn({kShape.rows, kShape.parameters}));
    place.sums.add_(1.0 / (3.0 + static_cast<double>(i)));
  }
}

struct Outcome {
  at::Tensor gradient, sums, statistics;
  bool operator==(const Outcome& other) const {
    return at::equal(gradient, other.gradient) && at::equal(sums, other.sums) &&
           at::equal(statistics, other.statistics);
  }
};

Outcome add_all(GradientSum& sum) {
  std::vector<at::Tensor> statistics;
  for (int64_t i = 0; i < sum.slices(); ++i) {
    contribute(sum.slice(i, kExamples), sum.place(i));
    statistics.push_back(sum.place(i).sums.clone());
  }
  const auto added = sum.add_statistics(statistics);
  const auto& total = sum.add();
  return {total.gradient.clone(), total.sums.clone(), added};
}

enum class Way { kMessages, kSharedMemory };

Outcome exact_on(int size, int64_t leaves, int64_t threads, Way way = Way::kMessages) {
  Outcome first;
  std::mutex lock;
  static std::mutex random;  // contribute() uses ATen's global generator
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(threads);
    auto sum = way == Way::kMessages ? make_exact_sum(ranks, team, kShape, leaves)
                                     : make_host_sum(ranks, team, kShape, leaves);
    std::vector<at::Tensor> statistics;
    for (int64_t i = 0; i < sum->slices(); ++i) {
      const std::lock_guard guard(random);
      contribute(sum->slice(i, kExamples), sum->place(i));
      statistics.push_back(sum->place(i).sums.clone());
    }
    const auto added = sum->add_statistics(statistics);
    const auto& total = sum->add();
    const Outcome mine{total.gradient.clone(), total.sums.clone(), added};
    const std::lock_guard guard(lock);
    if (!first.gradient.defined()) first = mine;
    EXPECT_TRUE(first == mine) << "rank " << ranks.rank() << " of " << size;
  });
  return first;
}

TEST(GradientSum, ExactGivesTheSameBitsOnAnyNumberOfRanksAndThreads) {
  for (int64_t leaves : {8, 16}) {
    const auto expected = exact_on(1, leaves, 1);
    EXPECT_NEAR(expected.sums[0][0].item<double>(), expected.statistics[0][0].item<double>(), 0);
    for (int size : {1, 2, 3, 4, 5, 7, 8}) {
      EXPECT_TRUE(exact_on(size, leaves, 1) == expected)
          << size << " ranks, " << leaves << " leaves";
    }
    EXPECT_TRUE(exact_on(3, leaves, 2) == expected);
  }
}

TEST(GradientSum, SharedMemoryGivesTheBitsOfMessages) {
  for (int64_t leaves : {8, 16}) {
    const auto expected = exact_on(1, leaves, 1);
    for (int size : {1, 2, 3, 5, 8}) {
      for (int64_t threads : {1, 2}) {
        EXPECT_TRUE(exact_on(size, leaves, threads, Way::kSharedMemory) == expected) << size;
      }
    }
  }
}

// Every column goes to one rank; what one rank finds bad is bad on all.
TEST(GradientSum, TheSharedOutSumIsTheWholeOne) {
  const auto expected = exact_on(1, 8, 1);
  for (int size : {2, 3}) {
    auto seen = at::zeros({kShape.rows * kShape.parameters});
    std::mutex lock;
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(2);
      auto sum = make_host_sum(ranks, team, kShape, 8);
      for (int64_t i = 0; i < sum->slices(); ++i) {
        const std::lock_guard guard(lock);
        contribute(sum->slice(i, kExamples), sum->place(i));
      }
      const auto whole = sum->add_columns([&](const Range& columns, const float* gradient) {
        const std::lock_guard guard(lock);
        for (int64_t i = 0; i < columns.size(); ++i) seen[columns.begin + i] += gradient[i];
        return true;
      });
      EXPECT_TRUE(whole.good);
      EXPECT_TRUE(at::equal(whole.sums, expected.sums));
      for (int round = 0; round < 20; ++round) {
        const bool bad = round % 3 == 0;
        const auto again = sum->add_columns(
            [&](const Range& columns, const float*) { return !bad || columns.begin > 0; });
        EXPECT_EQ(again.good, !bad) << "rank " << ranks.rank() << ", round " << round;
      }
    });
    EXPECT_TRUE(at::equal(seen, expected.gradient.flatten())) << size << " ranks";
  }
}

// A rank that is done adds the columns that the others have written so far: here rank 1 writes the
// first half of its columns only when it has seen rank 0 at the second.
TEST(GradientSum, WhoIsDoneEarlyAddsWhatIsThere) {
  const int64_t columns = kShape.rows * kShape.parameters;
  for (const int64_t leaves : {0, 8}) {
    const auto expected = exact_on(1, 8, 1);
    std::atomic<int> visits{0};
    auto seen = at::zeros({columns});
    std::mutex lock;
    spawn_ranks(2, [&](comm::Communicator& ranks) {
      ThreadTeam team(1);
      const auto sum = make_host_sum(ranks, team, kShape, leaves);
      for (int64_t i = 0; i < sum->slices(); ++i) {
        const std::lock_guard guard(lock);
        contribute(sum->slice(i, kExamples), sum->place(i));
      }
      for (int round = 1; round <= 3; ++round) {
        if (ranks.rank() == 1) {
          std::vector<at::Tensor> written;
          for (int64_t i = 0; i < sum->slices(); ++i) {
            auto first = sum->place(i).gradient.flatten().narrow(0, 0, columns / 2);
            written.push_back(first.clone());
            first.fill_(std::numeric_limits<float>::quiet_NaN());
            sum->written_from({i, i + 1}, columns / 2);
          }
          const auto begun = std::chrono::steady_clock::now();
          while (visits < round && std::chrono::steady_clock::now() - begun < 20s)
            std::this_thread::yield();
          EXPECT_GE(visits, round) << "rank 0 waits for the whole";
          // Time for rank 0 to read what is not there, if it did.
          for (int i = 0; i < 1000; ++i) std::this_thread::yield();
          for (int64_t i = 0; i < sum->slices(); ++i)
            sum->place(i).gradient.flatten().narrow(0, 0, columns / 2).copy_(written[i]);
        }
        std::atomic<bool> first{true};
        const auto whole = sum->add_columns([&](const Range& range, const float* gradient) {
          if (ranks.rank() == 0 && first.exchange(false)) ++visits;
          const std::lock_guard guard(lock);
          for (int64_t i = 0; i < range.size(); ++i) seen[range.begin + i] += gradient[i] / 4;
          return true;
        });
        EXPECT_TRUE(at::allclose(whole.sums, expected.sums, 1e-12, 0));
      }
    });
    EXPECT_TRUE(at::allclose(seen, 0.75 * expected.gradient.flatten(), 1e-4, 1e-4)) << leaves;
  }
}

// Where a caller has added up the gradients of its leaves, the others' bits do not change; ranks
// need not agree on who does.
TEST(GradientSum, ASubtreeMayStandForItsLeaves) {
  const auto expected = exact_on(1, 8, 1);
  for (const bool all : {true, false}) {
    for (int size : {1, 2, 4, 8}) {
      for (const auto way : {Way::kMessages, Way::kSharedMemory}) {
        std::mutex lock;
        spawn_ranks(size, [&](comm::Communicator& ranks) {
          ThreadTeam team(1);
          const auto sum = way == Way::kMessages ? make_exact_sum(ranks, team, kShape, 8)
                                                 : make_host_sum(ranks, team, kShape, 8);
          std::vector<at::Tensor> gradients;
          for (int64_t i = 0; i < sum->slices(); ++i) {
            const std::lock_guard guard(lock);
            contribute(sum->slice(i, kExamples), sum->place(i));
            gradients.push_back(sum->place(i).gradient.clone());
          }
          const bool written = all || ranks.rank() % 2 == 0;
          if (written) {
            for (int64_t i = 1; i < sum->slices(); ++i) sum->place(i).gradient.fill_(7);
            models::add_leaves(at::stack(gradients), sum->subtree().unsqueeze(0));
          }
          const auto& total = sum->add(written);
          EXPECT_TRUE(at::equal(total.gradient, expected.gradient))
              << "rank " << ranks.rank() << " of " << size;
          EXPECT_TRUE(at::equal(total.sums, expected.sums));
        });
      }
    }
  }
}

TEST(GradientSum, LeavesThatAreNoSubtreeAreWrittenOneByOne) {
  spawn_ranks(3, [](comm::Communicator& ranks) {  // 8 leaves: 2, 3 and 3
    ThreadTeam team(1);
    for (auto* make : {make_exact_sum, make_host_sum})
      EXPECT_EQ(make(ranks, team, kShape, 8)->subtree().defined(), ranks.rank() == 0);
    EXPECT_FALSE(make_fast_sum(ranks, team, kShape)->subtree().defined());
  });
}

TEST(GradientSum, RanksOnSeveralHostsSendMessages) {
  spawn_ranks(2,
              [](comm::Communicator& ranks) {
                ThreadTeam team(1);
                EXPECT_EQ(make_host_sum(ranks, team, kShape, 4), nullptr);
                EXPECT_NE(make_gradient_sum(ranks, team, kShape, 4), nullptr);
              },
              {.hosts = {"a", "b"}});
}

TEST(GradientSum, FastAndExactAgreeUpToRounding) {
  const auto expected = exact_on(1, 8, 1);
  auto self = comm::make_self();
  ThreadTeam team(3);
  const auto fast = add_all(*make_fast_sum(*self, team, kShape));
  EXPECT_TRUE(at::allclose(fast.gradient, expected.gradient, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(fast.sums, expected.sums, 1e-12, 0));
}

TEST(GradientSum, SlicesOfAllRanksCoverTheBatchOnce) {
  for (int size : {1, 2, 3}) {
    std::vector<int> seen(kExamples);
    std::mutex lock;
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(2);
      for (auto* sum : {make_fast_sum(ranks, team, kShape).release(),
                        make_exact_sum(ranks, team, kShape, 4).release(),
                        make_host_sum(ranks, team, kShape, 0).release(),
                        make_host_sum(ranks, team, kShape, 4).release()}) {
        const std::unique_ptr<GradientSum> owner(sum);
        for (int64_t i = 0; i < owner->slices(); ++i) {
          const auto range = owner->slice(i, kExamples);
          const std::lock_guard guard(lock);
          for (int64_t e = range.begin; e < range.end; ++e) ++seen[e];
        }
      }
    });
    for (int count : seen) EXPECT_EQ(count, 4);  // once in each sum
  }
}

TEST(GradientSum, MoreRanksThanLeavesIsRefusedWithTheLeavesNeeded) {
  spawn_ranks(3, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    try {
      make_exact_sum(ranks, team, kShape, 2);
      FAIL() << "no error";
    } catch (const SettingError& error) {
      EXPECT_NE(std::string(error.what()).find("train.leaves to at least 4"), std::string::npos)
          << error.what();
    }
  });
}

}  // namespace
}  // namespace elbow::trainer
