#include "launch/cluster/group.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "comm/error.h"
#include "comm/text.h"
#include "launch/cluster/messages.h"
#include "launch/cluster/pack_size.h"
#include "launch/cluster/succession.h"
#include "launch/cluster/trial_row.h"
#include "launch/effective_config.h"
#include "launch/sweep/shape_key.h"
#include "launch/training.h"
#include "trainer/checkpoint_exchange.h"
#include "trainer/error.h"
#include "trainer/healing.h"
#include "trainer/starting_weights.h"
#include "trainer/trainer.h"

namespace elbow::launch::cluster {
namespace {

using Json = nlohmann::json;
using trainer::RunStatus;
using Box = comm::Mailbox::Box;
using Clock = std::chrono::steady_clock;

constexpr int kFailed = 1, kResumable = 75;
constexpr std::chrono::milliseconds kLongestPause{20};
// Whoever has work gets it by then, and stops in it.
constexpr std::chrono::seconds kPatience{1};

// The part of a configuration that decides what data there is.
std::string data_key(const trainer::DataSettings& data) {
  ParsedConfig config;
  config.settings.data = data;
  config.settings.objective.beta = 1;
  return effective_config(config, /*observed=*/std::nullopt);
}

// What the leader tells the other ranks after each talk with the coordinator.
struct Plan {
  struct Put {
    int64_t row;
    int64_t trial;
    int64_t source;  // whose weights are the first ones, or kNoTrial
  };
  std::vector<int64_t> clear{};  // rows whose trials have ended
  std::vector<Put> put{};
  bool settled = false;  // nothing is left to talk about: the pack trains
  bool leave = false;
  int exit_code = 0;
};

std::string text_of(const Plan& plan) {
  Json json = {{"clear", plan.clear},
               {"put", Json::array()},
               {"settled", plan.settled},
               {"leave", plan.leave},
               {"exit_code", plan.exit_code}};
  for (const auto& put : plan.put) json["put"].push_back({put.row, put.trial, put.source});
  return json.dump();
}

Plan plan_of(const std::string& text) {
  const auto json = Json::parse(text);
  Plan plan{.clear = json["clear"],
            .settled = json["settled"],
            .leave = json["leave"],
            .exit_code = json["exit_code"]};
  for (const auto& put : json["put"]) plan.put.push_back({put[0], put[1], put[2]});
  return plan;
}

class Group {
 public:
  Group(const GroupParts& parts, std::shared_ptr<comm::Communicator> ranks, trainer::Dataset data)
      : parts_(parts),
        ranks_(std::move(ranks)),
        members_(*ranks_),
        data_(std::make_unique<trainer::Dataset>(std::move(data))),
        data_key_(data_key(parts.sweep.base.settings.data)) {}

  int run();

 private:
  // Every rank.
  void begin();
  bool settle();
  void put(const Plan::Put& put);
  bool take_checkpoint(const Plan::Put& put, std::optional<trainer::Checkpoint>& checkpoint);
  bool take_weights(const Plan::Put& put, at::Tensor& weights);
  void make_pack(const trainer::Settings& settings);
  void take_data(const trainer::DataSettings& settings);
  void train();
  void heal();

  // The leader.
  Plan make_plan();
  Orders ask();
  std::optional<Orders> answer_of(int coordinator);
  Report report() const;
  void open(const TrialStart& start, Plan& plan);
  RowSetting setting_of(int64_t trial) const;
  void start_row(const Plan::Put& put, const std::optional<trainer::Checkpoint>& checkpoint);
  void end_row(int64_t row, RunStatus status, int code, const std::string& why);
  template <class Work>
  void with_row(int64_t row, const Work& work);
  void measured(const trainer::EpochResult& epoch);
  std::optional<int64_t> row_of_trial(int64_t trial) const;
  bool any_row() const;

  bool leads() const { return ranks_->rank() == 0; }
  ParsedConfig config_of_trial(int64_t trial) const {
    return config_of(parts_.sweep, parts_.sweep.space.trial(trial));
  }

  const GroupParts& parts_;
  std::shared_ptr<comm::Communicator> ranks_;
  trainer::Members members_;
  std::vector<std::string> device_names_;  // by rank of the group
  std::unique_ptr<trainer::Dataset> data_;
  std::string data_key_;
  std::unique_ptr<trainer::Trainer> trainer_;
  std::string shape_;   // the trainer's
  int64_t places_ = 0;  // rows of a pack
  int exit_code_ = kResumable;

