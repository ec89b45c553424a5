// A sweep's folder: the names of its files. A shard of a job array has files of its own beside
// those of the other shards; the folders of trials are numbered over all of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "launch/sweep/shard.h"
#include "trainer/run_directory.h"

namespace elbow::launch::cluster {

class SweepDirectory {
 public:
  SweepDirectory(std::filesystem::path path, const sweep::Shard& shard)
      : path_(std::move(path)), shard_(shard) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config() const { return path_ / "sweep.cfg"; }
  std::filesystem::path ledger() const { return path_ / named("ledger", ".jsonl"); }
  std::filesystem::path result() const { return path_ / named("result", ".json"); }
  std::filesystem::path lock() const { return path_ / named("sweep", ".lock"); }
  std::filesystem::path results() const { return path_ / named("results", ".csv"); }
  trainer::RunDirectory trial(int64_t number) const;  // trials/000017

 private:
  std::string named(const std::string& name, const std::string& ending) const;

  std::filesystem::path path_;
  sweep::Shard shard_;
};

// Whether `folder` is a sweep's, or a shard's.
bool holds_sweep(const std::filesystem::path& folder);

}  // namespace elbow::launch::cluster
