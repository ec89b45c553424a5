#include "launch/cluster/sweep_directory.h"

#include <fmt/format.h>

#include <system_error>

namespace elbow::launch::cluster {

trainer::RunDirectory SweepDirectory::trial(int64_t number) const {
  return trainer::RunDirectory(path_ / "trials" / fmt::format("{:06}", number));
}

std::string SweepDirectory::named(const std::string& name, const std::string& ending) const {
  if (shard_.is_whole()) return name + ending;
  return fmt::format("{}_{}_of_{}{}", name, shard_.index + 1, shard_.count, ending);
}

bool holds_sweep(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / "sweep.cfg", ignored);
}

}  // namespace elbow::launch::cluster
