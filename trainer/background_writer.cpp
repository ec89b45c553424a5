#include "trainer/background_writer.h"

#include <utility>

namespace elbow::trainer {

BackgroundWriter::BackgroundWriter() : thread_([this] { serve(); }) {}

BackgroundWriter::~BackgroundWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundWriter::submit(Job job, bool may_be_dropped) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_ || may_be_dropped_; });
  waiting_ = std::move(job);
  may_be_dropped_ = may_be_dropped;
  lock.unlock();
  changed_.notify_all();
}

void BackgroundWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_ && !busy_; });
}

void BackgroundWriter::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return waiting_ || stop_; });
    if (!waiting_) return;
    const Job job = std::exchange(waiting_, nullptr);
    busy_ = true;
    lock.unlock();
    changed_.notify_all();
    job();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace elbow::trainer
