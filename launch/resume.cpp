#include "launch/resume.h"

#include <fmt/format.h>

#include <chrono>

#include "launch/setting_table.h"
#include "trainer/error.h"
#include "trainer/run_files.h"
#include "trainer/trial.h"

namespace elbow::launch {
namespace {

using trainer::SettingError;
constexpr std::chrono::seconds kPatience{10};

std::string shown_value(const std::string& value) { return value.empty() ? "unset" : shown(value); }

[[noreturn]] void refuse(const FoundRun& run, const std::string& what) {
  throw SettingError(
      fmt::format("{}: a resumed run must keep it, so leave {} as it was, or train "
                  "anew with another --out",
                  what, run.directory.path().string()));
}

}  // namespace

std::unique_ptr<trainer::RunLock> lock_run(const trainer::RunDirectory& directory) {
  return std::make_unique<trainer::RunLock>(directory.lock(), kPatience);
}

std::optional<FoundRun> find_run(const std::optional<std::filesystem::path>& out, Resume resume,
                                 Access access) {
  if (resume == Resume::kNever || !out) return std::nullopt;
  const trainer::RunDirectory directory(*out);
  if (!directory.holds_run()) {
    if (resume == Resume::kAuto) return std::nullopt;
    throw SettingError(fmt::format(
        "{} holds no run to go on with: give the folder of one, or begin it with elbow train --out",
        directory.path().string()));
  }
  FoundRun run{.directory = directory,
               .lock = access == Access::kWrite ? lock_run(directory) : nullptr};
  if (access == Access::kWrite) trainer::remove_leftovers(directory);
  auto newest = trainer::load_newest(directory);
  run.checkpoint = std::move(newest.checkpoint);
  run.damaged = std::move(newest.damaged);
  run.status = trainer::status_in(directory.result());
  return run;
}

std::string mkl_branch_of(const FoundRun& run) {
  return run.checkpoint ? mkl_branch_of(run.checkpoint->checkpoint.identity) : "";
}

std::string mkl_branch_of(const trainer::RunIdentity& identity) {
  const auto& settings = identity.exact_settings;
  const auto branch = settings.find("mkl_branch");
  // "avx512,strict"
  return branch == settings.end() ? "" : branch->second.substr(0, branch->second.find(','));
}

trainer::RunIdentity identity_of(const ParsedConfig& config, const Devices& devices,
                                 const trainer::Dataset& data) {
  trainer::RunIdentity identity{.exact_settings = devices.exact_settings};
  for (const Setting& setting : setting_table())
    identity.settings[setting.key] = setting.print(config.settings);
  for (const auto& file : data.files) identity.data_sha256.push_back(file.sha256);
  return identity;
}

void check_identity(const FoundRun& run, const ParsedConfig& config,
                    const trainer::RunIdentity& now) {
  if (!run.checkpoint) return;
  const auto& before = run.checkpoint->checkpoint.identity;
  const trainer::Settings defaults;
  for (const Setting& setting : setting_table()) {
    const auto stored = before.settings.find(setting.key);
    // A key that came later had its default.
    const auto was = stored == before.settings.end() ? setting.print(defaults) : stored->second;
    const auto is = setting.print(config.settings);
    if (setting.may_change || was == is) continue;
    refuse(run, fmt::format("{} = {} ({}) was {} when the run was begun", setting.key,
                            shown_value(is), config.origin(setting.key), shown_value(was)));
  }
  for (const auto& [name, was] : before.exact_settings) {
    const auto found = now.exact_settings.find(name);
    if (found != now.exact_settings.end() && found->second == was) continue;
    refuse(run,
           fmt::format("{} = {} of train.reproducible = exact was {} when the run was begun", name,
                       found == now.exact_settings.end() ? "unset" : found->second, was));
  }
  for (size_t i = 0; i < before.data_sha256.size(); ++i) {
    const auto is = i < now.data_sha256.size() ? now.data_sha256[i] : "none";
    if (before.data_sha256[i] == is || is.empty() || before.data_sha256[i].empty()) continue;
    refuse(run, fmt::format("data file {} has SHA-256 {} and had {} when the run was begun", i, is,
                            before.data_sha256[i]));
  }
}

bool is_complete(const FoundRun& run, const trainer::TrainSettings& settings, int64_t total_steps) {
  if (run.status != trainer::RunStatus::kComplete) return false;
  return !run.checkpoint ||
         trainer::is_over(run.checkpoint->checkpoint.progress.at(0), settings, total_steps);
}

}  // namespace elbow::launch
