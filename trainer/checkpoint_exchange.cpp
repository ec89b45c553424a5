#include "trainer/checkpoint_exchange.h"

#include <ATen/ATen.h>

#include "comm/text.h"

namespace elbow::trainer {

void broadcast(comm::Communicator& ranks, Checkpoint& checkpoint, int root,
               const TensorNames& names) {
  const bool has_it = ranks.rank() == root;
  const auto text = comm::broadcast_text(ranks, has_it ? state_text(checkpoint) : "", root);
  if (!has_it) checkpoint = parse_state(text);
  const auto states = static_cast<int64_t>(names.states.size());
  for (auto& row : checkpoint.snapshot.rows) {
    if (!has_it) {
      row.parameters = at::empty({names.layout.size()});
      row.state = at::empty({states, names.layout.size()});
    }
    ranks.broadcast(row.parameters, root);
    ranks.broadcast(row.state, root);
  }
}

}  // namespace elbow::trainer
