// A fixed group of ranks that move tensors together. Knows nothing about models or training.
//
// Order:   every rank calls the same operations in the same order, with the same shapes and dtypes.
// Threads: one thread at a time per object; separate objects are independent.
// Streams: for CUDA tensors an operation starts after the work queued on the caller's current
// stream; that stream sees
//          the result after wait(). For CPU tensors an operation is finished when it returns.
// Errors:  PeerLost on every survivor when a peer is gone; comm::Error for everything else. After
// PeerLost only
//          shrink() and destruction are allowed. Destruction never throws.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "comm/heartbeat.h"

namespace elbow::comm {

class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int rank() const = 0;  // in [0, size())
  virtual int size() const = 0;
  virtual std::string backend() const = 0;       // "self", "threads", "mpi", "nccl"
  virtual std::string host(int rank) const = 0;  // host name of a rank

  // Adds, or takes the maximum of, `tensor` over all ranks, in place; every rank gets the same
  // bits. Requires: contiguous; float32, float64, int32, int64 or uint8. The maximum with a NaN is
  // NaN (NCCL leaves it open).
  virtual void all_reduce_sum(at::Tensor tensor) = 0;
  virtual void all_reduce_max(at::Tensor tensor) = 0;

  // Concatenates every rank's `input` [counts[rank], ...] along the first dimension, in rank order,
  // into `output` [sum(counts), ...]. Counts may differ and may be 0; `counts` has size() entries,
  // equal on all ranks. Moves bytes, so any dtype and any bits survive.
  virtual void all_gather(const at::Tensor& input, at::Tensor output,
                          std::span<const int64_t> counts) = 0;

  // Copies `tensor` of rank `root` onto all other ranks, in place.
  virtual void broadcast(at::Tensor tensor, int root) = 0;

  virtual void barrier() = 0;
  virtual void
  wait() = 0;  // the caller's stream waits for what was started; nothing to do for CPU tensors

  // Ranks of equal `color` form a new group, ordered by `key`, then by rank. Every rank calls it.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

  // The survivors' communicator, in the old order. Called by every survivor after PeerLost; also
  // allowed, and then a plain copy, when nobody is lost. A survivor that is still inside an
  // operation leaves it with PeerLost, one in agree() with false. Afterwards this communicator can
  // only be destroyed.
  virtual std::unique_ptr<Communicator> shrink() = 0;

  // Whether every living rank says yes: the same answer on all of them, and nobody leaves before
  // all have come. A rank that dies meanwhile need not have said anything. False as well where
  // another rank is in shrink(), which is then the next call of all. Throws PeerLost only where
  // deaths cannot be survived.
  virtual bool agree(bool yes);

  // A rank of this group that is known here and now to be dead, or -1. Local, cheap, and any thread
  // may call it.
  virtual int lost_rank() { return -1; }

  // [1], int32, which the device of the group's tensors can read; undefined where an operation that
  // a lost peer cuts short always throws. On a GPU it ends instead, and what is queued behind it
  // runs on a partial sum: the word is not 0 from before that, so what must not happen then is done
  // only where it is 0. The same tensor as long as this object lives.
  virtual at::Tensor abort_word() { return {}; }

  // What the caller is doing: goes into the sentences of PeerLost, and to where other processes can
  // read it. Local and cheap.
  virtual void at(int64_t step, const char* phase) {
    step_ = step, phase_ = phase;
    if (heartbeat_ != nullptr) heartbeat_->at(step, phase);
  }
  int64_t step() const { return step_; }
  const char* phase() const { return phase_; }

  // Some piece of a long phase is done; any thread.
  void progress() {
    if (heartbeat_ != nullptr) heartbeat_->progress();
  }

  // Held while this rank may have to wait for others.
  class Waiting {
   public:
    explicit Waiting(Communicator& ranks) : heartbeat_(ranks.heartbeat_) {
      if (heartbeat_ != nullptr) heartbeat_->begin_wait();
    }
    ~Waiting() {
      if (heartbeat_ != nullptr) heartbeat_->end_wait();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Heartbeat* heartbeat_;
  };

 protected:
  // Where at() and progress() are published; null: nowhere. It must outlive the object.
  void publish_to(Heartbeat* heartbeat) { heartbeat_ = heartbeat; }

 private:
  int64_t step_ = 0;
  const char* phase_ = "start";  // a string literal
  Heartbeat* heartbeat_ = nullptr;
};

}  // namespace elbow::comm
