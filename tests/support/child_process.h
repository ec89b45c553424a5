// A program that a test starts, reads from, and ends for certain: the destructor kills it (by its
// own pid) and waits. Standard output and standard error arrive together. Errors:
// std::runtime_error.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace elbow::tests {

class ChildProcess {
 public:
  // `environment`: variables to add; an empty value removes one.
  explicit ChildProcess(const std::vector<std::string>& words,
                        const std::map<std::string, std::string>& environment = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void kill(int signal);

  // The next line without its end; nothing once the output has ended or the time is up.
  std::optional<std::string> read_line(std::chrono::milliseconds limit);

  // Reads to the end and waits. The exit code, 128 + signal for a killed program, or nothing if the
  // time was up.
  std::optional<int> finish(std::chrono::milliseconds limit);

  const std::string& output() const { return output_; }  // everything read so far

 private:
  bool read_some(std::chrono::steady_clock::time_point deadline);

  pid_t pid_ = 0;
  int pipe_ = -1;
  std::string output_;
  size_t consumed_ = 0;  // of output_, by read_line()
};

// The words of the launcher that the build found, for `ranks` ranks.
std::vector<std::string> mpirun(int ranks);

// What a root user must set for Open MPI.
const std::map<std::string, std::string>& mpirun_environment();

// Whether `process` is gone within `limit`. It need not be a child.
bool ends_within(pid_t process, std::chrono::milliseconds limit);

}  // namespace elbow::tests
