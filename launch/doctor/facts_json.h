// The facts as JSON: member names are the keys.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CoreFacts, allowed, of_host, quota, threads,
                                                threads_chosen, model, mkl_branch)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Gpu, uuid, name, memory_bytes, free_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(GpuFacts, visible, none_because)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MpiFacts, library, thread_level, launcher,
                                                fault_tolerant, coll, pml, btl, transports)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Interface, name, address, mtu)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(NetworkFacts, interfaces, fabrics)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LimitFacts, shm_bytes, shm_free_bytes,
                                                locked_memory_bytes, open_files, memory_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ClockFacts, offset_s, uncertainty_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DataFile, name, hash)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DataFacts, files, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FolderFacts, path, filesystem, free_bytes,
                                                write_error, shared, rename_error, lock_error,
                                                seen_after_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RankFacts, rank, host, cores, gpus, versions, mpi,
                                                network, limits, clock, data, folder,
                                                memory_used_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SumFacts, backend, latency_s, bytes,
                                                bytes_per_second)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Estimate, config, devices, parameters, steps,
                                                steps_per_epoch, step_s, evaluation_s, total_s,
                                                checkpoint_bytes, shared_memory_bytes)

}  // namespace elbow::launch::doctor
