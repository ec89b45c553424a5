#include "trainer/mean_picture.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/dataset.h"
#include "trainer/pixel_counts.h"

namespace elbow::trainer {
namespace {

using tests::spawn_ranks;

double baseline(const at::Tensor& picture, const Split& split) {
  std::vector<double> sums(split.observed());
  const auto x = (split.images.to(at::kFloat) / 255).contiguous();
  sum_pixels(x.const_data_ptr<float>(), split.examples(), split.observed(), sums.data());
  return constant_picture_nats(picture, sums.data(), split.examples());
}

TEST(MeanPicture, GivesMnistsKnownBaselines) {
  const auto data = load_dataset({});
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    ThreadTeam team(2);
    const auto picture = pixel_means(data.train, {}, ranks, team, kMeanPictureExamples);
    EXPECT_NEAR(picture.mean().item<double>(), 0.13066, 5e-6);
    EXPECT_NEAR(baseline(picture, data.train) / 784, 0.26279, 5e-6);
    EXPECT_NEAR(baseline(picture, data.test) / 784, 0.26251, 5e-6);
  });
}

TEST(MeanPicture, HasTheSameBitsOnAnyNumberOfRanks) {
  const auto data = tests::small_data(1500, 10, 5, 7);
  at::Tensor expected;
  std::mutex lock;
  for (int size : {1, 2, 3, 4}) {
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(size % 2 + 1);
      const auto picture = pixel_means(data.train, {}, ranks, team, kMeanPictureExamples);
      const std::lock_guard guard(lock);
      if (!expected.defined()) expected = picture;
      EXPECT_TRUE(at::equal(picture, expected)) << size;
    });
  }
}

TEST(MeanPicture, IsOfThePixelsThatTheModelSees) {
  const auto data = tests::small_data(1000, 10, 5, 7);
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    const auto grey = pixel_means(data.train, {}, ranks, team, kMeanPictureExamples);
    const auto stochastic =
        pixel_means(data.train, {.binarise = Binarise::kStochastic, .seed = 3}, ranks, team);
    EXPECT_TRUE(at::equal(stochastic, grey)) << "drawn anew: the probabilities count";
    const auto lit =
        pixel_means(data.train, {.binarise = Binarise::kThreshold, .threshold = 128}, ranks, team);
    const auto expected = (data.train.images >= 128).to(at::kDouble).mean(0);
    EXPECT_TRUE(at::allclose(lit, expected, 0, 1e-15));
  });
}

TEST(MeanPicture, MayBeOfSomeExamplesEvenlySpacedAndOfFloats) {
  auto data = tests::small_data(1000, 10, 5, 7);
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    const auto some = pixel_means(data.train, {}, ranks, team, 100);
    const auto expected = data.train.images.slice(0, 0, 1000, 10).to(at::kDouble).mean(0) / 255;
    EXPECT_TRUE(at::allclose(some, expected, 0, 1e-12));
    auto floats = data.train;
    floats.images = data.train.images.to(at::kFloat) / 255;
    const auto of_floats = pixel_means(floats, {}, ranks, team);
    EXPECT_TRUE(at::allclose(of_floats, pixel_means(data.train, {}, ranks, team), 0, 1e-7));
  });
}

TEST(MeanPicture, APixelThatTrainingNeverLitCostsNoInfinity) {
  const auto picture = at::zeros({1}, at::kDouble);
  const double lit = 1;
  EXPECT_NEAR(constant_picture_nats(picture, &lit, 100), 0.01 * std::log(1e6), 1e-6);
}

}  // namespace
}  // namespace elbow::trainer
