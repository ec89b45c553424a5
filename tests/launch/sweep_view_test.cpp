#include "launch/cluster/sweep_view.h"

#include <gmock/gmock.h>

namespace elbow::launch::cluster {
namespace {

using testing::HasSubstr;

SweepMoment moment() {
  SweepMoment moment{
      .status = {.trials = 12, .complete = 4, .pruned = 1, .failed = 1, .running = 3},
      .seconds = 70,
      .measured_seconds = 60,
      .epochs_per_trial = 3,
      .metric = "elbo_nats",
      .best = "objective.kl_wt = 0.001"};
  moment.status.epochs = 15;
  moment.status.best = 7;
  moment.status.best_value = -153.25;
  moment.status.groups = {{.rows = 2, .running = 2, .examples_per_s = 30000},
                          {.rows = 2, .running = 1, .examples_per_s = 20000},
                          {.rows = 2, .running = 0, .examples_per_s = 9000, .left = true}};
  return moment;
}

TEST(SweepView, ALineCountsTrialsAndNamesTheBest) {
  const auto line = sweep_line(moment());
  EXPECT_THAT(line, HasSubstr("trials 4/12 complete, 3 running, 1 pruned, 1 failed, 3 waiting"));
  EXPECT_THAT(line, HasSubstr("50000 examples/s"));  // of the groups that train
  EXPECT_THAT(line, HasSubstr("44 s left"));  // 4.5 trials of 3 epochs, 15 a minute, 10 s ago
  EXPECT_THAT(line, HasSubstr("best elbo_nats -153.25 of trial 7 (objective.kl_wt = 0.001)"));
}

TEST(SweepView, BeforeTheFirstEpochNothingIsPromised) {
  auto first = moment();
  first.status.epochs = 0;
  first.status.best.reset();
  EXPECT_THAT(sweep_line(first), testing::Not(HasSubstr("left")));
  EXPECT_THAT(sweep_line(first), testing::Not(HasSubstr("best")));
  first.status.groups = {{.rows = 0}, {.rows = 2, .running = 1}, {.rows = 64, .running = 17}};
  EXPECT_THAT(sweep_line(first), testing::Not(HasSubstr("examples/s")));
  const auto table = sweep_table(first, 80);
  EXPECT_THAT(table, HasSubstr("group 0    makes ready\n"));
  EXPECT_THAT(table, HasSubstr("group 1    [#.] 1/2 rows\n"));
  EXPECT_THAT(table, HasSubstr("group 2    [######..............] 17/64 rows\n"));
}

TEST(SweepView, TheTableShowsRowsInUseAndFitsTheTerminal) {
  const auto table = sweep_table(moment(), 60);
  EXPECT_THAT(table, HasSubstr("group 0    [##] 2/2 rows, 30000 examples/s\n"));
  EXPECT_THAT(table, HasSubstr("group 1    [#.] 1/2 rows"));
  EXPECT_THAT(table, HasSubstr("group 2    gone"));
  size_t begin = 0;
  for (size_t end = table.find('\n'); end != std::string::npos; end = table.find('\n', begin)) {
    EXPECT_LT(end - begin, 60U);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace elbow::launch::cluster
