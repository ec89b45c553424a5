// Tries the folder that runs go into: all ranks write there, read what others wrote, see a name
// that rank 0 changes, and respect a lock that it holds. Whatever it makes is removed.
#pragma once

#include <chrono>
#include <filesystem>

#include "comm/communicator.h"
#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

// The folder itself, or the nearest one above it that is there: a run's folder is made by training.
std::filesystem::path existing_part(const std::filesystem::path& folder);

// Every rank calls it. `folder` of rank 0 counts, as an absolute path, which every rank looks up by
// itself. patience: how long a file of another rank may take to appear.
FolderFacts try_folder(comm::Communicator& ranks, const std::filesystem::path& folder,
                       std::chrono::milliseconds patience);

}  // namespace elbow::launch::doctor
