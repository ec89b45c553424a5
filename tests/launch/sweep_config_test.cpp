#include "launch/sweep/sweep_config.h"

#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "launch/sweep/ledger_record.h"
#include "launch/sweep/shape_key.h"
#include "launch/sweep/shard.h"
#include "launch/sweep/sobol.h"
#include "tests/support/setting_error.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using tests::setting_error_of;

SweepConfig sweep_of(const std::string& lines) {
  return parse_sweep_text("[sweep]\n" + lines, "a.cfg");
}
std::string error_of_sweep(const std::string& lines) {
  return setting_error_of([&] { sweep_of(lines); });
}

std::vector<std::string> values_of(const std::string& axis) {
  return sweep_of(axis + "\n").space.axes().front().values();
}

std::vector<std::string> first_values(const SweepConfig& sweep) {
  std::vector<std::string> values;
  for (int64_t t = 0; t < sweep.space.trials(); ++t)
    values.push_back(sweep.space.trial(t).values.front());
  return values;
}

// --- Axes ----------------------------------------------------------------------------------------

TEST(Axis, ReadsEveryForm) {
  EXPECT_THAT(values_of("objective.kl_wt = 1e-3, 0.01 ,1/8"),
              ElementsAre("0.001", "0.01", "0.125"));
  EXPECT_THAT(values_of("objective.kl_wt = choice(1e-3, 1)"), ElementsAre("0.001", "1"));
  EXPECT_THAT(values_of("objective.kl_wt = logspace(1e-4, 1e-1, 4)"),
              ElementsAre("0.0001", "0.001", "0.01", "0.1"));
  EXPECT_THAT(values_of("objective.kl_wt = linspace(0, 1, 4)"),
              ElementsAre("0", "0.333333", "0.666667", "1"));
  EXPECT_THAT(values_of("model.encoder = 500; 300, 100; none"),
              ElementsAre("500", "300, 100", "none"));
  EXPECT_THAT(values_of("model.activation = tanh, relu"), ElementsAre("tanh", "relu"));
  EXPECT_THAT(values_of("model.latent = logspace(1, 4, 6)"), ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(values_of("train.leaves = auto, 4"), ElementsAre("auto", "4"));
}

TEST(Axis, ChecksEveryValueAsTheSettingDoes) {
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 1e-3, much\n"),
              AllOf(HasSubstr("objective.kl_wt = 1e-3, much (a.cfg:2)"),
                    HasSubstr("'much' that is not a finite number"), HasSubstr("0 to 1000000000")));
  EXPECT_THAT(error_of_sweep("model.activation = tanh, rleu\n"), HasSubstr("did you mean relu?"));
  EXPECT_THAT(error_of_sweep("optimizer.lr = loguniform(0, 1)\ntrials = 2\nsearch = random\n"),
              HasSubstr("'0' that is out of range"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = loguniform(0, 1)\n"), HasSubstr("above 0"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = uniform(1, 1)\n"), HasSubstr("smaller"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = logspase(1, 2, 3)\n"),
              HasSubstr("did you mean logspace?"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = logspace(1, 2)\n"), HasSubstr("a count"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = logspace(1, 2, 1)\n"), HasSubstr("count from 2"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 0.1, 1e-1\n"),
              AllOf(HasSubstr("'0.1' twice"), HasSubstr("sweep.repeats")));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 0, -0\n"), HasSubstr("'0' twice"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 1, -1\n"), HasSubstr("'-1' that is out of range"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 0.1,\n"), HasSubstr("''"));
  EXPECT_THAT(error_of_sweep("model.activation = uniform(0, 1)\n"), HasSubstr("asks for numbers"));
  EXPECT_THAT(error_of_sweep("train.threads = 1, 2\n"), HasSubstr("cannot be an axis"));
}

TEST(Axis, DrawsWithinItsBoundsAndWithTheRightDensity) {
  const auto draw = [](const std::string& text, double share) {
    return sweep_of(text + "\nsearch = random\ntrials = 1\n").space.axes().front().at_share(share);
  };
  EXPECT_EQ(draw("objective.kl_wt = uniform(1, 3)", 0.25), "1.5");
  EXPECT_EQ(draw("objective.kl_wt = loguniform(1e-4, 1)", 0.25), "0.001");
  EXPECT_EQ(draw("objective.kl_wt = 1, 2, 3, 4", 0.5), "3");
  EXPECT_EQ(draw("objective.kl_wt = 1, 2, 3, 4", 0.9999999999999999), "4");
  EXPECT_EQ(draw("model.latent = uniform(2, 5)", 0.0), "2");  // each of four integers: a quarter
  EXPECT_EQ(draw("model.latent = uniform(2, 5)", 0.76), "5");
  EXPECT_EQ(draw("model.latent = loguniform(1, 7)", 0.34), "2");  // [2, 4) of [1, 8): a third
  EXPECT_EQ(draw("model.latent = loguniform(1, 7)", 0.9999999999999999), "7");
}

// --- Searches ------------------------------------------------------------------------------------

TEST(SearchSpace, AGridHasEveryCombinationOnce) {
  const auto sweep =
      sweep_of("optimizer.lr = 1e-3, 1e-4\nobjective.kl_wt = 1, 2, 3\nrepeats = 2\n");
  EXPECT_EQ(sweep.space.trials(), 12);
  std::set<std::vector<std::string>> seen;
  for (int64_t t = 0; t < 6; ++t) seen.insert(sweep.space.trial(t).values);
  EXPECT_EQ(seen.size(), 6u);
  EXPECT_EQ(sweep.space.axes().front().key(), "objective.kl_wt");  // in the setting table's order
  const auto again = sweep.space.trial(7);
  EXPECT_EQ(again.configuration, 1);
  EXPECT_EQ(again.repeat, 1);
  EXPECT_EQ(again.values, sweep.space.trial(1).values);
  EXPECT_EQ(config_of(sweep, again).settings.train.seed, 2);
  EXPECT_EQ(config_of(sweep, sweep.space.trial(1)).settings.train.seed, 1);
}

TEST(SearchSpace, AListTakesValuesSideBySide) {
  const auto sweep =
      sweep_of("search = list\nobjective.kl_wt = 1, 2, 3\nmodel.latent = 10, 20, 30\n");
  EXPECT_EQ(sweep.space.trials(), 3);
  EXPECT_THAT(sweep.space.trial(1).values, ElementsAre("20", "2"));
  EXPECT_THAT(error_of_sweep("search = list\nobjective.kl_wt = 1, 2\nmodel.latent = 10, 20, 30\n"),
              AllOf(HasSubstr("model.latent has 3 values"), HasSubstr("objective.kl_wt has 2")));
}

TEST(SearchSpace, AValueMayStandTwiceInAListButNotATrial) {
  const auto sweep =
      sweep_of("search = list\nobjective.kl_wt = 1, 1, 2\nmodel.activation = tanh, relu, tanh\n");
  EXPECT_THAT(sweep.space.trial(1).values, ElementsAre("relu", "1"));
  EXPECT_THAT(range_of(sweep.space.axes().front()).categories, ElementsAre("tanh", "relu"));
  EXPECT_THAT(
      error_of_sweep("search = list\nobjective.kl_wt = 1, 2, 1e0\nmodel.latent = 5, 5, 5\n"),
      AllOf(HasSubstr("places 1 and 3"), HasSubstr("sweep.repeats")));
}

TEST(SearchSpace, RandomTrialsFollowFromSeedAndNumberAlone) {
  const std::string lines =
      "search = random\nobjective.kl_wt = loguniform(1e-4, 1)\noptimizer.lr = uniform(0.1, 0.2)\n";
  const auto few = sweep_of(lines + "trials = 4\n"), many = sweep_of(lines + "trials = 40\n");
  const auto other = sweep_of(lines + "trials = 40\nseed = 2\n");
  for (int64_t t = 0; t < 4; ++t) EXPECT_EQ(few.space.trial(t).values, many.space.trial(t).values);
  EXPECT_NE(few.space.trial(0).values, other.space.trial(0).values);
  const auto values = first_values(many);
  EXPECT_EQ(std::set(values.begin(), values.end()).size(), 40u);
  // Pinned: a sweep that is resumed by another build must draw the same.
  EXPECT_THAT(many.space.trial(0).values, ElementsAre("0.00625728", "0.17207"));
}

TEST(SearchSpace, SobolPutsOnePointIntoEachPartOfEveryAxis) {
  constexpr int64_t kPoints = 64, kDimensions = 7;
  for (const uint64_t seed : {1, 2}) {
    for (int64_t axis = 0; axis < kDimensions; ++axis) {
      std::set<int64_t> first, second;
      for (int64_t i = 0; i < kPoints; ++i) {
        first.insert(static_cast<int64_t>(sobol_point(seed, i, kDimensions)[axis] * kPoints));
        second.insert(
            static_cast<int64_t>(sobol_point(seed, kPoints + i, kDimensions)[axis] * kPoints));
      }
      EXPECT_EQ(first.size(), kPoints) << "axis " << axis;
      EXPECT_EQ(second.size(), kPoints) << "axis " << axis;
    }
  }
  EXPECT_NE(sobol_point(1, 0, 2), sobol_point(2, 0, 2));
}

// The differences between points (exclusive or) do not depend on the shift, so they are those of
// the sequence itself: torch.quasirandom.SobolEngine(4).draw(8).
TEST(SearchSpace, SobolUsesTheDirectionsOfJoeAndKuo) {
  const auto bits = [](double share) { return static_cast<int64_t>(share * 8); };
  const auto origin = sobol_point(5, 0, 4);
  const std::vector<std::vector<double>> expected = {
      {0.5, 0.5, 0.5, 0.5},         {0.75, 0.25, 0.25, 0.25},     {0.25, 0.75, 0.75, 0.75},
      {0.375, 0.375, 0.625, 0.875}, {0.875, 0.875, 0.125, 0.375}, {0.625, 0.125, 0.875, 0.625},
      {0.125, 0.625, 0.375, 0.125}};
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto point = sobol_point(5, static_cast<int64_t>(i) + 1, 4);
    for (size_t d = 0; d < 4; ++d)
      EXPECT_EQ(bits(point[d]) ^ bits(origin[d]), bits(expected[i][d])) << i + 1 << ", " << d;
  }
}

TEST(SearchSpace, RefusesWhatDoesNotFitTogether) {
  EXPECT_THAT(error_of_sweep("objective.kl_wt = uniform(0, 1)\n"),
              AllOf(HasSubstr("sweep.search = grid"), HasSubstr("sweep.search=sobol")));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = uniform(0, 1)\nsearch = sobol\n"),
              HasSubstr("needs sweep.trials"));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 1, 2\ntrials = 5\n"), HasSubstr("no effect"));
  EXPECT_THAT(error_of_sweep("train.seed = 1, 2\nrepeats = 2\n"), HasSubstr("sweep.repeats = 2"));
  EXPECT_THAT(error_of_sweep("search = grid\n"), HasSubstr("nothing to sweep over"));
  EXPECT_THAT(error_of_sweep("train.seed = linspace(1, 1000, 1000)\n"
                             "model.latent = linspace(1, 1000, 1000)\n"),
              HasSubstr("more than 100000 trials"));
}

