#include "comm/guard.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/hang_clock.h"
#include "comm/hang_file.h"
#include "comm/hang_report.h"
#include "comm/launcher_watch.h"
#include "comm/process_state.h"

namespace elbow::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLongestLook{250}, kShortestLook{10};
constexpr int kLooks = 20;  // within a deadline
constexpr std::string_view kWithLauncher = "has ended with the launcher of its host";
constexpr int kWaitDeadlines = 4;  // of a wait for which nobody else is to blame

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  return name;
}

// In lists of processes the guard is no second rank. The arguments lie behind each other, and the
// library keeps where they begin.
void take_name() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string arguments((std::istreambuf_iterator<char>(file)), {});
  if (program_invocation_name == nullptr ||
      arguments != std::string(program_invocation_name, arguments.size()))
    return;
  std::memset(program_invocation_name, 0, arguments.size());
  std::strncpy(program_invocation_name, "elbow-guard", arguments.size() - 1);
}

// The guard's process: never returns.
class Guard {
 public:
  Guard(HeartbeatPage& page, int rank, std::string host, pid_t guarded, pid_t launcher,
        bool is_daemon)
      : page_(page),
        rank_(rank),
        host_(std::move(host)),
        guarded_(guarded),
        ended_(open_process(guarded)),
        launcher_(launcher),
        is_daemon_(is_daemon),
        launcher_ended_(launcher == 0 ? -1 : open_process(launcher)) {}

  [[noreturn]] void run() {
    auto looked = Clock::now();
    while (true) {
      const auto rules = page_.slot(rank_).rules();
      if (!began_at_ && !rules.folder.empty()) began_at_ = HangFile(rules.folder).bytes();
      sleep(rules);
      const auto now = Clock::now();
      if (rules.deadline.count() > 0) look(rules, now - looked);
      looked = now;
    }
  }

 private:
  static milliseconds pause(const WatchRules& rules) {
    if (rules.deadline.count() == 0) return kLongestLook;
    return std::clamp(rules.deadline / kLooks, kShortestLook, kLongestLook);
  }

  // Sleeps. Ends with the guarded process, and takes it along when its launcher goes.
  void sleep(const WatchRules& rules) const {
    pollfd events[] = {{ended_, POLLIN, 0}, {launcher_ended_, POLLIN, 0}};  // negative ones: never
    poll(events, 2, static_cast<int>(pause(rules).count()));
    const bool ended = events[0].revents != 0 || getppid() != guarded_;
    // The rank may find its launcher's socket closed first.
    const bool must_look = ended || launcher_ended_ < 0;
    if (events[1].revents != 0 || (launcher_ != 0 && must_look && is_ending(launcher_)))
      end_with_launcher(rules);
    if (ended) _exit(0);
  }

  // Where several daemons go, the first one's ranks say so: the others were taken down by it.
  [[noreturn]] void end_with_launcher(const WatchRules& rules) const {
    if (getppid() == guarded_) kill(guarded_, SIGKILL);
    const auto news = began_at_ ? HangFile(rules.folder).since(*began_at_) : "";
    if (is_daemon_ && news.find(kWithLauncher) == news.npos)
      tell(rules, fmt::format("rank {} on {} {}", rank_, host_, kWithLauncher));
    _exit(0);
  }

  void look(const WatchRules& rules, Clock::duration passed) {
    if (!clock_) clock_.emplace(2 * pause(rules), rules.debugger_may_stop);
    const Beat beat = page_.slot(rank_).beat(rank_);
    if (beat.progress != progress_) {  // the usual case costs no system call
      progress_ = beat.progress;
      told_ = false;
      unchanged_ = false;
      clock_->look(beat.progress, beat.waiting, {}, passed);
      return;
    }
    if (!unchanged_) {
      heard_ = HangFile(rules.folder).bytes();
      answered_ = false;
    }
    // The first sample only sets the clock's base of processor time.
    const auto sample = sample_process(guarded_);
    clock_->look(beat.progress, beat.waiting, sample, unchanged_ ? passed : Clock::duration(0));
    unchanged_ = true;
    judge(rules, beat.waiting);
  }

