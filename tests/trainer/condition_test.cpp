#include "trainer/condition.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "models/drawn_shapes.h"
#include "tests/support/small_data.h"
#include "trainer/assembly.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

using tests::small_data;

constexpr int64_t kHeight = 6, kWidth = 5;

Dataset labelled_data() {
  auto data = small_data(40, 10, kHeight, kWidth);
  data.train.labels = (at::arange(40) % 3).to(at::kByte);
  data.test.labels = (at::arange(10) % 3).to(at::kByte);
  data.validation.labels = at::empty({0}, at::kByte);
  return data;
}

Settings masked(const std::string& mask) {
  Settings settings;
  settings.model.condition = "mask";
  settings.data.mask = mask;
  return settings;
}

struct Pair {
  at::Tensor x, condition;
};

Pair pairs_of(const Dataset& data, const ConditionPlan& plan, const BatchRequest& request,
              int64_t count = 40) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  Pair pair{at::empty({count, plan.observed}), at::empty({count, plan.width})};
  gather_pair(data.train, indices, request, plan, pair.x, pair.condition);
  return pair;
}

TEST(Mask, GivesTheNamedPartOfThePicture) {
  const auto data = small_data(4, 4, kHeight, kWidth);
  const auto picture_of = [&](const std::string& mask) {
    auto picture = std::string(kHeight * kWidth, '.');
    for (const int64_t place : given_places(mask, data)) picture[place] = '#';
    return picture;
  };
  EXPECT_EQ(picture_of("column:1"), ".#....#....#....#....#....#...");
  EXPECT_EQ(picture_of("row:0"), "#####.........................");
  EXPECT_EQ(picture_of("half:left"), "##...##...##...##...##...##...");
  EXPECT_EQ(picture_of("half:bottom"), "...............###############");
  EXPECT_EQ(picture_of("quadrants:1"), "...............##...##...##...");
  EXPECT_EQ(picture_of("quadrants:2"), picture_of("half:left"));
  EXPECT_EQ(picture_of("quadrants:3"), "##...##...##...###############");
  EXPECT_EQ(picture_of("box:1:2:2:3"), ".......###..###...............");
}

TEST(Mask, ThatIsNoPartOfThePictureIsRefused) {
  const auto data = small_data(4, 4, kHeight, kWidth);
  for (const char* mask : {"column:5", "row:-1", "row:", "diagonal:1", "box:0:0:7:1", "box:1:1:0:1",
                           "box:0:0:6:5", "quadrants:4", "half:", "column:1:2", "column:x"}) {
    EXPECT_THROW(given_places(mask, data), SettingError) << mask;
  }
}

TEST(Condition, OfAPictureAndTheRestMakeItWhole) {
  const auto data = small_data(40, 10, kHeight, kWidth);
  const auto plan = condition_plan(masked("quadrants:3"), data);
  EXPECT_EQ(plan.width, 21);
  EXPECT_EQ(plan.observed, 9);
  const auto pair = pairs_of(data, plan, {});
  const auto whole = whole_pictures(plan, pair.x, pair.condition);
  EXPECT_TRUE(at::allclose(whole, data.train.images.to(at::kFloat) / 255, 0, 1e-6));
  EXPECT_TRUE(at::equal(explained_part(plan, whole), pair.x));
}

TEST(Condition, OfAPixelWithChannelsHasAllOfThem) {
  auto data = small_data(4, 4, 2, 6);
  data.height = data.width = 2;
  data.channels = 3;
  EXPECT_EQ(given_places("column:1", data), (std::vector<int64_t>{3, 4, 5, 9, 10, 11}));
}

// Doersch: the column is drawn anew at each presentation, the rest stays grey.
TEST(Condition, IsDrawnAnewAtEachStepAndOnceForAnEvaluation) {
  const auto data = small_data(400, 10, kHeight, kWidth);
  auto settings = masked("column:2");
  settings.data.condition_binarise = "stochastic";
  const auto plan = condition_plan(settings, data);
  const auto at_step = [&](uint32_t step, uint64_t seed, bool measured = false) {
    return pairs_of(data, plan, {.seed = seed, .time = step, .measured = measured}, 400);
  };
  const auto first = at_step(7, 1);
  EXPECT_TRUE(at::equal(first.x, at_step(8, 1).x));
  EXPECT_TRUE(at::equal(first.condition, at_step(7, 1).condition));
  EXPECT_FALSE(at::equal(first.condition, at_step(8, 1).condition));
  EXPECT_FALSE(at::equal(first.condition, at_step(7, 2).condition));
  EXPECT_TRUE(at::equal(at_step(7, 1, true).condition, at_step(9, 5, true).condition));
  EXPECT_TRUE(((first.condition == 0) | (first.condition == 1)).all().item<bool>());
  // Each pixel is 1 with its probability: the mean over many steps is the grey value.
  auto mean = at::zeros_like(first.condition);
  for (uint32_t step = 0; step < 400; ++step) mean += at_step(step, 3).condition / 400;
  auto grey_plan = plan;
  grey_plan.binarise.reset();
  const auto grey = pairs_of(data, grey_plan, {}, 400).condition;
  EXPECT_LT((mean - grey).abs().max().item<double>(), 5 * 0.5 / 20);
  EXPECT_LT((mean - grey).mean().abs().item<double>(), 5 * 0.5 / 20 / std::sqrt(2400.0));
}