// --- Configurations ------------------------------------------------------------------------------

TEST(SweepConfig, AnAxisReplacesPlainValuesOfItsLevelAndBelow) {
  const auto sweep =
      parse_sweep_text("[objective]\nbeta = 2\n[sweep]\nobjective.kl_wt = 1e-3, 1e-2\n", "a.cfg");
  const auto config = config_of(sweep, sweep.space.trial(1));
  EXPECT_EQ(config.settings.objective.beta, std::nullopt);
  EXPECT_EQ(config.settings.objective.kl_wt, 0.01);
  EXPECT_EQ(config.origin("objective.kl_wt"), "axis of the sweep, a.cfg:4");
}

TEST(SweepConfig, APlainValueOfAHigherLevelReplacesTheAxis) {
  const std::filesystem::path file = ELBOW_SOURCE_DIR "/configs/sweep_kl.cfg";
  const auto fixed = parse_sweep(file, {"objective.beta=1", "sweep.optimizer.lr=1e-3,1e-4"}, {});
  EXPECT_EQ(fixed.space.axes().size(), 1u);
  EXPECT_EQ(config_of(fixed, fixed.space.trial(0)).settings.objective.beta, 1.0);
  const auto variable = parse_sweep(file, {}, {{"ELBOW_CFG_SWEEP__OBJECTIVE__KL_WT", "1, 2"}});
  EXPECT_THAT(variable.space.axes().front().values(), ElementsAre("1", "2"));
  EXPECT_EQ(variable.origins.at("sweep.objective.kl_wt"),
            "environment variable ELBOW_CFG_SWEEP__OBJECTIVE__KL_WT");
  EXPECT_EQ(variable.name(), "sweep_kl");
}

