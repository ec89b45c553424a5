#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace elbow::tests {
namespace {

using Clock = std::chrono::steady_clock;

// Whether `descriptor` can be read before the deadline; for a pidfd: whether the process has ended.
bool readable(int descriptor, Clock::time_point deadline) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd event{descriptor, POLLIN, 0};
    const int ready = poll(&event, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words,
                           const std::map<std::string, std::string>& environment) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    for (const auto& [name, value] : environment) {
      value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
    }
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  pipe_ = ends[0];
}

ChildProcess::~ChildProcess() {
  kill(SIGKILL);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  close(pipe_);
}

void ChildProcess::kill(int signal) {
  if (pid_ > 0) ::kill(pid_, signal);
}

bool ChildProcess::read_some(Clock::time_point deadline) {
  char buffer[4096];
  if (!readable(pipe_, deadline)) return false;
  const ssize_t count = read(pipe_, buffer, sizeof(buffer));
  if (count <= 0) return false;
  output_.append(buffer, count);
  return true;
}

std::optional<std::string> ChildProcess::read_line(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (true) {
    const size_t end = output_.find('\n', consumed_);
    if (end != std::string::npos) {
      const std::string line = output_.substr(consumed_, end - consumed_);
      consumed_ = end + 1;
      return line;
    }
    if (!read_some(deadline)) return std::nullopt;
  }
}

std::optional<int> ChildProcess::finish(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (read_some(deadline)) {
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if (!ends_within(pid_, std::max(left, std::chrono::milliseconds(0)))) return std::nullopt;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> mpirun(int ranks) {
  std::istringstream configured(ELBOW_MPIRUN);
  std::vector<std::string> words;
  for (std::string word; configured >> word;) words.push_back(word);
  words.insert(words.end(), {"-np", std::to_string(ranks)});
  return words;
}

const std::map<std::string, std::string>& mpirun_environment() {
  static const std::map<std::string, std::string> variables = {
      {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
      {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
      {"PRTE_ALLOW_RUN_AS_ROOT", "1"},
      {"PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  return variables;
}

bool ends_within(pid_t process, std::chrono::milliseconds limit) {
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  if (descriptor < 0) return errno == ESRCH;
  const bool ended = readable(descriptor, Clock::now() + limit);
  close(descriptor);
  return ended;
}

}  // namespace elbow::tests
