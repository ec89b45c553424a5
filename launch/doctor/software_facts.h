// What this process runs with: versions, MPI, GPUs.
#pragma once

#include "comm/mpi_session.h"
#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

MpiFacts mpi_facts(const comm::MpiSession& session);

// Opens the GPUs. After it version_facts() knows CUDA's libraries too.
GpuFacts gpu_facts();
std::map<std::string, std::string> version_facts();

}  // namespace elbow::launch::doctor
