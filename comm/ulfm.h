// User-level failure mitigation, where the MPI has it: Open MPI 5 and later. With another MPI the
// functions are there, and is_loss() is never true. Internal to the MPI sources of this folder.
#pragma once

#include <mpi.h>

#include <vector>

namespace elbow::comm::ulfm {

bool enabled();               // in this launch: `mpirun --with-ft ulfm`
bool is_loss(int mpi_error);  // a peer is dead, or a survivor has revoked the communicator

void revoke(MPI_Comm comm);
int shrink(MPI_Comm comm, MPI_Comm* survivors);  // an MPI error code

// Whether every living rank says yes; the same answer on all of them, and nobody leaves before all
// have come. Works on a revoked communicator.
bool agree(MPI_Comm comm, bool yes);

std::vector<int> failed_ranks(MPI_Comm comm);  // of `comm`, known to be dead here and now

}  // namespace elbow::comm::ulfm
