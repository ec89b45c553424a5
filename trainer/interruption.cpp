#include "trainer/interruption.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

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

bool Interruption::requested() const { return first_signal != 0; }
int Interruption::signal() const { return first_signal; }

}  // namespace elbow::trainer