  // The leader's.
  std::vector<std::unique_ptr<TrialRow>> rows_;
  std::vector<int64_t> ended_;  // rows that the others do not know of yet
  std::vector<RowNews> news_;
  std::vector<std::string> lost_;
  std::string interrupted_;
  double examples_per_s_ = 0;
  int64_t reports_ = 0;
};

// --- The loop ------------------------------------------------------------------------------------

int Group::run() {
  while (true) {
    try {
      begin();
      while (settle()) train();
      // Otherwise one was lost on the way out, and not all may have heard of the order to leave.
      if (ranks_->agree(true) || !parts_.devices.own.is_cpu()) return exit_code_;
    } catch (const comm::PeerLost& loss) {
      parts_.log(loss.what());
      if (!parts_.devices.own.is_cpu()) throw trainer::Unfinished(loss.what());
    }
    heal();
  }
}

void Group::begin() {
  ranks_->at(0, "sweep");
  device_names_ = comm::gather_texts(*ranks_, parts_.device_name);
  const auto& sweep = parts_.sweep;
  places_ = sweep.settings.rows_per_pack;
  if (places_ == 0) {
    places_ = rows_per_pack(config_of_trial(0).settings, *data_, *ranks_, parts_.team,
                            parts_.devices.own, parts_.trials_per_group);
  }
  rows_.resize(places_);
}

// Talks with the coordinator until the rows are those that it wants. False: this group is done.
bool Group::settle() {
  while (true) {
    const auto plan = plan_of(
        comm::broadcast_text(*ranks_, leads() ? text_of(make_plan()) : std::string(), /*root=*/0));
    exit_code_ = plan.exit_code;
    if (plan.leave) return false;
    for (const int64_t row : plan.clear) {
      parts_.log(fmt::format("row {} is free", row));
      if (trainer_) trainer_->clear_row(row);
    }
    for (const auto& one : plan.put) put(one);
    if (plan.settled && trainer_ &&
        std::ranges::any_of(trainer_->pack().rows, &trainer::Row::active))
      return true;
  }
}

void Group::train() {
  std::vector<trainer::Observer*> observers(rows_.size(), nullptr);
  for (size_t row = 0; row < rows_.size(); ++row)
    if (rows_[row]) observers[row] = rows_[row]->observer();
  const auto after_step = [this] {
    for (size_t row = 0; row < rows_.size(); ++row)
      with_row(static_cast<int64_t>(row), [](TrialRow& trial) { trial.save_where_due(); });
  };
  trainer::EpochResult epoch;
  try {
    epoch = trainer_->run_epoch(trainer::RowObservers(std::move(observers)), &parts_.interruption,
                                after_step);
  } catch (const trainer::NonFinite& error) {
    trainer_->clear_row(error.row());
    epoch.nonfinite = {error};
    epoch.train.resize(rows_.size());
    epoch.held_out.resize(rows_.size());
  }
  if (leads()) measured(epoch);
}

// --- What all ranks do ---------------------------------------------------------------------------

// A trial that cannot be built is refused by all ranks alike.
void Group::put(const Plan::Put& put) {
  const auto config = config_of_trial(put.trial);
  parts_.log(fmt::format("trains trial {} in row {}", put.trial, put.row));
  try {
    take_data(config.settings.data);
    make_pack(config.settings);
  } catch (const trainer::SettingError& error) {
    shape_.clear();
    trainer_.reset();
    if (!leads()) return;
    rows_[put.row].reset();
    news_.push_back({.trial = put.trial, .end = RowEnd::kFailed, .error = error.what()});
    return;
  }
  std::optional<trainer::Checkpoint> checkpoint;
  if (!take_checkpoint(put, checkpoint)) return;
  at::Tensor weights;
  if (!checkpoint && put.source != kNoTrial && !take_weights(put, weights)) return;
  trainer_->put_row(put.row, config.settings, checkpoint ? &checkpoint->snapshot : nullptr,
                    weights);
  if (leads()) start_row(put, checkpoint);
}

// What the leader has read, on all ranks. False where it cannot be used.
bool Group::take_checkpoint(const Plan::Put& put, std::optional<trainer::Checkpoint>& checkpoint) {
  const auto names = trainer::tensor_names(*trainer_);
  std::string there;
  if (leads()) {
    try {
      if (const auto& stored = rows_[put.row]->checkpoint()) {
        checkpoint = with_tensors(*stored, names);
        there = "there";
      }
    } catch (const trainer::DamagedCheckpoint& damage) {
      rows_[put.row].reset();
      news_.push_back({.trial = put.trial, .end = RowEnd::kBroken, .error = damage.what()});
      there = "damaged";
    }
  }
  there = comm::broadcast_text(*ranks_, there, /*root=*/0);
  if (there == "damaged") return false;
  if (there.empty()) return true;
  if (!checkpoint) checkpoint.emplace();
  trainer::broadcast(*ranks_, *checkpoint, /*root=*/0, names);
  return true;
}

// The last weights of another trial, as elbow train --init-from takes them. False where they cannot
// be read.
bool Group::take_weights(const Plan::Put& put, at::Tensor& weights) {
  const auto& layout = trainer_->model().layout();
  weights = at::zeros({layout.size()});
  std::string problem;
  if (leads()) {
    try {
      const auto file = trainer::read_starting_weights(parts_.directory.trial(put.source).path());
      layout.from_named(file.tensors, weights);
    } catch (const std::exception& error) {
      problem = error.what();
      rows_[put.row].reset();
      news_.push_back({.trial = put.trial, .end = RowEnd::kBroken, .error = problem});
    }
  }
  if (!comm::broadcast_text(*ranks_, problem, /*root=*/0).empty()) return false;
  ranks_->broadcast(weights, /*root=*/0);
  return true;
}

void Group::make_pack(const trainer::Settings& settings) {
  auto shape = sweep::shape_key(settings);
  if (trainer_ && shape == shape_) return;
  trainer_.reset();
  trainer_ = std::make_unique<trainer::Trainer>(
      settings, std::vector<trainer::Row>(places_, {.active = false}), *data_, *ranks_, parts_.team,
      parts_.devices.own);
  shape_ = std::move(shape);
}

void Group::take_data(const trainer::DataSettings& settings) {
  auto key = data_key(settings);
  if (key == data_key_) return;
  trainer_.reset();
  data_key_.clear();
  *data_ = trainer::load_dataset(settings);
  data_key_ = std::move(key);
}

void Group::heal() {
  for (auto& row : rows_) row.reset();
  trainer_.reset();
  ended_.clear();
  while (true) {
    ranks_ = ranks_->shrink();
    try {
      const auto lost = members_.reduce_to(*ranks_);
      lost_.insert(lost_.end(), lost.begin(), lost.end());
      if (lost_.empty()) lost_.push_back("a connection");
      return;
    } catch (const comm::PeerLost&) {
    }
  }
}

// --- What the leader does ------------------------------------------------------------------------

std::optional<int64_t> Group::row_of_trial(int64_t trial) const {
  for (size_t row = 0; row < rows_.size(); ++row)
    if (rows_[row] && rows_[row]->trial() == trial) return static_cast<int64_t>(row);
  return std::nullopt;
}

bool Group::any_row() const {
  return std::ranges::any_of(rows_, [](const auto& row) { return row != nullptr; });
}

Plan Group::make_plan() {
  const auto orders = ask();
  Plan plan{.leave = orders.leave, .exit_code = orders.exit_code};
  if (orders.leave) {
    for (size_t row = 0; row < rows_.size(); ++row)
      end_row(static_cast<int64_t>(row), RunStatus::kInterrupted, kResumable, "the sweep's end");
    return plan;
  }
  for (const int64_t trial : orders.stop)
    if (const auto row = row_of_trial(trial)) end_row(*row, RunStatus::kPruned, 0, "");
  plan.clear = std::exchange(ended_, {});
  for (const auto& start : orders.begin) open(start, plan);
  const bool told_at_start = std::ranges::any_of(
      plan.put, [this](const auto& put) { return rows_[put.row]->has_news_at_start(); });
  plan.settled = news_.empty() && any_row() && !told_at_start;
  return plan;
}

Report Group::report() const {
  Report report{.group = parts_.group,
                .number = reports_,
                .rows = places_,
                .batch = trainer_ ? trainer_->pack().batch : 0,
                .news = news_,
                .examples_per_s = examples_per_s_,
                .interrupted = interrupted_,
                .lost = lost_};
  for (const auto& row : rows_)
    if (row) report.running.push_back(row->trial());
  return report;
}

// Waits as long as it takes. Where the one in charge dies, the next one is asked the same.
Orders Group::ask() {
  const comm::Communicator::Waiting waiting(*ranks_);
  while (true) {
    ++reports_;
    const int coordinator = in_charge(parts_.mailbox);
    if (!parts_.mailbox.send(coordinator, Box::kCoordinator, letter_of(report()))) continue;
    if (auto orders = answer_of(coordinator)) {
      news_.clear();
      lost_.clear();
      return *orders;
    }
  }
}

// To the last report. Nothing: it is to be made anew, because the one in charge is dead, or this
// process has been asked to stop.
std::optional<Orders> Group::answer_of(int coordinator) {
  auto& mailbox = parts_.mailbox;
  const bool was_interrupted = !interrupted_.empty();
  const auto patience = Clock::now() + kPatience;
  auto pause = std::chrono::milliseconds(1);
  while (was_interrupted || Clock::now() < patience || !parts_.interruption.requested()) {
    while (const auto letter = mailbox.receive(coordinator, Box::kGroup)) {
      auto orders = orders_from(*letter);
      if (orders.number == reports_) return orders;
    }
    if (mailbox.lost(coordinator)) return std::nullopt;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
  interrupted_ = parts_.interruption.reason();
  return std::nullopt;
}

RowSetting Group::setting_of(int64_t trial) const {
  auto config = config_of_trial(trial);
  auto exact = parts_.devices.exact_settings;
  if (exact.contains("leaves"))
    exact["leaves"] = std::to_string(trainer::leaves_of(config.settings.train));
  return {.trial = trial,
          .metric = parts_.sweep.settings.metric,
          .config = std::move(config),
          .directory = parts_.directory.trial(trial),
          .exact_settings = std::move(exact)};
}

// Opens the trial's folder, and gives it the first free row; or learns that it needs none.
void Group::open(const TrialStart& start, Plan& plan) {
  const auto free = std::ranges::find_if(rows_, [](const auto& place) { return place == nullptr; });
  if (row_of_trial(start.trial) || free == rows_.end()) return;
  const int64_t row = free - rows_.begin();
  const bool empty = !any_row();
  try {
    auto setting = setting_of(start.trial);
    take_data(setting.config.settings.data);
    auto trial = std::make_unique<TrialRow>(std::move(setting), *data_, parts_.tell);
    const int64_t steps = trainer::steps_in_epoch(trial->config().settings.train, *data_);
    if (auto ended = trial->ended_before(steps)) {
      news_.push_back(std::move(*ended));
      return;
    }
    const int64_t batch = plan.put.empty() ? (trainer_ ? trainer_->pack().batch : 0)
                                           : rows_[plan.put.front().row]->batch();
    if (!empty && trial->batch() != batch) {
      news_.push_back({.trial = start.trial, .end = RowEnd::kDeclined, .batch = trial->batch()});
      return;
    }
    trial->prune_at_start(start.prune);
    *free = std::move(trial);
    plan.put.push_back({row, start.trial, start.source});
  } catch (const comm::PeerLost&) {
    throw;
  } catch (const std::exception& error) {
    news_.push_back({.trial = start.trial, .end = RowEnd::kBroken, .error = error.what()});
  }
}

void Group::start_row(const Plan::Put& put, const std::optional<trainer::Checkpoint>& checkpoint) {
  auto manifest = manifest_of(parts_.arguments, *ranks_, device_names_, *data_, parts_.team.size());
  if (put.source != kNoTrial)
    manifest.init_from =
        std::filesystem::absolute(parts_.directory.trial(put.source).path()).lexically_normal();
  with_row(put.row, [&](TrialRow& trial) {
    trial.start(*trainer_, put.row, manifest, checkpoint);
    if (!trial.ends_at_start()) {
      if (auto last = trial.last_epoch()) news_.push_back(std::move(*last));
      return;
    }
    news_.push_back(trial.end_at_start());
    ended_.push_back(put.row);
    rows_[put.row].reset();
  });
}

void Group::end_row(int64_t row, RunStatus status, int code, const std::string& why) {
  with_row(row, [&](TrialRow& trial) {
    news_.push_back(trial.end(status, code, why));
    ended_.push_back(row);
    rows_[row].reset();
  });
}

// What fails around a trial ends it here; the coordinator decides whether it is tried again.
template <class Work>
void Group::with_row(int64_t row, const Work& work) {
  if (!rows_[row]) return;
  const int64_t trial = rows_[row]->trial();
  try {
    work(*rows_[row]);
  } catch (const comm::PeerLost&) {
    throw;
  } catch (const std::exception& error) {
    news_.push_back({.trial = trial, .end = RowEnd::kBroken, .error = error.what()});
    ended_.push_back(row);
    rows_[row].reset();
  }
}

// After an epoch, or what there was of it.
void Group::measured(const trainer::EpochResult& epoch) {
  for (const auto& error : epoch.nonfinite)
    end_row(error.row(), RunStatus::kFailed, kFailed, error.what());
  if (epoch.interrupted) {
    interrupted_ = parts_.interruption.reason();
    if (interrupted_.empty()) interrupted_ = "another rank";
    for (size_t row = 0; row < rows_.size(); ++row)
      end_row(static_cast<int64_t>(row), RunStatus::kInterrupted, kResumable, interrupted_);
    return;
  }
  examples_per_s_ = 0;
  for (size_t row = 0; row < rows_.size(); ++row) {
    with_row(static_cast<int64_t>(row), [&](TrialRow& trial) {
      examples_per_s_ += epoch.train[row].examples_per_s;
      news_.push_back(trial.end_epoch(epoch.train[row], epoch.held_out[row]));
      if (news_.back().end == RowEnd::kNone) return;
      ended_.push_back(static_cast<int64_t>(row));
      rows_[row].reset();
    });
  }
}

}  // namespace

int run_group(const GroupParts& parts, std::shared_ptr<comm::Communicator> ranks,
              trainer::Dataset data) {
  return Group(parts, std::move(ranks), std::move(data)).run();
}

}  // namespace elbow::launch::cluster
