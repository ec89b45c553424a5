// Lets MPI look around while a rank computes. Open MPI's failure detector, which healing over hosts
// relies on, runs inside MPI calls only, and takes a rank for dead that makes none for longer than
// its timeout.
//
// Owns one thread, which enters MPI every quarter of a second while the object lives: to be made
// after MPI_Init with thread level MULTIPLE, and destroyed before MPI_Finalize. One per process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace elbow::comm {

class MpiPulse {
 public:
  MpiPulse();
  MpiPulse(const MpiPulse&) = delete;
  MpiPulse& operator=(const MpiPulse&) = delete;

  // Held by a thread that is in MPI: the pulse is quiet then, so that no two threads meet the news
  // of a death at once. Any number of threads; costs nothing to speak of.
  class Quiet {
   public:
    Quiet();
    ~Quiet() { quiet_.fetch_sub(1); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
  };

 private:
  static void beat();

  static std::atomic<int> quiet_;     // threads that hold Quiet
  static std::atomic<bool> beating_;  // the pulse is in MPI, or looks whether it may
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread thread_;  // the last: it ends first
};

}  // namespace elbow::comm
