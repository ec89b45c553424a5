#include "launch/sweep/sweep_results.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "launch/sweep/frontier.h"
#include "launch/sweep/result_figures.h"
#include "launch/sweep/sobol.h"
#include "launch/sweep/sweep_page.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

StudyHead head_of(const std::string& fingerprint = "f") {
  return {
      .name = "a",
      .metric = "elbo_nats",
      .fingerprint = fingerprint,
      .axes = {{.key = "objective.kl_wt", .scale = AxisScale::kLogarithmic, .low = 1e-3, .high = 1},
               {.key = "model.activation", .high = 1, .categories = {"tanh", "relu, or so"}}}};
}

LedgerTrial trial_of(int64_t number, const std::string& kl_wt, double rate, double distortion,
                     int64_t seed = 1) {
  return {.number = number,
          .state = TrialState::kComplete,
          .values = {kl_wt, "tanh"},
          .seed = seed,
          .by_epoch = {{1, -rate - distortion - 10}, {2, -rate - distortion}},
          .value = -rate - distortion,
          .attributes = {{"kl_nats", rate},
                         {"recon_nats", distortion},
                         {"elbo_nats", -rate - distortion},
                         {"kl_wt", std::stod(kl_wt)},
                         {"beta", 784 * std::stod(kl_wt)},
                         {"active_units", 2.0}}};
}

TEST(SweepResults, MergesShardsByTrialNumber) {
  LedgerContents first, second;
  first.head = second.head = head_of();
  first.trials = {trial_of(2, "0.1", 3, 100), trial_of(0, "0.1", 3, 100)};
  first.trials[0].state = TrialState::kRunning;
  second.trials = {trial_of(1, "0.1", 3, 100), trial_of(2, "0.1", 4, 100)};
  const auto results = merged(std::vector{first, second});
  ASSERT_EQ(results.trials.size(), 3u);
  for (int64_t t = 0; t < 3; ++t) EXPECT_EQ(results.trials[t].number, t);
  EXPECT_EQ(results.trials[2].state, TrialState::kComplete);  // the one that is finished counts
  second.head = head_of("g");
  EXPECT_THROW(merged(std::vector{first, second}), trainer::SettingError);
}

TEST(SweepResults, TheBestTrialIsACompleteOne) {
  SweepResults results{.head = head_of(),
                       .trials = {trial_of(0, "0.1", 3, 100), trial_of(1, "0.1", 3, 90),
                                  trial_of(2, "0.1", 3, 80), trial_of(3, "0.1", 3, 90)}};
  results.trials[2].state = TrialState::kPruned;
  EXPECT_EQ(best_trial(results)->number, 1);
  results.head.larger_is_better = false;
  EXPECT_EQ(best_trial(results)->number, 0);
  EXPECT_EQ(best_trial({.head = head_of(), .trials = {}}), nullptr);
}

TEST(SweepResults, TheTableQuotesAndKeepsEveryBit) {
  SweepResults results{.head = head_of(), .trials = {trial_of(0, "0.1", 0.1 + 0.2, 100)}};
  results.trials[0].values[1] = "relu, or so";
  results.trials[0].attributes["host"] = "n \"1\"";
  results.trials.push_back(
      {.number = 1, .values = {"1", "tanh"}, .seed = 2, .by_epoch = {{1, -7}}});
  EXPECT_EQ(results_csv(results),
            "trial,state,objective.kl_wt,model.activation,seed,epochs,elbo_nats,active_units,beta,"
            "host,kl_nats,kl_wt,recon_nats\n"
            "0,complete,0.1,\"relu, or so\",1,2,-100.3,2,78.4,\"n \"\"1\"\"\",0.30000000000000004,"
            "0.1,100\n"
            "1,running,1,tanh,2,1,-7,,,,,,\n");
  const auto summary = summary_text(results, 1);
  EXPECT_THAT(summary, HasSubstr("-100.3"));
  EXPECT_EQ(std::count(summary.begin(), summary.end(), '\n'), 2);
}

