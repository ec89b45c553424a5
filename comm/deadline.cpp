#include "comm/deadline.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace elbow::comm {

Deadline::Deadline(std::chrono::milliseconds patience, int exit_code, std::string sentence)
    : thread_([this, patience, exit_code, sentence = std::move(sentence)] {
        std::unique_lock lock(mutex_);
        if (ended_.wait_for(lock, patience, [this] { return end_; })) return;
        std::fprintf(stderr, "elbow: %s\n", sentence.c_str());
        _exit(exit_code);
      }) {}

Deadline::~Deadline() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace elbow::comm
