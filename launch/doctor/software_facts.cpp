#include "launch/doctor/software_facts.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "comm/cuda_library.h"
#include "comm/error.h"
#include "launch/doctor/host_facts.h"
#include "trainer/build_info.h"
#include "trainer/file_bytes.h"
#include "trainer/sha256.h"

namespace elbow::launch::doctor {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string program_hash() {
  constexpr size_t kDigits = 12;
  try {
    return trainer::sha256(trainer::read_file(fs::read_symlink("/proc/self/exe")))
        .substr(0, kDigits);
  } catch (const std::exception&) {
    return "";  // replaced while it runs
  }
}

// Two builds of one version differ in size, nearly always.
std::string library_size(const char* soname) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    const fs::path file = line.substr(slash);
    std::error_code none;
    if (!file.filename().string().starts_with(soname)) continue;
    if (const auto bytes = fs::file_size(file, none); !none) return fmt::format("{} bytes", bytes);
  }
  return "unknown size";
}

std::string driver_version() {
  std::ifstream in("/proc/driver/nvidia/version");
  std::string line;
  std::getline(in, line);
  std::smatch found;
  return std::regex_search(line, found, std::regex(R"((\d+\.\d+(\.\d+)?))")) ? found[1].str() : "";
}

}  // namespace

MpiFacts mpi_facts(const comm::MpiSession& session) {
  const bool mpirun = !environment("OMPI_COMM_WORLD_SIZE").empty();
  const bool srun = !environment("PMIX_RANK").empty() && !environment("SLURM_STEP_ID").empty();
  return {.library = comm::mpi_library(),
          .thread_level = comm::mpi_thread_level(),
          .launcher = mpirun ? "mpirun"
                      : srun ? "srun"
                             : "none",
          .fault_tolerant = session.fault_tolerant(),
          .coll = environment("OMPI_MCA_coll"),
          .pml = environment("OMPI_MCA_pml"),
          .btl = environment("OMPI_MCA_btl"),
          .transports = loaded_transports()};
}

GpuFacts gpu_facts() {
  const auto& library = comm::cuda_library();
  if (library.functions == nullptr) return {.none_because = library.reason};
  GpuFacts facts;
  for (const auto& uuid : library.functions->gpu_uuids()) {
    const int device = static_cast<int>(facts.visible.size());
    facts.visible.push_back({.uuid = uuid});
    try {
      auto& gpu = facts.visible.back();
      gpu.name = library.functions->gpu_name(device);
      const auto memory = library.functions->gpu_memory(device);
      gpu.memory_bytes = memory.bytes;
      gpu.free_bytes = memory.free_bytes;
    } catch (const comm::Error&) {
      continue;  // seen, but not to be asked: its memory stays 0
    }
  }
  if (facts.visible.empty()) facts.none_because = "the driver shows none to this process";
  return facts;
}

std::map<std::string, std::string> version_facts() {
  const auto& build = trainer::build_info();
  std::map<std::string, std::string> versions = {
      {"elbow", fmt::format("{} ({})", build.elbow, build.git_revision)},
      {"program", program_hash()},
      {"libtorch", fmt::format("{} ({})", build.libtorch, library_size("libtorch_cpu.so"))},
      {"mpi", fmt::format("{} ({})", comm::mpi_library(), library_size("libmpi.so"))},
      {"glibc", gnu_get_libc_version()},
      {"nvidia_driver", driver_version()},
  };
  if (const auto* functions = comm::cuda_library().functions; functions != nullptr)
    versions.merge(functions->versions());
  return versions;
}

}  // namespace elbow::launch::doctor
