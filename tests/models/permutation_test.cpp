#include "models/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace elbow::models {
namespace {

// Standard deviations of a chi-square statistic from its mean; above 5 the hypothesis is dead.
double deviations(double chi_square, double degrees_of_freedom) {
  return (chi_square - degrees_of_freedom) / std::sqrt(2 * degrees_of_freedom);
}

double chi_square(const std::vector<int64_t>& observed, double expected) {
  double sum = 0;
  for (const int64_t count : observed) {
    const double difference = static_cast<double>(count) - expected;
    sum += difference * difference / expected;
  }
  return sum;
}

class PermutationOfSize : public testing::TestWithParam<uint64_t> {};

TEST_P(PermutationOfSize, GivesEachIndexExactlyOnce) {
  const uint64_t size = GetParam();
  for (uint32_t epoch = 0; epoch < 3; ++epoch) {
    const Permutation order(/*seed=*/7, epoch, size);
    std::vector<bool> seen(size, false);
    for (uint64_t position = 0; position < size; ++position) {
      const uint64_t index = order(position);
      ASSERT_LT(index, size);
      ASSERT_FALSE(seen[index]) << "index " << index << " twice in epoch " << epoch;
      seen[index] = true;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PermutationOfSize,
                         testing::Values(1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 97, 255, 256, 257,
                                         1000, 1024, 7919, 10000, 59600, 60000, 65536, 65537,
                                         104729));

TEST(Permutation, CoversTheLargestSizeWithoutLeavingIt) {
  const uint64_t size = uint64_t{1} << 32;
  const Permutation order(1, 1, size);
  for (const uint64_t position : {uint64_t{0}, uint64_t{1}, size / 2, size - 1}) {
    EXPECT_LT(order(position), size);
  }
  EXPECT_NE(order(0), order(1));
}

TEST(Permutation, DiffersInEachEpochAndForEachSeed) {
  const uint64_t size = 60000;
  const Permutation order(1, 0, size);
  const Permutation next_epoch(1, 1, size);
  const Permutation next_seed(2, 0, size);
  const Permutation far_seed(1 + (uint64_t{1} << 32), 0, size);
  int64_t equal[3] = {0, 0, 0};
  for (uint64_t position = 0; position < size; ++position) {
    equal[0] += order(position) == next_epoch(position);
    equal[1] += order(position) == next_seed(position);
    equal[2] += order(position) == far_seed(position);
  }
  for (const int64_t count : equal) EXPECT_LE(count, 10);  // 1 expected in unrelated orders
}

// The bits of every shuffled run hang on these numbers.
TEST(Permutation, NeverChangesItsNumbers) {
  const Permutation order(/*seed=*/1, /*epoch=*/0, 60000);
  const uint64_t expected[4] = {27534, 47962, 37092, 45687};
  for (uint64_t position = 0; position < 4; ++position) {
    EXPECT_EQ(order(position), expected[position]);
  }
}

TEST(Permutation, PutsEachIndexAtEachPositionEquallyOften) {
  for (const uint64_t size : {uint64_t{2}, uint64_t{3}, uint64_t{8}, uint64_t{13}, uint64_t{100}}) {
    const uint64_t seeds = 20;
    const uint32_t epochs = static_cast<uint32_t>(50 * size);
    std::vector<int64_t> count(size * size, 0);
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      for (uint32_t epoch = 0; epoch < epochs; ++epoch) {
        const Permutation order(seed, epoch, size);
        for (uint64_t position = 0; position < size; ++position) {
          ++count[position * size + order(position)];
        }
      }
    }
    const double expected = static_cast<double>(seeds * epochs) / static_cast<double>(size);
    const auto freedom = static_cast<double>((size - 1) * (size - 1));
    EXPECT_LT(std::abs(deviations(chi_square(count, expected), freedom)), 5) << "size " << size;
  }
}

TEST(Permutation, GivesAllOrdersOfAFewExamplesEquallyOften) {
  std::vector<int64_t> count(64, 0);
  const int64_t draws = 60000;
  for (uint32_t epoch = 0; epoch < draws; ++epoch) {
    const Permutation order(3, epoch, /*size=*/3);
    ++count[order(0) + 4 * order(1) + 16 * order(2)];
  }
  std::erase(count, 0);
  ASSERT_EQ(count.size(), 6u);
  EXPECT_LT(std::abs(deviations(chi_square(count, draws / 6.0), 5)), 5);
}

// Neighbours in the data set (often of one kind) must not stay neighbours in the batch.
TEST(Permutation, MovesNeighboursIndependently) {
  const uint64_t size = 60000;
  double sum_of_products = 0;
  std::vector<int64_t> gaps(100, 0);
  const uint32_t epochs = 20;
  for (uint32_t epoch = 0; epoch < epochs; ++epoch) {
    const Permutation order(11, epoch, size);
    const auto centred = [&](uint64_t position) {
      return (static_cast<double>(order(position)) + 0.5) / static_cast<double>(size) - 0.5;
    };
    for (uint64_t position = 0; position + 1 < size; ++position) {
      sum_of_products += centred(position) * centred(position + 1);
      const uint64_t gap = (order(position + 1) + size - order(position)) % size;
      ++gaps[gap * gaps.size() / size];
    }
  }
  const double pairs = static_cast<double>(size - 1) * epochs;
  const double correlation = 12 * sum_of_products / pairs;  // variance of a uniform: 1/12
  EXPECT_LT(std::abs(correlation), 5 / std::sqrt(pairs));
  EXPECT_LT(std::abs(deviations(chi_square(gaps, pairs / 100), 99)), 5);
}

TEST(Permutation, SpreadsEachPartOfTheDataOverTheWholeEpoch) {
  const uint64_t size = 60000;
  const uint64_t cells = 20;
  std::vector<int64_t> count(cells * cells, 0);
  for (uint32_t epoch = 0; epoch < 10; ++epoch) {
    const Permutation order(5, epoch, size);
    for (uint64_t position = 0; position < size; ++position) {
      ++count[position * cells / size * cells + order(position) * cells / size];
    }
  }
  const double expected = 10.0 * static_cast<double>(size) / (cells * cells);
  // Row and column sums are fixed, which leaves (cells - 1)^2 degrees of freedom.
  EXPECT_LT(std::abs(deviations(chi_square(count, expected), (cells - 1) * (cells - 1))), 5);
}

}  // namespace
}  // namespace elbow::models