TEST(SweepConfig, NamesWhatWasMeant) {
  EXPECT_THAT(error_of_sweep("objective.kl_wd = 1\n"), HasSubstr("did you mean objective.kl_wt?"));
  EXPECT_THAT(error_of_sweep("serach = grid\n"), HasSubstr("did you mean sweep.search?"));
  EXPECT_THAT(error_of_sweep("search = gird\nobjective.kl_wt = 1\n"),
              AllOf(HasSubstr("sweep.search = gird (a.cfg:2)"), HasSubstr("did you mean grid?")));
  EXPECT_THAT(error_of_sweep("objective.kl_wt = 1, 2\nobjective.beta = 1, 2\n"),
              HasSubstr("exclude each other"));
  EXPECT_THAT(
      setting_error_of([] { parse_config_text("[sweep]\nobjective.kl_wt = 1, 2\n", "a.cfg"); }),
      AllOf(HasSubstr("a.cfg:2"), HasSubstr("elbow sweep")));
}

TEST(SweepConfig, ATrialThatCannotBeIsRefusedAtOnceWithItsValues) {
  EXPECT_THAT(
      error_of_sweep("train.batch_size = 128, 2\nmodel.latent = 2, 3\ntrain.leaves = 4; 8\n"),
      AllOf(HasSubstr("trial "), HasSubstr("train.batch_size = 2"), HasSubstr("train.leaves")));
  EXPECT_THAT(error_of_sweep("train.leaves = linspace(1, 4, 4)\n"),
              AllOf(HasSubstr("'3'"), HasSubstr("power of two")));
}

