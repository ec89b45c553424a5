#include "trainer/batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "models/binarisation.h"

namespace elbow::trainer {
namespace {

constexpr Binarise kDrawn[] = {Binarise::kStochastic, Binarise::kStatic};

std::vector<int64_t> all_of(const at::Tensor& images) {
  std::vector<int64_t> indices(static_cast<size_t>(images.size(0)));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

at::Tensor gathered(const at::Tensor& images, const std::vector<int64_t>& indices,
                    const BatchRequest& request) {
  auto out = at::full({static_cast<int64_t>(indices.size()), images.size(1)}, NAN, at::kFloat);
  gather(images, indices, request, out);
  return out;
}

at::Tensor gathered(const at::Tensor& images, const BatchRequest& request) {
  return gathered(images, all_of(images), request);
}

// [256, 1]: every byte once.
at::Tensor every_byte() { return at::arange(256, at::kByte).view({256, 1}); }

// [examples, observed] bytes with zeros, 255 and grey values in irregular places.
at::Tensor strokes(int64_t examples, int64_t observed) {
  const auto place = at::arange(examples * observed, at::kLong);
  const auto grey = place.mul(37).add(11).remainder(509).clamp_max(255);
  return at::where(place.remainder(7) < 4, at::zeros({}, at::kLong), grey)
      .to(at::kByte)
      .view({examples, observed});
}

TEST(Gather, ScalesEveryByteAsTheCorrectlyRoundedQuotient) {
  const auto out = gathered(every_byte(), {});
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(out[byte].item<float>(), static_cast<float>(byte) / 255.0f) << byte;
  }
}

TEST(Gather, PutsTheNamedExamplesInTheNamedOrder) {
  const auto images = strokes(10, 785);
  const auto all = gathered(images, {});
  const auto some = gathered(images, {7, 0, 7, 9}, {});
  EXPECT_TRUE(at::equal(some, at::stack({all[7], all[0], all[7], all[9]})));
}

TEST(Gather, ThresholdIsReachedByTheByteItself) {
  const auto out = gathered(every_byte(), {.binarise = Binarise::kThreshold, .threshold = 128});
  EXPECT_EQ(out[127].item<float>(), 0.0f);
  EXPECT_EQ(out[128].item<float>(), 1.0f);
  EXPECT_EQ(out.sum().item<float>(), 128.0f);
}

TEST(Gather, NeverDrawsZeroAsOneAndAlways255AsOne) {
  const auto images = at::cat({at::zeros({1000, 4}, at::kByte), at::full({1000, 4}, 255, at::kByte),
                               at::full({1000, 1}, 100, at::kByte)},
                              1);
  for (const auto binarise : kDrawn) {
    const auto out = gathered(images, {.binarise = binarise, .seed = 3});
    EXPECT_TRUE(at::all(out.narrow(1, 0, 4) == 0).item<bool>());
    EXPECT_TRUE(at::all(out.narrow(1, 4, 4) == 1).item<bool>());
  }
}

TEST(Gather, DrawsOneWithProbabilityOfTheByte) {
  const int64_t draws = 20000;
  const auto images = at::arange(256, at::kByte).view({1, 256}).expand({draws, 256}).contiguous();
  for (const auto binarise : kDrawn) {
    const auto frequency =
        gathered(images, {.binarise = binarise, .seed = 5}).mean(0).to(at::kDouble);
    const auto probability = at::arange(256, at::kDouble) / 255;
    const auto deviation = (probability * (1 - probability) / static_cast<double>(draws)).sqrt();
    EXPECT_TRUE(at::all((frequency - probability).abs() <= 5 * deviation).item<bool>());
  }
}

// What a GPU kernel does: one word a pixel, nothing skipped. Sizes around the block of 4 and the
// chunk of 256.
TEST(Gather, SkippingBlocksWithoutGreyChangesNoPixel) {
  for (const int64_t observed : {1, 3, 4, 5, 255, 256, 257, 784, 1031}) {
    const auto images = strokes(5, observed);
    const BatchRequest request{
        .binarise = Binarise::kStochastic, .seed = 9, .time = 4, .first_index = 60000};
    const auto out = gathered(images, request);
    for (int64_t example = 0; example < 5; ++example) {
      const auto key =
          models::stochastic_binarisation(9, 4, static_cast<uint32_t>(60000 + example));
      for (int64_t pixel = 0; pixel < observed; ++pixel) {
        const auto word =
            models::random_block(key, static_cast<uint32_t>(pixel / 4)).word[pixel % 4];
        const auto byte = images[example][pixel].item<uint8_t>();
        ASSERT_EQ(out[example][pixel].item<float>(), models::binarised(byte, word) ? 1.0f : 0.0f);
      }
    }
  }
}

TEST(Gather, StochasticDrawsDifferInSeedStepAndExample) {
  const auto images = at::full({100, 784}, 128, at::kByte);
  const BatchRequest request{.binarise = Binarise::kStochastic, .seed = 1, .time = 1};
  const auto draw = gathered(images, request);
  auto other_seed = request, other_step = request, other_split = request;
  other_seed.seed = 2;
  other_step.time = 2;
  other_split.first_index = 60000;
  EXPECT_TRUE(at::equal(gathered(images, request), draw));
  EXPECT_FALSE(at::equal(draw[0], draw[1]));
  for (const auto& other : {other_seed, other_step, other_split}) {
    const auto agreement = gathered(images, other).eq(draw).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(agreement, 0.5, 5 * 0.5 / std::sqrt(78400));
  }
}

TEST(Gather, StaticDrawIsTheSameForEverySeedAndStepButNotTheStochasticOne) {
  const auto images = at::full({100, 784}, 128, at::kByte);
  const auto first = gathered(images, {.binarise = Binarise::kStatic, .seed = 1, .time = 0});
  const auto later = gathered(images, {.binarise = Binarise::kStatic, .seed = 2, .time = 9});
  EXPECT_TRUE(at::equal(first, later));
  const auto stochastic = gathered(
      images, {.binarise = Binarise::kStochastic, .seed = models::kStaticBinarisationSeed});
  EXPECT_FALSE(at::equal(first, stochastic));
}

TEST(Gather, DrawsDependOnTheGlobalIndexAlone) {
  const auto images = at::full({100, 784}, 90, at::kByte);
  for (const auto binarise : kDrawn) {
    const auto whole = gathered(images, {.binarise = binarise, .first_index = 0});
    const auto tail = gathered(images.narrow(0, 60, 40), {.binarise = binarise, .first_index = 60});
    EXPECT_TRUE(at::equal(whole.narrow(0, 60, 40), tail));
  }
}

TEST(Gather, RefusesAnIndexOutsideTheSplitAndAWrongShape) {
  const auto images = strokes(3, 8);
  auto out = at::empty({1, 8}, at::kFloat);
  EXPECT_THROW(gather(images, std::vector<int64_t>{3}, {}, out), c10::Error);
  EXPECT_THROW(gather(images, std::vector<int64_t>{-1}, {}, out), c10::Error);
  EXPECT_THROW(gather(images, std::vector<int64_t>{0, 1}, {}, out), c10::Error);
  EXPECT_THROW(gather(images, std::vector<int64_t>{0}, {}, at::empty({1, 8}, at::kDouble)),
               c10::Error);
}

}  // namespace
}  // namespace elbow::trainer
