#include "comm/deadline.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace elbow::comm {

Deadline::Deadline(std::chrono::milliseconds patience, int exit_code, std::string sentence)
    : thread_([this, patience, exit_code,
               sentence = std::move(sentence)](const std::stop_token& ended) {
        std::unique_lock lock(mutex_);
        ended_.wait_for(lock, ended, patience, [] { return false; });
        if (ended.stop_requested()) return;
        std::fprintf(stderr, "elbow: %s\n", sentence.c_str());
        _exit(exit_code);
      }) {}

}  // namespace elbow::comm
