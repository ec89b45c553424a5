// Adds gradients and metric sums over the slices of the global batch: over this rank's slices, then
// over all ranks.
//
//   fast:  each rank cuts its contiguous share into one slice a thread; the group all-reduces one
//   flat buffer. exact: the batch is cut into leaves; leaves are added in one fixed binary tree,
//   whatever the number of ranks and threads.
//
// Every rank of the group calls add() in the same order, and gets the same bits. PeerLost passes
// through.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "trainer/leaves.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// What one slice contributes, for `rows` rows. On the CPU both tensors lie in one block of memory,
// so that one message carries them; a gradient on another device travels alone.
struct Summand {
  at::Tensor gradient;  // [rows, P], float32, on the device of SumShape
  at::Tensor sums;      // [rows, numbers], float64, on the CPU
};

class GradientSum {
 public:
  virtual ~GradientSum() = default;

  // Number of slices that this rank computes, the same for every batch.
  virtual int64_t slices() const = 0;
  // Positions of slice `index` (0 .. slices() - 1) within a global batch of `examples`. May be
  // empty.
  virtual Range slice(int64_t index, int64_t examples) const = 0;
  // Where slice `index` writes its contribution. Valid until add(); it must be written whole, an
  // empty slice as zeros.
  virtual Summand& place(int64_t index) = 0;
  // Where a caller that adds up the gradients of all slices itself, in exact mode's tree, may write
  // their sum, [1, P], instead of each one's; it then says so to add(). Undefined where there is no
  // such place: in fast mode, where this rank's leaves are not one subtree, on other devices.
  virtual at::Tensor subtree() { return {}; }

  // These slices' gradients are written from `column` to their end, in the place of each or, where
  // they are all of this rank's and more than one, in that of the subtree. Other ranks may begin to
  // add them. May be left out; one thread at a time for each slice.
  virtual void written_from(const Range& /*slices*/, int64_t /*column*/) {}

  // The sum over all slices of all ranks; valid until the next place is written.
  virtual const Summand& add(bool subtree_written = false) = 0;

  // The same sum, shared out over the ranks: visit(columns, gradient) gets pieces that no other
  // rank gets, from the team's threads; gradient is the sum of the piece's first column. Who comes
  // first does more. It returns whether the piece is good. Afterwards all visits of all ranks are
  // done, and what they wrote is seen by all. Only where shares_columns().
  using VisitColumns = std::function<bool(const Range& columns, const float* gradient)>;
  struct SharedOut {
    at::Tensor sums;  // [rows, numbers], of Summand, whole
    bool good;        // every visit of every rank returned true
  };
  virtual bool shares_columns() const { return false; }
  virtual SharedOut add_columns(const VisitColumns& visit, bool subtree_written = false);

  // The same for a few numbers a row ahead of the backward pass: the objective's batch statistics.
  // local: one [rows, n] float64 CPU tensor a slice. Returns [rows, n].
  virtual at::Tensor add_statistics(const std::vector<at::Tensor>& local) = 0;
};

struct SumShape {
  int64_t rows;
  int64_t parameters;            // P, a multiple of 16
  int64_t numbers;               // of metric sums a row
  at::Device device = at::kCPU;  // of the gradients
};

// The objects keep references to `ranks` and `team`, which must outlive them. Every rank makes them
// together. leaves: 0 is fast mode; exact mode takes a power of two, at least ranks.size(),
// otherwise SettingError.

// The one to take: through shared memory where all ranks are on one host, else through messages.
std::unique_ptr<GradientSum> make_gradient_sum(comm::Communicator& ranks, ThreadTeam& team,
                                               const SumShape& shape, int64_t leaves);

std::unique_ptr<GradientSum> make_fast_sum(comm::Communicator& ranks, ThreadTeam& team,
                                           const SumShape& shape);
std::unique_ptr<GradientSum> make_exact_sum(comm::Communicator& ranks, ThreadTeam& team,
                                            const SumShape& shape, int64_t leaves);
// Ranks of one host: the same bits as the sum through messages in exact mode. nullptr on all ranks
// where they are not on one host, or it has no room.
std::unique_ptr<GradientSum> make_host_sum(comm::Communicator& ranks, ThreadTeam& team,
                                           const SumShape& shape, int64_t leaves);

}  // namespace elbow::trainer