TEST(Condition, OfALabelIsOneOfItsClasses) {
  const auto data = labelled_data();
  Settings settings;
  settings.model.condition = "label";
  const auto plan = condition_plan(settings, data);
  EXPECT_EQ(plan.width, 3);
  EXPECT_EQ(plan.observed, kHeight * kWidth);
  const auto pair = pairs_of(data, plan, {});
  EXPECT_TRUE(at::equal(pair.condition.argmax(1), at::arange(40) % 3));
  EXPECT_TRUE((pair.condition.sum(1) == 1).all().item<bool>());
  EXPECT_TRUE(at::equal(condition_of_label(plan, 2), pair.condition[2]));
  EXPECT_THROW(condition_of_label(plan, 3), SettingError);
}

TEST(Condition, ThatTheDataDoNotHaveIsRefused) {
  auto data = labelled_data();
  Settings settings;
  settings.model.condition = "label";
  data.test.labels[3] = 9;
  EXPECT_THROW(condition_plan(settings, data), DataError) << "a class that nobody trains on";
  data.train.labels = at::Tensor();
  EXPECT_THROW(condition_plan(settings, data), SettingError);
  settings.model.condition = "attributes";
  EXPECT_THROW(condition_plan(settings, data), SettingError);
}

TEST(Condition, IsHiddenAsOftenAsAskedAndNeverInAnEvaluation) {
  const auto data = labelled_data();
  Settings settings;
  settings.model.condition = "label";
  settings.model.condition_dropout = 0.25;
  const auto plan = condition_plan(settings, data);
  EXPECT_EQ(plan.width, 4) << "the last number says that the condition is there";
  double hidden = 0;
  for (uint32_t step = 0; step < 200; ++step) {
    const auto c = pairs_of(data, plan, {.seed = 4, .time = step}).condition;
    EXPECT_TRUE(at::equal(c.sum(1), 2 * c.select(1, 3))) << "all or nothing";
    hidden += (c.select(1, 3) == 0).sum().item<double>() / (200 * 40);
  }
  EXPECT_NEAR(hidden, 0.25, 3 * std::sqrt(0.25 * 0.75 / 8000));
  const auto measured = pairs_of(data, plan, {.seed = 4, .measured = true}).condition;
  EXPECT_TRUE((measured.select(1, 3) == 1).all().item<bool>());
}

TEST(Condition, OfDrawnShapesIsTheirFactors) {
  Settings settings;
  settings.data.source = "synthetic";
  settings.data.examples = 50;
  settings.data.test_examples = 10;
  settings.data.seed = 3;
  settings.model.condition = "attributes";
  const auto data = load_dataset(settings.data);
  const auto plan = condition_plan(settings, data);
  ASSERT_EQ(plan.width, 17);
  const auto c = pairs_of(data, plan, {}, 50).condition;
  EXPECT_LE(c.abs().max().item<double>(), 1 + 1e-5);
  for (int64_t i = 0; i < 50; ++i) {
    const auto f = models::drawn_factors(3, static_cast<uint32_t>(i));
    EXPECT_EQ(c[i].narrow(0, 0, 10).argmax().item<int64_t>(), static_cast<int64_t>(f.shape));
    EXPECT_NEAR(c[i][16].item<double>(), 4 * f.brightness - 3, 1e-5);
    EXPECT_EQ(c[i][10].item<double>() > 0, f.x > 0);
  }
  settings.model.condition = "label";
  EXPECT_EQ(condition_plan(settings, data).width, 10);
}

// --- What is refused at the start
// ------------------------------------------------------------------

std::string refusal(const Settings& settings) {
  try {
    model_of(settings, labelled_data());
  } catch (const SettingError& error) {
    return error.what();
  }
  return "";
}

TEST(Condition, ThatIsCutFromTheDecoderIsRefused) {
  Settings settings;
  settings.model.condition = "label";
  EXPECT_EQ(refusal(settings), "");
  settings.model.condition_into = "encoder";
  EXPECT_NE(refusal(settings).find("cuts the condition from the decoder"), std::string::npos);
  settings.model.kind = "bottleneck";
  EXPECT_EQ(refusal(settings), "");
}

TEST(Condition, IsAllThatARegressorSees) {
  Settings settings;
  settings.model.kind = "regressor";
  EXPECT_NE(refusal(settings).find("model.condition = none"), std::string::npos);
}

TEST(Condition, BetaIsConvertedWithThePixelsThatAreExplained) {
  auto settings = masked("quadrants:2");
  settings.objective.kl_wt = 0.5;
  const auto plan = condition_plan(settings, labelled_data());
  EXPECT_EQ(row_of(settings, plan.observed).beta, 0.5 * 18);
}

}  // namespace
}  // namespace elbow::trainer
