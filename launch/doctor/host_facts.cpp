#include "launch/doctor/host_facts.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/mkl.h"

namespace elbow::launch::doctor {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The value after `key` in a file of "key : value" lines.
std::string value_in(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

// The folders of this process's control group, from its own to the root's: /sys/fs/cgroup/…
std::vector<fs::path> control_groups(const std::string& v1_controller) {
  std::ifstream in("/proc/self/cgroup");
  std::vector<fs::path> folders;
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    fs::path root;
    if (controllers.empty())
      root = "/sys/fs/cgroup";
    else if (("," + controllers + ",").find("," + v1_controller + ",") != std::string::npos)
      root = fs::path("/sys/fs/cgroup") / v1_controller;
    else
      continue;
    for (auto path = fs::path(line.substr(second + 1)); path.has_relative_path();
         path = path.parent_path())
      folders.push_back(root / path.relative_path());
    folders.push_back(root);
  }
  return folders;
}

// The smallest positive number that `read` finds in any of the folders; 0: none.
template <class Read>
double smallest(const std::vector<fs::path>& folders, const Read& read) {
  double found = 0;
  for (const auto& folder : folders) {
    const double value = read(folder);
    if (value > 0 && (found == 0 || value < found)) found = value;
  }
  return found;
}

double quota_in(const fs::path& folder) {
  double quota = 0, period = 0;
  std::istringstream v2(first_line(folder / "cpu.max"));  // "max 100000" or "150000 100000"
  if (v2 >> quota >> period) return quota / period;
  std::istringstream v1(first_line(folder / "cpu.cfs_quota_us") + " " +
                        first_line(folder / "cpu.cfs_period_us"));
  return v1 >> quota >> period && quota > 0 ? quota / period : 0;
}

double memory_limit_in(const fs::path& folder) {
  for (const char* file : {"memory.max", "memory.limit_in_bytes"}) {
    double bytes = 0;
    if (std::istringstream(first_line(folder / file)) >> bytes) return bytes;
  }
  return 0;
}

// CPUs that the job may use at all: "0-3,8", a count of them; 0 where nobody says.
int64_t cores_of_job() {
  for (const auto& folder : control_groups("cpuset")) {
    for (const char* file : {"cpuset.cpus.effective", "cpuset.effective_cpus"}) {
      std::istringstream text(first_line(folder / file));
      int64_t count = 0;
      for (std::string range; std::getline(text, range, ',');) {
        const auto dash = range.find('-');
        const int first = std::atoi(range.c_str());
        const int last = dash == std::string::npos ? first : std::atoi(range.c_str() + dash + 1);
        count += last - first + 1;
      }
      if (count > 0) return count;
    }
  }
  return 0;
}

int64_t limit_of(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? -1 : static_cast<int64_t>(limit.rlim_cur);
}

}  // namespace

CoreFacts core_facts() {
  CoreFacts facts{.of_host = cores_of_job(),
                  .quota = smallest(control_groups("cpu"), quota_in),
                  .model = value_in("/proc/cpuinfo", "model name"),
                  .mkl_branch = models::best_mkl_branch()};
  if (facts.of_host == 0) facts.of_host = sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return facts;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) facts.allowed.push_back(core);
  return facts;
}

LimitFacts limit_facts() {
  LimitFacts facts{.locked_memory_bytes = limit_of(RLIMIT_MEMLOCK),
                   .open_files = limit_of(RLIMIT_NOFILE)};
  if (facts.open_files < 0) facts.open_files = INT64_MAX;
  struct statvfs shm {};
  if (statvfs("/dev/shm", &shm) == 0) {
    facts.shm_bytes = static_cast<int64_t>(shm.f_blocks * shm.f_frsize);
    facts.shm_free_bytes = static_cast<int64_t>(shm.f_bavail * shm.f_frsize);
  }
  struct sysinfo host {};
  if (sysinfo(&host) == 0) facts.memory_bytes = static_cast<int64_t>(host.totalram * host.mem_unit);
  const double granted = smallest(control_groups("memory"), memory_limit_in);
  if (granted > 0 && granted < static_cast<double>(facts.memory_bytes))
    facts.memory_bytes = static_cast<int64_t>(granted);
  return facts;
}

int64_t peak_memory_bytes() {
  int64_t kib = 0;
  std::istringstream(value_in("/proc/self/status", "VmHWM")) >> kib;
  return kib * 1024;
}

std::vector<std::string> loaded_transports() {
  constexpr std::array kLibraries = {"libucp", "libfabric", "libpsm2", "libibverbs"};
  std::vector<std::string> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto name = fs::path(line.substr(line.rfind(' ') + 1)).filename().string();
    for (const char* library : kLibraries) {
      const bool known = std::ranges::find(found, library) != found.end();
      if (!known && name.starts_with(library)) found.emplace_back(library);
    }
  }
  return found;
}

}  // namespace elbow::launch::doctor
