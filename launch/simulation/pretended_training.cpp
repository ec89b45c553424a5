#include "launch/simulation/pretended_training.h"

#include <utility>

#include "launch/sweep/sobol.h"

namespace elbow::launch::simulation {
namespace {

using cluster::RowEnd;
using cluster::RowNews;

constexpr int64_t kMostEpochs = 100'000;  // of one group, or of one trial: to number chances

// As long as a real trial's at its end.
sweep::Attributes attributes_of(double value) {
  sweep::Attributes all;
  for (const char* name :
       {"active_units", "active_units_kl", "beta", "elbo_nats", "epochs", "kl_nats", "kl_wt",
        "loss", "mu_std", "recon_nats", "sigma_mean", "sigma_min"})
    all[name] = value;
  return all;
}

}  // namespace

double share_of(uint64_t seed, Chance chance, int64_t index) {
  return sweep::drawn_share(seed, index, static_cast<int64_t>(chance));
}

PretendedGroup::PretendedGroup(Cluster& cluster, int64_t number)
    : cluster_(cluster), number_(number), slowness_(1) {
  const auto& settings = cluster_.settings;
  if (share_of(settings.seed, Chance::kStraggler, number) < settings.stragglers)
    slowness_ = settings.straggler_slowness;
}

void PretendedGroup::report() {
  cluster::Report report{.group = number_,
                         .number = ++reports_,
                         .rows = cluster_.settings.rows,
                         .running = {rows_.begin(), rows_.end()},
                         .news = news_,
                         .examples_per_s = 60'000 / (cluster_.settings.epoch_s * slowness_)};
  waiting_ = true;
  cluster_.mailbox.post(static_cast<int>(number_), letter_of(report));
}

void PretendedGroup::report_again() {
  if (waiting_ && !died_s_) report();
}

void PretendedGroup::take(const std::string& letter) {
  const auto orders = cluster::orders_from(letter);
  if (died_s_ || orders.number != reports_) return;
  waiting_ = false;
  news_.clear();
  if (orders.leave) {
    for (const int64_t trial : std::set(rows_)) close(trial, {.trial = trial});
    news_.clear();
    return;
  }
  for (const int64_t trial : orders.stop)
    if (rows_.contains(trial)) close(trial, {.trial = trial, .end = RowEnd::kPruned});
  for (const auto& start : orders.begin) open(start);
  if (!news_.empty() || rows_.empty()) return report();
  train();
}

void PretendedGroup::open(const cluster::TrialStart& start) {
  auto& folder = cluster_.trials.at(start.trial);
  if (!folder.begun_s) folder.begun_s = cluster_.time.now();
  if (++folder.holders > 1) ++cluster_.trained_at_once;
  rows_.insert(start.trial);
  if (folder.end) {
    close(start.trial, {.trial = start.trial, .end = *folder.end});
  } else if (!start.prune.empty()) {
    close(start.trial, {.trial = start.trial, .end = RowEnd::kPruned});
  }
}

// The row is free; a trial that has ended keeps that on the disk.
void PretendedGroup::close(int64_t trial, RowNews news) {
  auto& folder = cluster_.trials[trial];
  rows_.erase(trial);
  --folder.holders;
  if (news.end != RowEnd::kNone && news.end != RowEnd::kBroken) {
    folder.end = news.end;
    if (news.end != RowEnd::kFailed) {
      news.value = -100 - 50 * share_of(cluster_.settings.seed, Chance::kValue, trial) -
                   30.0 / static_cast<double>(std::max<int64_t>(1, folder.epochs_done));
      news.attributes = attributes_of(news.value);
    }
  }
  news_.push_back(std::move(news));
}

void PretendedGroup::train() {
  const auto& settings = cluster_.settings;
  const double jitter =
      settings.jitter *
      (2 * share_of(settings.seed, Chance::kEpoch, number_ * kMostEpochs + epochs_++) - 1);
  const double seconds =
      settings.epoch_s * slowness_ * (1 + jitter) * static_cast<double>(rows_.size());
  training_since_s_ = cluster_.time.now();
  cluster_.time.plan(cluster_.time.now() + seconds, [this] { end_epoch(); });
}

void PretendedGroup::end_epoch() {
  if (died_s_) return;
  double useful = 0;
  const auto rows = std::set(rows_);
  for (const int64_t trial : rows) useful += end_epoch_of(trial);
  work_.push_back(
      {*training_since_s_, cluster_.time.now(), useful / static_cast<double>(rows.size())});
  training_since_s_.reset();
  report();
}

// 1 where the epoch counts.
double PretendedGroup::end_epoch_of(int64_t trial) {
  const auto& settings = cluster_.settings;
  auto& folder = cluster_.trials[trial];
  const auto chance = [&](Chance of, int64_t index) { return share_of(settings.seed, of, index); };
  if (chance(Chance::kBreak, trial * kMostEpochs + folder.attempts++) < settings.breaking) {
    close(trial, {.trial = trial, .end = RowEnd::kBroken, .error = "cannot write: No space left"});
    return 0;
  }
  ++folder.epochs_done;
  if (chance(Chance::kDiverge, trial) < settings.diverging) {
    close(trial, {.trial = trial, .end = RowEnd::kFailed, .error = "the loss is not finite"});
    return 1;
  }
  if (folder.epochs_done == folder.epochs) {
    close(trial, {.trial = trial, .epoch = folder.epochs_done, .end = RowEnd::kComplete});
    return 1;
  }
  if (folder.epochs_done > folder.epochs) ++cluster_.completed_twice;
  news_.push_back({.trial = trial,
                   .epoch = folder.epochs_done,
                   .value = -100 - 50 * chance(Chance::kValue, trial) -
                            30.0 / static_cast<double>(folder.epochs_done)});
  return 1;
}

void PretendedGroup::die() {
  died_s_ = cluster_.time.now();
  if (training_since_s_) work_.push_back({*training_since_s_, *died_s_, 0});
  for (const int64_t trial : std::exchange(rows_, {})) --cluster_.trials[trial].holders;
}

}  // namespace elbow::launch::simulation