  void judge(const WatchRules& rules, bool waiting) {
    const auto stuck = clock_->stuck();
    if (stuck >= rules.deadline) end(rules, stuck);
    if (waiting && clock_->waited() >= kWaitDeadlines * rules.deadline && all_wait())
      end(rules, clock_->waited());
    if (waiting && stuck.count() == 0) answer(rules);
    if (told_ || stuck < rules.deadline / 2) return;
    told_ = true;
    tell(rules, fmt::format("{}; it is ended after {:g} s (train.hang_timeout)", report(stuck),
                            std::chrono::duration<double>(rules.deadline).count()));
    told_at_ = HangFile(rules.folder).bytes();
  }

  // Where the guard of another host has named a rank, one of this host's says what its ranks do.
  void answer(const WatchRules& rules) {
    if (answered_) return;
    const auto news = HangFile(rules.folder).since(heard_);
    if (news.empty()) return;
    answered_ = true;
    const auto beats = living();
    const bool named_here = news.find(fmt::format(" on {} is in '", host_)) != news.npos;
    if (named_here || beats.empty() || beats.front().rank != rank_) return;
    tell(rules, host_report(beats, host_));
  }

  // What the other hosts have answered.
  std::string answers(const WatchRules& rules) const {
    std::istringstream lines(told_ ? HangFile(rules.folder).since(told_at_) : "");
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("on ")) text += "; " + line;
    }
    return text;
  }

  // Of this host, by rank.
  std::vector<Beat> living() const {
    auto beats = page_.beats();
    std::erase_if(beats, [](const Beat& beat) { return kill(beat.process, 0) != 0; });
    return beats;
  }

  bool all_wait() const {
    return std::ranges::all_of(living(), [](const Beat& beat) { return beat.waiting; });
  }

  std::string report(HangClock::Time stuck) const {
    return hang_report(living(), rank_, host_, stuck);
  }

  [[noreturn]] void end(const WatchRules& rules, HangClock::Time stuck) {
    const auto sentence = report(stuck) + answers(rules) + ": its guard has ended it";
    if (getppid() == guarded_) kill(guarded_, SIGKILL);
    tell(rules, sentence);
    _exit(0);
  }

  // A line on stderr and, where the run has a folder, in it.
  static void tell(const WatchRules& rules, const std::string& sentence) {
    const auto line = "elbow: " + sentence + "\n";
    [[maybe_unused]] const ssize_t count = write(STDERR_FILENO, line.data(), line.size());
    HangFile(rules.folder).append(sentence);
  }

  HeartbeatPage& page_;
  int rank_;
  std::string host_;
  pid_t guarded_;
  int ended_;  // a pidfd, as launcher_ended_
  pid_t launcher_;
  bool is_daemon_;
  int launcher_ended_;
  std::optional<HangClock> clock_;
  uint64_t progress_ = 0;
  bool told_ = false, unchanged_ = false, answered_ = false;
  std::optional<uint64_t> began_at_;  // bytes of hangs.txt, as the next two
  uint64_t told_at_ = 0, heard_ = 0;
};

}  // namespace

pid_t start_guard(const std::shared_ptr<HeartbeatPage>& page, int rank, pid_t launcher,
                  const std::string& host) {
  const pid_t guarded = getpid();
  // Asked here: it may be gone when the guard gets its first turn.
  const bool is_daemon = launcher != 0 && is_launcher_daemon(launcher);
  const pid_t guard = fork();
  if (guard != 0) return guard;
  // Launchers signal whole process groups, and what they say is for the rank.
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE})
    signal(number, SIG_IGN);
  prctl(PR_SET_NAME, "elbow-guard");
  take_name();
  Guard(*page, rank, host.empty() ? host_name() : host, guarded, launcher, is_daemon).run();
}

}  // namespace elbow::comm
