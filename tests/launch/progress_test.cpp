#include "launch/progress.h"

#include <gmock/gmock.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>

#include "launch/progress_text.h"

namespace elbow::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using trainer::SplitMetrics;
using trainer::StepProgress;

StepProgress half_way() {
  return {.epoch = 6,
          .epochs = 10,
          .step_in_epoch = 0,
          .steps_per_epoch = 469,
          .steps_done = 2345,
          .seconds = 100,
          .examples_per_s = 12345.6,
          .loss = 0.21234};
}

SplitMetrics metrics_of(const char* split) {
  return {.split = split,
          .epoch = 3,
          .examples = 60000,
          .loss = 0.2231,
          .recon_nats = 167.5,
          .kl_nats = 5.126,
          .mu_mean = -0.01,
          .mu_std = 1.31,
          .sigma_mean = 0.112,
          .sigma_std = 0.051,
          .seconds = 2,
          .examples_per_s = 30000};
}

TEST(ProgressText, BarShowsEpochPercentEtaSpeedAndLoss) {
  EXPECT_EQ(
      bar_line(half_way(), 200),
      "epoch 6/10  50% [###############---------------] ETA 1:40  12346 examples/s  loss 0.2123");
}

TEST(ProgressText, BarNeverExceedsTheTerminal) {
  for (int columns = 0; columns < 120; ++columns)
    EXPECT_LE(bar_line(half_way(), columns).size(), static_cast<size_t>(columns));
  EXPECT_THAT(bar_line(half_way(), 60), AllOf(HasSubstr("50% ETA"), HasSubstr("loss 0.2123")))
      << "the bar goes first";
  EXPECT_EQ(bar_line(half_way(), 50), "epoch 6/10  50% [##---] ETA 1:40  12346 examples/s")
      << "no number is cut";
}

TEST(ProgressText, BarShowsTheHeldOutLossOfTheLastEpochWhereThereIsRoom) {
  const auto test = metrics_of("test");
  EXPECT_THAT(bar_line(half_way(), 80, test),
              AllOf(HasSubstr("["), testing::EndsWith("  loss 0.2123  test 0.2231")));
  EXPECT_THAT(bar_line(half_way(), 60, test), testing::EndsWith("  loss 0.2123"));
}

TEST(ProgressText, BarSurvivesNumbersThatAreNotFinite) {
  StepProgress progress = half_way();
  progress.loss = std::numeric_limits<double>::quiet_NaN();
  progress.seconds = std::numeric_limits<double>::infinity();
  EXPECT_THAT(bar_line(progress, 100), HasSubstr("loss nan"));
  EXPECT_LE(bar_line(StepProgress{}, 80).size(), 80u);
}

TEST(ProgressText, EtaIsThePaceOfThisLaunchTimesWhatIsLeft) {
  EXPECT_DOUBLE_EQ(seconds_left(half_way()), 100);
  StepProgress resumed = half_way();
  resumed.steps_done = 469;
  EXPECT_DOUBLE_EQ(seconds_left(resumed), 500);
  EXPECT_EQ(seconds_left(StepProgress{}), 0);
}

TEST(ProgressText, EpochLineHasBothSplitsAndThePosterior) {
  EXPECT_EQ(
      epoch_line(metrics_of("train"), metrics_of("test"), 10),
      "epoch  3/10  train loss 0.2231 recon 167.50 kl 5.13 | test loss 0.2231 recon 167.50 kl 5.13"
      " | mu -0.010 sd 1.310 sigma 0.112 sd 0.051 | 4.0 s 30000 examples/s");
}

void report_one_epoch(ProgressStyle style) {
  const auto progress = make_progress(style, /*epochs=*/10);
  progress->on_step(half_way());
  progress->on_epoch(metrics_of("train"), metrics_of("test"));
}

// What a terminal of `columns` columns is sent when standard output and error are that terminal.
std::string sent_to_terminal(int columns, ProgressStyle style) {
  int terminal = -1;
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    report_one_epoch(style);
    _exit(0);
  }
  std::string sent;
  char part[4096];
  for (ssize_t count = 0; (count = read(terminal, part, sizeof part)) > 0;)
    sent.append(part, static_cast<size_t>(count));
  close(terminal);
  waitpid(child, nullptr, 0);
  return sent;
}

TEST(Progress, DrawsABarOnATerminalAndKeepsTheEpochsLineAboveIt) {
  const std::string sent = sent_to_terminal(80, ProgressStyle::kAuto);
  EXPECT_THAT(sent,
              AllOf(HasSubstr("\repoch 6/10  50% ["), HasSubstr("\x1b[Kepoch  3/10  train 0.2231"),
                    testing::EndsWith("\r\x1b[K")));
}

TEST(Progress, ShowsTheWholeLineOfAnEpochWhereItFits) {
  EXPECT_THAT(sent_to_terminal(200, ProgressStyle::kAuto), HasSubstr("epoch  3/10  train loss"));
  EXPECT_THAT(short_epoch_line(metrics_of("train"), metrics_of("validation"), 1000).size(),
              testing::Lt(80u));
}

TEST(Progress, BarLeavesTheLastColumnFree) {
  const std::string sent = sent_to_terminal(40, ProgressStyle::kBar);
  const size_t start = sent.find('\r') + 1;
  EXPECT_EQ(sent.substr(start, sent.find("\x1b[K") - start),
            "epoch 6/10  50% [######------] ETA 1:40");
}

TEST(Progress, PlainAndNoneSendNoControlCharacters) {
  EXPECT_THAT(sent_to_terminal(80, ProgressStyle::kPlain),
              AllOf(HasSubstr("epoch  3/10"), testing::Not(HasSubstr("\x1b"))));
  EXPECT_EQ(sent_to_terminal(80, ProgressStyle::kNone), "");
}

}  // namespace
}  // namespace elbow::launch
