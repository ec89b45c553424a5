// Memory that all ranks of a group share, where all of them run on one host, with a meeting point.
// Ranks add into each other's reach without a message: write, meet(), read what others wrote.
//
// Order:   every rank calls create() and meet() in the same order.
// Threads: data() and await() may be used by any thread; meet() by one thread at a time.
// Errors:  PeerLost from meet() and await() when a peer is gone; then only destruction is allowed.
// The name in /dev/shm is removed as soon as all ranks have it open, so nothing is left behind.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace elbow::comm {

class HostMemory {
 public:
  // Every rank of `ranks` calls it, with the same `bytes`. Returns nullptr on all ranks, and says
  // why in `reason`, where the ranks are on several hosts or the host has no room. The memory is
  // zero. `ranks` must outlive the object.
  static std::unique_ptr<HostMemory> create(Communicator& ranks, int64_t bytes,
                                            std::string& reason);
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  std::byte* data() { return data_; }  // aligned to 64 bytes; the same bytes on every rank

  // Returns when every rank has called it as often as this one. What a rank wrote before is then
  // seen by all.
  void meet();

  // Returns when `word`, which lies in data() and only grows, is at least `value`; what was written
  // before the word is then seen. The caller holds a Communicator::Waiting. Waits on the CPU at
  // first, then gives way, so that more ranks than cores work too.
  void await(const std::atomic<uint64_t>& word, uint64_t value);

 private:
  struct Counter;
  HostMemory(Communicator& ranks, void* mapping, int64_t mapped_bytes);

  Communicator& ranks_;
  Counter* arrived_;  // one a rank
  std::byte* data_;
  int64_t mapped_bytes_;
  uint64_t meetings_ = 0;
};

}  // namespace elbow::comm
