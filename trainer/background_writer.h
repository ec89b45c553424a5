// One thread that does jobs in order, with room for one that waits. Whoever submits waits only
// where that place is taken by a job that must not be dropped.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace elbow::trainer {

class BackgroundWriter {
 public:
  using Job = std::function<void()>;  // must not throw

  BackgroundWriter();
  ~BackgroundWriter();  // does what was submitted first
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  // may_be_dropped: a later job may take its place while it waits.
  void submit(Job job, bool may_be_dropped);
  void wait();  // until nothing is left to do

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  Job waiting_;
  bool may_be_dropped_ = false;
  bool busy_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace elbow::trainer
