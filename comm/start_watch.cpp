#include "comm/start_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace elbow::comm {

StartWatch::StartWatch(std::chrono::milliseconds patience, int exit_code)
    : thread_([this, patience, exit_code] {
        std::unique_lock lock(mutex_);
        if (ended_.wait_for(lock, patience, [this] { return end_; })) return;
        const auto sentence = fmt::format(
            "elbow: MPI has not started on this rank within {:g} s, because another rank was lost "
            "or cannot be reached: start the same command again\n",
            std::chrono::duration<double>(patience).count());
        std::fputs(sentence.c_str(), stderr);
        _exit(exit_code);
      }) {}

StartWatch::~StartWatch() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace elbow::comm
