// Lets MPI look around while a rank computes. Open MPI's failure detector, which healing over hosts
// relies on, runs inside MPI calls only, and takes a rank for dead that makes none for longer than
// its timeout.
//
// Owns one thread, which enters MPI every quarter of a second while the object lives: to be made
// after MPI_Init with thread level MULTIPLE, and destroyed before MPI_Finalize.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace elbow::comm {

class MpiPulse {
 public:
  MpiPulse();
  ~MpiPulse();
  MpiPulse(const MpiPulse&) = delete;
  MpiPulse& operator=(const MpiPulse&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace elbow::comm
