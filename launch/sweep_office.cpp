#include "launch/sweep_office.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "launch/run_folder.h"
#include "launch/sweep/study_head.h"
#include "launch/sweep/sweep_results.h"
#include "launch/terminal.h"
#include "trainer/error.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

using cluster::SweepDirectory;
using trainer::SettingError;

constexpr std::chrono::seconds kLockPatience{10};
constexpr int64_t kSummaryRows = 10;

std::string status_word(ExitCode code) {
  if (code == ExitCode::kDone) return "complete";
  return code == ExitCode::kUnfinished ? "interrupted" : "failed";
}

void write_result(const SweepDirectory& directory, const cluster::SweepStatus& status,
                  ExitCode code, const std::string& why) {
  nlohmann::ordered_json json = {
      {"status", status_word(code)},
      {"exit_code", static_cast<int>(code)},
      {"error", why.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(why)},
      {"trials", status.trials},
      {"complete", status.complete},
      {"pruned", status.pruned},
      {"failed", status.failed},
      {"best_trial", nullptr}};
  if (status.best) json["best_trial"] = *status.best;
  trainer::replace_text_file(directory.result(), json.dump(2) + "\n");
}

}  // namespace

std::optional<std::filesystem::path> found_sweep(const SweepCommand& command,
                                                 const sweep::Shard& shard) {
  if (!command.out) return std::nullopt;
  const SweepDirectory directory(*command.out, shard);
  if (std::filesystem::exists(directory.ledger())) {
    if (command.resume == Resume::kNever)
      throw SettingError(
          fmt::format("{} holds a sweep already and --resume is never: choose another folder with "
                      "--out, or go on with this one with --resume auto",
                      command.out->string()));
    return directory.path();
  }
  if (command.resume == Resume::kMust)
    throw SettingError(
        fmt::format("{} holds no sweep to go on with: give the folder of one, or begin it with "
                    "elbow sweep --out",
                    command.out->string()));
  return std::nullopt;
}

void require_same_sweep(const sweep::LedgerContents& ledger, const sweep::SweepConfig& sweep,
                        const SweepDirectory& directory) {
  if (ledger.head.fingerprint == sweep_fingerprint(sweep)) return;
  throw SettingError(fmt::format(
      "{} was begun with other trials than these settings describe: leave its axes and settings as "
      "they are in {}, or choose another folder with --out",
      directory.ledger().string(), directory.config().string()));
}

void SweepOffice::open(const SweepCommand& command) {
  const auto found = found_sweep(command, shard_);
  const auto folder = found ? *found : create_run_folder(command.out, sweep_.name()).path();
  directory_.emplace(folder, shard_);
  lock_.emplace(directory_->lock(), kLockPatience);
  if (std::filesystem::exists(directory_->ledger())) {
    ledger_.emplace(sweep::Ledger::open(directory_->ledger(), &*lock_));
    require_same_sweep(ledger_->contents(), sweep_, *directory_);
  } else {
    trainer::replace_text_file(directory_->config(), effective_sweep(sweep_));
    std::filesystem::create_directories(folder / "trials");
    ledger_.emplace(sweep::Ledger::create(directory_->ledger(), study_head(sweep_, shard_),
                                          sweep::Ledger::Sync::kEachAppend, &*lock_));
  }
  std::filesystem::remove(directory_->result());  // of an earlier launch
  tell_launcher(directory_->result());
}

void SweepOffice::take_over(const std::filesystem::path& folder) {
  directory_.emplace(folder, shard_);
  lock_.emplace(directory_->lock(), kLockPatience);
  ledger_.emplace(sweep::Ledger::open(directory_->ledger(), &*lock_));
  require_same_sweep(ledger_->contents(), sweep_, *directory_);
}

cluster::Coordinator& SweepOffice::begin(std::vector<std::string> hosts,
                                         cluster::Beginning beginning) {
  return coordinator_.emplace(sweep_, *ledger_, shard_, std::move(hosts), beginning);
}

ExitCode SweepOffice::write_end(const std::string& failure) const {
  const auto code =
      failure.empty() ? static_cast<ExitCode>(coordinator_->exit_code()) : ExitCode::kUnfinished;
  const auto contents = ledger_->contents();
  const auto results = sweep::merged(std::span(&contents, 1));
  lock_->require();
  trainer::replace_text_file(directory_->results(), results_csv(results));
  const auto why = code == ExitCode::kDone ? "" : coordinator_->stopped();
  write_result(*directory_, coordinator_->status(), code, why);
  std::string text = summary_text(results, kSummaryRows);
  if (code == ExitCode::kUnfinished)
    text += fmt::format("not finished ({}): go on with launch/elbow resume {}\n", why,
                        folder().string());
  text += fmt::format("sweep      {}\n", folder().string());
  std::fputs(text.c_str(), report_stream());
  std::fflush(report_stream());
  return code;
}

}  // namespace elbow::launch