TEST(SweepConfig, IsTheSameAfterItWasWrittenAndRead) {
  const auto sweep = sweep_of(
      "search = sobol\ntrials = 8\nrepeats = 2\nmodel.encoder = 500; 300, 100\n"
      "objective.kl_wt = loguniform(1e-4, 1/10)\npruning = asha\n");
  const auto text = effective_sweep(sweep);
  const auto again = parse_sweep_text(text, "sweep.cfg");
  EXPECT_EQ(effective_sweep(again), text);
  EXPECT_EQ(sweep_fingerprint(again), sweep_fingerprint(sweep));
  for (int64_t t = 0; t < sweep.space.trials(); ++t)
    EXPECT_EQ(again.space.trial(t).values, sweep.space.trial(t).values);
}

TEST(SweepConfig, TheFingerprintTellsSweepsApart) {
  const auto print = [](const std::string& lines) { return sweep_fingerprint(sweep_of(lines)); };
  const auto one = print("objective.kl_wt = 1, 2\n");
  EXPECT_EQ(print("objective.kl_wt = 1, 2\nrows_per_pack = 4\n"), one);
  EXPECT_NE(print("objective.kl_wt = 1, 3\n"), one);
  EXPECT_NE(print("objective.kl_wt = 1, 2\nrepeats = 2\n"), one);
  EXPECT_NE(sweep_fingerprint(parse_sweep_text(
                "[model]\nlatent = 9\n[sweep]\nobjective.kl_wt = 1, 2\n", "a.cfg")),
            one);
}

TEST(Shard, TakesEveryNthTrialAndAllTogetherTakeAll) {
  std::set<int64_t> taken;
  for (int index = 1; index <= 3; ++index) {
    const auto shard = shard_from_text(std::to_string(index) + "/3");
    for (int64_t t = 0; t < 10; ++t) {
      if (shard.has(t)) {
        EXPECT_TRUE(taken.insert(t).second);
      }
    }
  }
  EXPECT_EQ(taken.size(), 10u);
  EXPECT_EQ(shard_from_text("2/8").text(), "2/8");
  for (const char* text : {"", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/1e30"})
    EXPECT_THAT(setting_error_of([&] { shard_from_text(text); }), HasSubstr("is not I/N")) << text;
}

// --- Shapes --------------------------------------------------------------------------------------

TEST(ShapeKey, NumbersOfRowsMayDifferAndWhatShapesTensorsMayNot) {
  const auto shapes = [](const std::string& axis) {
    return TrialShapes(sweep_of(axis + "\n")).count();
  };
  for (const char* same : {"objective.kl_wt = 1, 2", "objective.beta = 1, 2",
                           "optimizer.lr = 0.1, 0.2", "objective.l2 = 0, 1", "train.seed = 1, 2",
                           "train.epochs = 1, 2", "objective.sigma_wt = 1, 2",
                           "objective.anneal = none, linear", "optimizer.clip_norm = 0, 1"})
    EXPECT_EQ(shapes(same), 1) << same;
  for (const char* other :
       {"model.latent = 2, 3", "model.encoder = 500; 300", "train.batch_size = 128, 64",
        "objective.kind = elbo, iwae", "optimizer.kind = adam, rmsprop",
        "optimizer.beta1 = 0.9, 0.8", "model.likelihood = bernoulli, continuous_bernoulli",
        "data.binarise = none, stochastic", "objective.sigma_wt = 0, 1",
        "objective.free_bits = 0, 1", "objective.samples = 1, 2",
        "optimizer.second_moment_start = 0, 1", "train.shuffle = true, false"})
    EXPECT_EQ(shapes(other), 2) << other;
}

TEST(ShapeKey, TrialsOfOneShapeHaveOneNumber) {
  const auto sweep = sweep_of("model.latent = 2, 3\nobjective.kl_wt = 1, 2\nrepeats = 2\n");
  const TrialShapes shapes(sweep);
  std::vector<int64_t> numbers;
  for (int64_t t = 0; t < sweep.space.trials(); ++t) numbers.push_back(shapes.of(t));
  EXPECT_THAT(numbers, ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
}

}  // namespace
}  // namespace elbow::launch::sweep
