// Statistics of random_block and uniform_open: each number is fit for use alone, and keys that
// differ by one in any part give unrelated numbers. All seeds are fixed, so a test that passes once
// passes always.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "models/philox.h"

namespace elbow::models {
namespace {

constexpr StreamKey kKey{/*seed=*/42, Purpose::kTrainingNoise, /*time=*/17, /*example=*/1234,
                         /*draw=*/0};

TEST(UniformOpen, StaysInsideTheOpenInterval) {
  EXPECT_GT(uniform_open(0), 0.0f);
  EXPECT_LT(uniform_open(0xFFFFFFFFu), 1.0f);
  EXPECT_EQ(uniform_open(0) + uniform_open(0xFFFFFFFFu), 1.0f);
}

TEST(UniformOpen, HasTheMomentsOfAUniformNumber) {
  const int64_t blocks = 500000;
  double sum = 0, sum_of_squares = 0;
  for (uint32_t block = 0; block < blocks; ++block) {
    for (const uint32_t word : random_block(kKey, block).word) {
      const double centred = uniform_open(word) - 0.5;
      sum += centred;
      sum_of_squares += centred * centred;
    }
  }
  const double count = 4.0 * blocks;
  EXPECT_LT(std::abs(sum / count), 5 * std::sqrt(1.0 / 12 / count));
  // The variance of (u - 1/2)^2 is 1/180.
  EXPECT_LT(std::abs(sum_of_squares / count - 1.0 / 12), 5 * std::sqrt(1.0 / 180 / count));
}

TEST(RandomBlock, FillsTheIntervalEvenly) {
  const int64_t blocks = 250000;
  std::vector<int64_t> cell(1000, 0);
  for (uint32_t block = 0; block < blocks; ++block) {
    for (const uint32_t word : random_block(kKey, block).word) {
      ++cell[static_cast<size_t>(uniform_open(word) * 1000.0)];
    }
  }
  const double expected = 4.0 * blocks / 1000;
  double chi_square = 0;
  for (const int64_t count : cell) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(std::abs(chi_square - 999) / std::sqrt(2.0 * 999), 5);
}

struct Neighbour {
  const char* name;
  std::function<Philox4(StreamKey, uint32_t block)> block;
};

std::ostream& operator<<(std::ostream& out, const Neighbour& neighbour) {
  return out << neighbour.name;
}

class NeighbouringKeys : public testing::TestWithParam<Neighbour> {};

// Keys vary in every part, so that a relation at any one place would show.
template <typename Visit>
void for_each_pair(const Neighbour& neighbour, Visit visit) {
  for (uint32_t i = 0; i < 100000; ++i) {
    StreamKey key = kKey;
    key.seed += i % 10 * 1000;
    key.time += i / 10 % 100;
    key.example += i / 1000 * 10;
    const uint32_t block = i % 7;
    visit(random_block(key, block), neighbour.block(key, block));
  }
}

TEST_P(NeighbouringKeys, GiveUncorrelatedNumbers) {
  double sum_of_products = 0;
  int64_t pairs = 0;
  for_each_pair(GetParam(), [&](const Philox4& a, const Philox4& b) {
    for (int i = 0; i < 4; ++i) {
      sum_of_products += (uniform_open(a.word[i]) - 0.5) * (uniform_open(b.word[i]) - 0.5);
      ++pairs;
    }
  });
  const double correlation = 12 * sum_of_products / static_cast<double>(pairs);
  EXPECT_LT(std::abs(correlation), 5 / std::sqrt(static_cast<double>(pairs)));
}

TEST_P(NeighbouringKeys, ChangeHalfOfAllBits) {
  int64_t changed = 0, bits = 0;
  for_each_pair(GetParam(), [&](const Philox4& a, const Philox4& b) {
    for (int i = 0; i < 4; ++i) {
      changed += std::popcount(a.word[i] ^ b.word[i]);
      bits += 32;
    }
  });
  const auto half = static_cast<double>(bits) / 2;
  EXPECT_LT(std::abs(static_cast<double>(changed) - half), 5 * std::sqrt(half / 2));
}

// Element e + 1 is the next word of the same block, or the first of the next.
Philox4 next_elements(const StreamKey& key, uint32_t block) {
  const Philox4 here = random_block(key, block);
  const Philox4 next = random_block(key, block + 1);
  return {{here.word[1], here.word[2], here.word[3], next.word[0]}};
}

INSTANTIATE_TEST_SUITE_P(
    Parts, NeighbouringKeys,
    testing::Values(
        Neighbour{"seed", [](StreamKey key,
                             uint32_t block) { return ++key.seed, random_block(key, block); }},
        Neighbour{"seed_high",
                  [](StreamKey key, uint32_t block) {
                    return key.seed += uint64_t{1} << 32, random_block(key, block);
                  }},
        Neighbour{"time", [](StreamKey key,
                             uint32_t block) { return ++key.time, random_block(key, block); }},
        Neighbour{
            "example",
            [](StreamKey key, uint32_t block) { return ++key.example, random_block(key, block); }},
        Neighbour{"draw", [](StreamKey key,
                             uint32_t block) { return ++key.draw, random_block(key, block); }},
        Neighbour{"purpose",
                  [](StreamKey key, uint32_t block) {
                    return key.purpose = Purpose::kEvaluationNoise, random_block(key, block);
                  }},
        Neighbour{"element", next_elements},
        Neighbour{"block",
                  [](StreamKey key, uint32_t block) { return random_block(key, block + 1); }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace elbow::models
