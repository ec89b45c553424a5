// What one rank does, for whoever looks for a fault later. Rank 0 alone tells the user how a run
// goes; every rank keeps lines such as
//
//   2026-01-31T12:00:00.123Z node07 rank 3 +1.204s  computes on cpu with 8 threads
//
// with the time since the process began. They wait in memory until there is a folder for them, and
// with --verbose they go to standard error as well.
//
// Any thread may call tell(). What cannot be written is left out.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace elbow::launch {

class RankLog {
 public:
  RankLog(int rank, const std::string& host);
  ~RankLog();
  RankLog(RankLog&&) noexcept;
  RankLog& operator=(RankLog&&) = delete;

  void tell(const std::string& sentence);

  // From here on, and from the beginning, on standard error.
  void show();
  // From here on, and from the beginning, at the end of this file, whose folder is made.
  void keep(const std::filesystem::path& file);

 private:
  struct Early;
  std::unique_ptr<Early> early_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace elbow::launch
