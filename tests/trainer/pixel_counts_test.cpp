#include "trainer/pixel_counts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::trainer {
namespace {

TEST(PixelCounts, MeansAreExactOnAnyNumberOfRanksAndThreads) {
  const auto split = tests::small_data(331, 20, 5, 7).train;
  const auto expected = split.images.to(at::kLong).sum(0).to(at::kDouble) / (255.0 * 331);
  for (int size : {1, 2, 3}) {
    tests::spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(2);
      EXPECT_TRUE(at::equal(pixel_means(split, {}, ranks, team), expected)) << size;
    });
  }
}

TEST(PixelCounts, APixelCountsAsTrainingSeesIt) {
  const auto split = tests::small_data(200, 20, 5, 7).train;
  const auto self = comm::make_self();
  ThreadTeam team(1);
  const auto cut =
      pixel_means(split, {.binarise = Binarise::kThreshold, .threshold = 100}, *self, team);
  EXPECT_TRUE(at::allclose(cut, (split.images >= 100).to(at::kDouble).mean(0)));
  const auto grey = pixel_means(split, {}, *self, team);
  EXPECT_TRUE(
      at::equal(pixel_means(split, {.binarise = Binarise::kStochastic}, *self, team), grey));
}

// The constants of grey MNIST, from an independent computation in NumPy.
TEST(PixelCounts, TheEntropyFloorOfMnistIsTheKnownOne) {
  const auto data = load_dataset({});
  EXPECT_NEAR(entropy_floor_nats(data.train.images), 45.76, 0.005);
  EXPECT_NEAR(entropy_floor_nats(data.test.images), 45.53, 0.005);
  EXPECT_EQ(entropy_floor_nats(255 * at::ones({4, 9}, at::kByte)), 0);
  EXPECT_NEAR(entropy_floor_nats(at::full({2, 3}, 51, at::kByte)),
              -3 * (0.2 * std::log(0.2) + 0.8 * std::log(0.8)), 1e-12);
}

TEST(PixelCounts, ZerosAreThoseThatTrainingSees) {
  const auto mnist = load_dataset({});
  EXPECT_NEAR(zero_share(mnist.train, {}, 60000), 0.8088, 0.0001);
  EXPECT_NEAR(zero_share(mnist.train, {}), 0.81, 0.02);
  const auto cut = BatchRequest{.binarise = Binarise::kThreshold, .threshold = 0};
  EXPECT_EQ(zero_share(mnist.train, cut), 0);
  EXPECT_EQ(zero_share({.name = "train", .images = at::ones({3, 4}, at::kByte)}, {}), 0);
}

}  // namespace
}  // namespace elbow::trainer
