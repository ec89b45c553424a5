#include "trainer/thread_team.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

// Work comes every few hundred microseconds: look for it for a moment before going to sleep.
constexpr int kSpins = 4000;

void wait_while(std::atomic<int64_t>& value, int64_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

struct ThreadTeam::State {
  std::atomic<int64_t> round{0};  // grows by one when work is handed out
  std::atomic<int64_t> busy{0};   // members, other than the caller, that still work
  bool stop = false;
  int64_t items = 0;
  const std::function<void(int64_t)>* work = nullptr;
  std::vector<std::exception_ptr>
      errors;  // one a member: members take ascending shares, so the first is the smallest item's
  std::vector<std::thread> threads;

  void share(int64_t member) {
    const auto part = part_of(items, static_cast<int64_t>(errors.size()), member);
    try {
      for (int64_t item = part.begin; item < part.end; ++item) (*work)(item);
    } catch (...) {
      errors[member] = std::current_exception();
    }
  }

  void serve(int64_t member) {
    at::init_num_threads();  // OpenMP and MKL keep a count a thread; take ATen's
    at::globalContext().setFlushDenormal(true);
    int64_t seen = 0;
    for (;;) {
      wait_while(round, seen);
      ++seen;
      if (stop) return;
      share(member);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
    }
  }
};

ThreadTeam::ThreadTeam(int64_t threads) : state_(std::make_unique<State>()) {
  at::set_num_threads(1);
  at::globalContext().setFlushDenormal(true);
  state_->errors.resize(std::max<int64_t>(threads, 1));
  for (int64_t member = 1; member < threads; ++member) {
    state_->threads.emplace_back([state = state_.get(), member] { state->serve(member); });
  }
}

ThreadTeam::~ThreadTeam() {
  state_->stop = true;
  state_->round.fetch_add(1, std::memory_order_release);
  state_->round.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

int64_t ThreadTeam::size() const { return static_cast<int64_t>(state_->errors.size()); }

void ThreadTeam::run(int64_t items, const std::function<void(int64_t)>& work) {
  auto& state = *state_;
  std::fill(state.errors.begin(), state.errors.end(), nullptr);
  state.items = items;
  state.work = &work;
  const bool shared = items > 1 && !state.threads.empty();
  if (shared) {
    state.busy.store(static_cast<int64_t>(state.threads.size()), std::memory_order_relaxed);
    state.round.fetch_add(1, std::memory_order_release);
    state.round.notify_all();
    state.share(0);
    for (int64_t left; (left = state.busy.load(std::memory_order_acquire)) != 0;)
      wait_while(state.busy, left);
  } else {
    for (int64_t item = 0; item < items; ++item) work(item);
  }
  for (const auto& error : state.errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace elbow::trainer
