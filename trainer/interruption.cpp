#include "trainer/interruption.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstring>

namespace elbow::trainer {
namespace {

constexpr int kSignals[] = {SIGUSR1, SIGUSR2, SIGINT, SIGTERM};
constexpr int kResumable = 75;
std::atomic<int> first_signal{0};
struct sigaction before[std::size(kSignals)];

// A launcher passes one signal on while the terminal sends it too: what comes within a second of
// the first is the same request.
std::atomic<time_t> first_time{0};

void on_signal(int signal) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  int none = 0;
  if (first_signal.compare_exchange_strong(none, signal)) {
    first_time = now.tv_sec;
  } else if (now.tv_sec - first_time > 1) {
    _exit(kResumable);
  }
}

}  // namespace

Interruption::Interruption() {
  first_signal = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before[i]);
}

Interruption::~Interruption() {
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before[i], nullptr);
}

bool Interruption::requested() const {
  return first_signal != 0 || std::chrono::system_clock::now() >= time_;
}

int Interruption::signal() const { return first_signal; }

void Interruption::request_at(std::chrono::system_clock::time_point time,
                              const std::string& reason) {
  time_ = time;
  time_reason_ = reason;
}

std::string Interruption::reason() const {
  if (first_signal != 0) return std::string("signal ") + sigabbrev_np(first_signal);
  return requested() ? time_reason_ : "";
}

Deadline deadline_of(std::chrono::system_clock::time_point start, double max_time, double margin,
                     const char* job_end_time) {
  using Time = std::chrono::system_clock::time_point;
  const auto seconds = [](double count) {
    return std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(count));
  };
  Deadline deadline;
  if (max_time > 0) deadline = {start + seconds(max_time), "train.max_time"};
  if (job_end_time == nullptr) return deadline;
  int64_t unix_time = 0;
  const char* end = job_end_time + std::strlen(job_end_time);
  const auto [rest, error] = std::from_chars(job_end_time, end, unix_time);
  if (error != std::errc() || rest != end || unix_time <= 0 || unix_time > INT32_MAX * int64_t{8})
    return deadline;
  const Time job_end = Time(std::chrono::seconds(unix_time)) - seconds(margin);
  if (job_end < deadline.time) deadline = {job_end, "the end of the Slurm job"};
  return deadline;
}

}  // namespace elbow::trainer
