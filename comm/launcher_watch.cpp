#include "comm/launcher_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include "comm/process_state.h"

namespace elbow::comm {
namespace {

constexpr std::array<std::string_view, 8> kLaunchers = {
    "prterun", "prted", "prte", "mpirun", "mpiexec", "orterun", "orted", "slurmstepd"};
constexpr int kPollMs = 500;  // where the kernel has no pidfd

std::string program_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/comm", process));
  std::string name;
  std::getline(file, name);
  return name;
}

pid_t parent_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
  }
  return 0;
}

}  // namespace

pid_t find_launcher() {
  for (pid_t process = getppid(); process > 1; process = parent_of(process)) {
    const std::string name = program_of(process);
    if (std::ranges::any_of(kLaunchers, [&](auto known) { return name.starts_with(known); })) {
      return process;
    }
  }
  return 0;
}

bool is_launcher_daemon(pid_t process) {
  const std::string name = program_of(process);
  return name == "prted" || name == "orted" || name == "slurmstepd";
}

LauncherWatch::LauncherWatch() : launcher_(find_launcher()) {
  if (launcher_ == 0) return;
  if (launcher_ == getppid()) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (launcher_ != getppid()) raise(SIGKILL);  // it died before the line above
  }
  process_ = open_process(launcher_);
  stop_ = eventfd(0, EFD_CLOEXEC);
  if (stop_ >= 0) thread_ = std::thread([this] { watch(); });
}

LauncherWatch::~LauncherWatch() {
  if (thread_.joinable()) {
    eventfd_write(stop_, 1);
    thread_.join();
  }
  if (process_ >= 0) close(process_);
  if (stop_ >= 0) close(stop_);
}

void LauncherWatch::watch() {
  pollfd events[] = {{stop_, POLLIN, 0},
                     {process_, POLLIN, 0}};  // poll() skips a negative descriptor
  while (true) {
    const int ready = poll(events, 2, process_ >= 0 ? -1 : kPollMs);
    if (events[0].revents != 0) return;
    const bool gone =
        process_ >= 0 ? events[1].revents != 0 : kill(launcher_, 0) != 0 && errno == ESRCH;
    if (gone) break;
    if (ready < 0 && errno != EINTR) return;
  }
  std::fputs("elbow: the launcher of this rank is gone, so the rank ends\n", stderr);
  raise(SIGKILL);
}

}  // namespace elbow::comm
