#include "comm/ulfm.h"

#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <numeric>

namespace elbow::comm::ulfm {

#if defined(OMPI_HAVE_MPI_EXT_FTMPI)

bool enabled() {
  int* value = nullptr;
  int found = 0;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, &value, &found);
  return found != 0 && value != nullptr && *value != 0;
}

bool is_loss(int mpi_error) {
  int error_class = MPI_SUCCESS;
  MPI_Error_class(mpi_error, &error_class);
  return error_class == MPIX_ERR_PROC_FAILED || error_class == MPIX_ERR_PROC_FAILED_PENDING ||
         error_class == MPIX_ERR_REVOKED;
}

void revoke(MPI_Comm comm) { MPIX_Comm_revoke(comm); }

int shrink(MPI_Comm comm, MPI_Comm* survivors) { return MPIX_Comm_shrink(comm, survivors); }

bool agree(MPI_Comm comm, bool yes) {
  int flag = yes ? 1 : 0;
  MPIX_Comm_failure_ack(comm);
  MPIX_Comm_agree(comm, &flag);  // its code only tells of deaths that were not acknowledged
  return flag != 0;
}

std::vector<int> failed_ranks(MPI_Comm comm) {
  MPI_Group failed = MPI_GROUP_NULL, everyone = MPI_GROUP_NULL;
  MPIX_Comm_failure_ack(comm);
  if (MPIX_Comm_failure_get_acked(comm, &failed) != MPI_SUCCESS) return {};
  MPI_Comm_group(comm, &everyone);
  int count = 0;
  MPI_Group_size(failed, &count);
  std::vector<int> of_failed(count), of_comm(count);
  std::iota(of_failed.begin(), of_failed.end(), 0);
  MPI_Group_translate_ranks(failed, count, of_failed.data(), everyone, of_comm.data());
  MPI_Group_free(&everyone);
  if (failed != MPI_GROUP_EMPTY) MPI_Group_free(&failed);
  return of_comm;
}

#else

bool enabled() { return false; }
bool is_loss(int) { return false; }
void revoke(MPI_Comm) {}
int shrink(MPI_Comm comm, MPI_Comm* survivors) { return MPI_Comm_dup(comm, survivors); }
bool agree(MPI_Comm, bool yes) { return yes; }
std::vector<int> failed_ranks(MPI_Comm) { return {}; }

#endif

}  // namespace elbow::comm::ulfm