TEST(Frontier, AveragesOverSeedsAndFindsWhatIsNotDominated) {
  SweepResults results{.head = head_of(),
                       .trials = {trial_of(0, "1", 1, 200), trial_of(1, "0.1", 5, 150),
                                  trial_of(2, "0.1", 7, 154, /*seed=*/2),
                                  trial_of(3, "0.01", 8, 160), trial_of(4, "0.001", 9, 120)}};
  results.trials.push_back(trial_of(5, "0.001", 0, 0));
  results.trials.back().state = TrialState::kPruned;
  const auto points = rate_distortion(results);
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[1].seeds, 2);
  EXPECT_EQ(points[1].rate.mean, 6);
  EXPECT_THAT(points[1].rate.deviation, DoubleNear(std::sqrt(2.0), 1e-12));
  EXPECT_EQ(points[1].distortion.mean, 152);
  EXPECT_EQ(points[0].rate.deviation, 0);
  std::vector<bool> on;
  for (const auto& point : points) on.push_back(point.on_frontier);
  EXPECT_THAT(on, ElementsAre(true, true, false, true));  // 0.01 is worse than 0.1 in both
  const auto csv = frontier_csv(results, points);
  EXPECT_THAT(csv, StartsWith("objective.kl_wt,model.activation,kl_wt,beta,seeds,kl_nats,"));
  EXPECT_THAT(csv, HasSubstr("\n0.1,tanh,0.1,78.4,2,6,1.4142135623730951,152,2.8284271247461903,"
                             "-158,4.242640687119285,2,0,1\n"));
}

TEST(SweepResults, AnAxisThatDecidesEverythingHasAllTheImportance) {
  SweepResults results{.head = head_of(), .trials = {}};
  for (int64_t i = 0; i < 40; ++i) {
    auto trial = trial_of(i, i % 2 == 0 ? "1" : "0.001", i % 2 == 0 ? 1.0 : 9.0, 100);
    trial.values[1] = (i / 2) % 2 == 0 ? "tanh" : "relu, or so";
    results.trials.push_back(std::move(trial));
  }
  const auto importance = axis_importance(results);
  EXPECT_THAT(importance[0], DoubleNear(1, 1e-12));
  EXPECT_THAT(importance[1], DoubleNear(0, 1e-12));
  results.trials.resize(2);
  EXPECT_TRUE(std::isnan(axis_importance(results)[0]));
}

// A sweep as it may be: twelve weights, two seeds, every third trial stopped at epoch 3.
SweepResults many_trials() {
  SweepResults results{.head = head_of(), .trials = {}};
  for (int64_t i = 0; i < 36; ++i) {
    const double weight = 1e-3 * std::pow(10.0, static_cast<double>(i % 12) / 4);
    const double noise = drawn_share(1, i, 0);
    const double rate = 9 / (1 + 8 * weight) - 0.9 + 0.3 * noise;
    const double distortion = 205 - 60 * (1 - std::exp(-0.25 * rate)) + 2 * drawn_share(1, i, 1);
    auto trial = trial_of(i, std::to_string(weight), rate, distortion, 1 + i / 12);
    if (i % 5 == 0) trial.values[1] = "relu, or so";
    trial.attributes["active_units"] = weight > 0.3 ? 0.0 : weight > 0.1 ? 1.0 : 2.0;
    trial.by_epoch.clear();
    const int64_t last = i % 3 == 2 ? 3 : 9;
    for (int64_t e = 1; e <= last; ++e)
      trial.by_epoch[e] = *trial.value - 40.0 / static_cast<double>(e) * (1 + noise);
    trial.value = trial.by_epoch[last];
    if (i % 3 == 2) trial.state = TrialState::kPruned;
    results.trials.push_back(std::move(trial));
  }
  return results;
}

