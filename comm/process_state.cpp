#include "comm/process_state.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

namespace elbow::comm {
namespace {

constexpr uint64_t kExiting = 0x4;  // PF_EXITING of include/linux/sched.h

struct Stat {
  char state = 'X';  // gone
  uint64_t flags = 0;
  int64_t ticks = 0;  // user and system
};

// The name may hold anything, so fields are counted from the last parenthesis.
Stat read_stat(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  Stat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 9; ++field) fields >> skipped;
  fields >> stat.flags;
  for (int field = 10; field < 14; ++field) fields >> skipped;
  int64_t user = 0, system = 0;
  fields >> user >> system;
  stat.ticks = user + system;
  return stat;
}

bool is_traced(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != line.npos;
  }
  return false;
}

bool has_runnable_thread(pid_t process) {
  const std::string folder = fmt::format("/proc/{}/task", process);
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(opendir(folder.c_str()), closedir);
  if (threads == nullptr) return false;
  while (const dirent* thread = readdir(threads.get())) {
    if (thread->d_name[0] == '.') continue;
    if (read_stat(fmt::format("{}/{}/stat", folder, thread->d_name)).state == 'R') return true;
  }
  return false;
}

}  // namespace

ProcessSample sample_process(pid_t process) {
  const Stat stat = read_stat(fmt::format("/proc/{}/stat", process));
  const int64_t ns_per_tick = 1'000'000'000 / sysconf(_SC_CLK_TCK);
  return {.stopped = stat.state == 'T' || stat.state == 't',
          .traced = is_traced(process),
          .runnable = has_runnable_thread(process),
          .cpu = std::chrono::nanoseconds(stat.ticks * ns_per_tick)};
}

bool is_ending(pid_t process) {
  const Stat stat = read_stat(fmt::format("/proc/{}/stat", process));
  return stat.state == 'X' || stat.state == 'Z' || (stat.flags & kExiting) != 0;
}

int open_process(pid_t process) {
#ifdef SYS_pidfd_open
  return static_cast<int>(syscall(SYS_pidfd_open, process, 0));
#else
  return -1;
#endif
}

}  // namespace elbow::comm
