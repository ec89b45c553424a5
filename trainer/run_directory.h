// A run's folder: the names of all its files, and its creation. What the files hold is elsewhere.
#pragma once

#include <cstdint>
#include <filesystem>

namespace elbow::trainer {

class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}

  // Makes the folder, and those above it. Throws SettingError where it holds a run already or
  // cannot be written.
  static RunDirectory create(const std::filesystem::path& path);

  // Whether create() would work, without making anything. Throws SettingError likewise.
  static void require_creatable(const std::filesystem::path& path);

  bool holds_run() const;  // any of the files below is there

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "config.cfg"; }
  std::filesystem::path manifest() const { return path_ / "manifest.json"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path result() const { return path_ / "result.json"; }
  std::filesystem::path lock() const { return path_ / "run.lock"; }
  std::filesystem::path traces() const { return path_ / "traces"; }
  std::filesystem::path tensorboard() const { return path_ / "tensorboard"; }
  std::filesystem::path figures() const { return path_ / "figures"; }
  std::filesystem::path report() const { return path_ / "report.html"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path logs() const { return path_ / "logs"; }
  std::filesystem::path log(int rank) const;             // logs/rank_0003.log
  std::filesystem::path checkpoint(int64_t step) const;  // checkpoints/step_000000469

 private:
  std::filesystem::path path_;
};

}  // namespace elbow::trainer
