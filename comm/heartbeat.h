// What each rank is doing, in memory that the ranks of a host and their guards share: one slot a
// rank. Publishing is a few stores, without a lock or a system call; a reader may see a state that
// is being replaced.
//
// Threads: one writes a slot; any thread of any process reads. Knows nothing of MPI and of tensors.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace elbow::comm {

// A copy of what a rank has published.
struct Beat {
  int rank = 0;  // in the world
  pid_t process = 0;
  uint64_t progress = 0;  // grows with all that the rank gets done
  int64_t step = 0;
  std::string phase;
  bool waiting = false;  // inside an operation that needs other ranks
};

// How a guard is to judge its rank.
struct WatchRules {
  std::chrono::milliseconds deadline{0};  // without progress; 0: not at all
  bool debugger_may_stop = true;
  std::string folder;  // for reports; "" before there is one
};

class Heartbeat {
 public:
  static constexpr size_t kPhaseBytes = 32, kFolderBytes = 512;

  // The writer's part.
  void join();  // this process is the slot's rank
  void at(int64_t step, const char* phase);
  void progress() {  // any thread of its process
    progress_.fetch_add(1, std::memory_order_relaxed);
  }
  void begin_wait();
  void end_wait();
  void watch(const WatchRules& rules);

  // The reader's part.
  bool joined() const { return process_.load(std::memory_order_acquire) != 0; }
  Beat beat(int rank) const;
  WatchRules rules() const;

 private:
  std::atomic<int64_t> process_;
  std::atomic<int64_t> step_;
  std::atomic<uint64_t> progress_;
  std::atomic<uint32_t> waiting_;
  std::array<std::atomic<char>, kPhaseBytes> phase_;

  std::atomic<int64_t> deadline_ms_;
  std::atomic<uint32_t> debugger_may_stop_;
  std::array<std::atomic<char>, kFolderBytes> folder_;
};

// Slots for the ranks of a job on one host. Zeros are slots that nobody has joined.
class HeartbeatPage {
 public:
  static constexpr int kRanks = 4096;

  // Memory of this process and of those that it forks from now on.
  static std::shared_ptr<HeartbeatPage> make_private();
  // The memory of that name in /dev/shm, made where it is not there; private where that fails.
  static std::shared_ptr<HeartbeatPage> open(const std::string& name);
  // The name goes; whoever has it open keeps the memory.
  static void forget(const std::string& name);
  ~HeartbeatPage();
  HeartbeatPage(const HeartbeatPage&) = delete;
  HeartbeatPage& operator=(const HeartbeatPage&) = delete;

  Heartbeat& slot(int rank) { return slots_[rank]; }  // rank < kRanks
  std::vector<Beat> beats() const;                    // of the ranks that have joined

 private:
  explicit HeartbeatPage(void* memory) : slots_(static_cast<Heartbeat*>(memory)) {}
  Heartbeat* slots_;
};

}  // namespace elbow::comm
