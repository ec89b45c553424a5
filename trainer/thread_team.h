// A fixed team of threads that share out independent items. The caller's thread is one of them, so
// a team of one is the plain loop.
//
// ATen runs on one thread in every member: each item is computed by one thread, whole, so that its
// bits do not depend on the team. Numbers below 2^-126 count as 0 in every member: moments of
// weights whose input is nearly always 0 would sink to them and stay, and CPUs are slow there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace elbow::trainer {

class ThreadTeam {
 public:
  // Sets ATen's threads to one in the whole process, and the caller's thread to flush denormals.
  explicit ThreadTeam(int64_t threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int64_t size() const;

  // Calls work(item) once for each item in [0, items): member t takes the t-th contiguous share.
  // Returns when all are done. The exception of the smallest item that threw is thrown again. One
  // caller at a time. Thread-local modes, such as grad mode, are the members' own: set them inside
  // `work`.
  void run(int64_t items, const std::function<void(int64_t item)>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace elbow::trainer
