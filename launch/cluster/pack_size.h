// How many rows a pack should have where nobody says.
#pragma once

#include <cstdint>
#include <optional>

#include "comm/communicator.h"
#include "trainer/dataset.h"
#include "trainer/settings.h"
#include "trainer/thread_team.h"

namespace elbow::launch::cluster {

struct PackSpeed {
  double steps_per_s = 0;   // of the pack
  double memory_bytes = 0;  // of this process, or on this GPU, while the pack is there
};

// Trains a pack of `rows` rows for some steps; nothing where there is no memory for them. Every
// rank of the group calls it. Throws comm::PeerLost.
std::optional<PackSpeed> speed_of_pack(const trainer::Settings& settings,
                                       const trainer::Dataset& data, comm::Communicator& ranks,
                                       trainer::ThreadTeam& team, at::Device device, int64_t rows);

// Doubles the rows, up to `most`, as long as that trains clearly more examples a second over all
// rows and the memory holds them: on a CPU a row alone is best where its weights fit into the
// cache, on a GPU many rows are. Every rank of the group calls it, and gets the same answer. Throws
// comm::PeerLost.
int64_t rows_per_pack(const trainer::Settings& settings, const trainer::Dataset& data,
                      comm::Communicator& ranks, trainer::ThreadTeam& team, at::Device device,
                      int64_t most);

}  // namespace elbow::launch::cluster
