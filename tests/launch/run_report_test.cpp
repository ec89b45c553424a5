#include "launch/run_report.h"

#include <gmock/gmock.h>

namespace elbow::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

RunDescription some_run() {
  RunDescription run;
  run.folder = "runs/a";
  run.observed = 784;
  run.parameters = 789286;
  run.leaves = 4;
  run.threads_per_rank = 1;
  run.backend = "mpi";
  run.ranks = {{"node-a", "cpu"}, {"node-b", "cpu"}};
  run.splits = {{"train", 60000}, {"test", 10000}};
  return run;
}

TEST(RunReport, ShowsBothWeightsWhicheverWasGiven) {
  trainer::Settings by_weight;
  by_weight.objective.kl_wt = 1e-3;
  EXPECT_THAT(settings_report(by_weight, some_run()), HasSubstr("beta 0.784 = kl_wt 0.001 * 784"));
  trainer::Settings by_beta;
  by_beta.objective.beta = 1;
  EXPECT_THAT(settings_report(by_beta, some_run()), HasSubstr("beta 1 = kl_wt 0.00127551 * 784"));
}

TEST(RunReport, ShowsDataModelTrainingAndRanks) {
  trainer::Settings settings;
  settings.train.reproducible = "exact";
  EXPECT_THAT(settings_report(settings, some_run()),
              AllOf(HasSubstr("runs/a"), HasSubstr("mnist: train 60000, test 10000 examples"),
                    HasSubstr("vae 784-500-(2)-500-784, tanh, 789286 parameters"),
                    HasSubstr("exact with 4 leaves"),
                    HasSubstr("2 (mpi) on node-a: cpu, node-b: cpu, 1 thread each")));
}

TEST(RunReport, CutsALongWorld) {
  RunDescription run = some_run();
  run.ranks.assign(64, {"node", "cpu"});
  EXPECT_THAT(settings_report({}, run), AllOf(HasSubstr("64 (mpi)"), HasSubstr("and 56 more")));
}

TEST(RunReport, SummaryNamesTheEndTheFilesAndTheNextCommand) {
  trainer::RunResult result;
  result.status = trainer::RunStatus::kComplete;
  result.epochs_done = 10;
  result.steps_done = 4690;
  result.final_metrics = {{.split = "test", .examples = 10000, .loss = 0.216, .elbo_nats = -169}};
  result.weights = "checkpoints/step_000004690/model.safetensors";
  EXPECT_THAT(summary_report(result, "runs/a"),
              AllOf(HasSubstr("complete: 10 epochs, 4690 steps"), HasSubstr("elbo -169.00 nats"),
                    HasSubstr("step_000004690/model.safetensors"),
                    HasSubstr("launch/elbow train runs/a/config.cfg")));
}

TEST(RunReport, SummaryTellsOfThePosteriorAndOfACollapse) {
  trainer::RunResult result;
  trainer::SplitMetrics metrics{.split = "test", .baseline_recon_nats = 205.8, .collapsed = false};
  metrics.posterior = {.mu_mean = {0, 0}, .active_units = 1, .mu_within_2sd = 0.42};
  result.final_metrics = {metrics};
  EXPECT_THAT(summary_report(result, "runs/a"),
              AllOf(HasSubstr("posterior  1 of 2 units active, 0.42 of means within 2 SD"),
                    Not(HasSubstr("collapsed"))));
  result.final_metrics[0].collapsed = true;
  EXPECT_THAT(summary_report(result, "runs/a"),
              HasSubstr("collapsed: the mean picture alone has recon 205.80"));
}

TEST(RunReport, SummaryOfAFailedRunSuggestsNothingAndLeavesTheSentenceToStandardError) {
  trainer::RunResult result;
  result.epochs_done = 1;
  result.error = "the loss of row 0 is not finite";
  EXPECT_THAT(summary_report(result, "runs/a"),
              AllOf(HasSubstr("failed after 1 epoch, 0 steps"), Not(HasSubstr("next")),
                    Not(HasSubstr("speed")), Not(HasSubstr("not finite"))));
}

TEST(RunReport, SummaryOfAnInterruptedRunSaysHowToStartItAgain) {
  trainer::RunResult result;
  result.status = trainer::RunStatus::kInterrupted;
  EXPECT_THAT(summary_report(result, "runs/a"),
              AllOf(HasSubstr("interrupted after 0 epochs"),
                    HasSubstr("next       launch/elbow resume runs/a")));
}

}  // namespace
}  // namespace elbow::launch