std::vector<TrialCodes> codes_of(const SweepResults& results) {
  std::vector<TrialCodes> codes;
  for (const int64_t t : trials_to_picture(results)) {
    const auto angle = at::arange(600, at::kFloat) * 2.399963F;
    const auto radius =
        (at::arange(600, at::kFloat) / 600).sqrt() *
        static_cast<float>(3.5 / (1 + 3 * *results.trials[t].number_attribute("kl_wt")));
    std::vector<uint8_t> labels;
    for (int i = 0; i < 600; ++i) labels.push_back(static_cast<uint8_t>(i / 60));
    codes.push_back({t, at::stack({radius * angle.cos(), radius * angle.sin()}, 1),
                     at::full({600, 2}, 0.2), labels});
  }
  return codes;
}

TEST(SweepFigures, PosteriorsAreOfOneTrialAWeightAndOfAFewWeights) {
  auto results = many_trials();
  EXPECT_THAT(trials_to_picture(results), ElementsAre(0, 1, 3, 4, 6, 7, 9, 10));  // 2, 5, … pruned
  results.trials.clear();
  for (int64_t i = 0; i < 100; ++i)
    results.trials.push_back(trial_of(i, std::to_string(i + 1), 1, 1));
  const auto chosen = trials_to_picture(results);
  EXPECT_EQ(chosen.size(), 16u);
  EXPECT_EQ(chosen.front(), 0);
  EXPECT_GT(chosen.back(), 90);
}

TEST(SweepPage, HasATableOfAllTrialsWithLinks) {
  auto results = many_trials();
  results.trials[0].values[1] = "<b>";
  std::vector<std::string> links(results.trials.size());
  links[1] = "trials/000001/";
  const auto html = html_of(sweep_page(results, {}, links, {"Trial 3 is not pictured: <i>."}));
  EXPECT_THAT(html, HasSubstr("36 trials: 24 complete, 12 pruned."));
  EXPECT_THAT(html, HasSubstr("<tr><th><a href=\"trials/000001/\">1</a></th><td>complete</td>"));
  EXPECT_THAT(html,
              HasSubstr("<tr><th>0</th><td>complete</td><td>0.001000</td><td>&lt;b&gt;</td>"));
  EXPECT_THAT(html, HasSubstr("not pictured: &lt;i&gt;."));
  EXPECT_THAT(html, HasSubstr("Best by elbo_nats: trial "));
}

// ELBOW_FIGURES=FOLDER keeps the pictures and a page, to look at.
TEST(SweepFigures, AllAreDrawnOfASweepAndOfTheSmallestOne) {
  const char* folder = std::getenv("ELBOW_FIGURES");
  const auto results = many_trials();
  std::vector<std::string> names;
  for (const auto& figure : sweep_figures(results, codes_of(results))) {
    names.push_back(figure.name);
    const auto png = figures::png_of(figure.figure);
    EXPECT_THAT(png, StartsWith("\x89PNG"));
    EXPECT_THAT(figures::svg_of(figure.figure), HasSubstr("<svg"));
    if (folder != nullptr)
      std::ofstream(std::string(folder) + "/" + figure.name + ".png", std::ios::binary) << png;
  }
  if (folder != nullptr)
    std::ofstream(std::string(folder) + "/report.html", std::ios::binary)
        << html_of(sweep_page(results, sweep_figures(results, codes_of(results)), {}, {}));
  EXPECT_THAT(names, ElementsAre("rate_distortion", "active_units", "rungs", "parallel_coordinates",
                                 "posteriors"));
  EXPECT_TRUE(sweep_figures({.head = head_of(), .trials = {}}).empty());
  for (const auto& figure : sweep_figures({.head = head_of(), .trials = {trial_of(0, "1", 1, 1)}}))
    EXPECT_THAT(figures::png_of(figure.figure), StartsWith("\x89PNG")) << figure.name;
}

}  // namespace
}  // namespace elbow::launch::sweep
