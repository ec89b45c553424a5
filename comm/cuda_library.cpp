#include "comm/cuda_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace elbow::comm {
namespace {

constexpr const char* kFile = "libelbow_cuda.so";
constexpr const char* kEntry = "elbow_comm_cuda_functions";

CudaLibrary open_where_a_driver_is() {
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr) {
    return {.reason = "no NVIDIA driver on this host (libcuda.so.1 cannot be loaded)"};
  }
  const auto file = find_cuda_library();
  if (file.empty()) {
    return {.reason = fmt::format("{} does not lie beside the program: it was built without CUDA",
                                  kFile)};
  }
  return open_cuda_library(file);
}

}  // namespace

std::filesystem::path find_cuda_library() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {folder / kFile, folder.parent_path() / kFile}) {
    if (std::filesystem::exists(candidate, error)) return candidate;
  }
  return {};
}

CudaLibrary open_cuda_library(const std::filesystem::path& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) return {.reason = fmt::format("the GPUs are not used: {}", dlerror())};
  using Entry = const CudaFunctions* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kEntry));
  if (entry == nullptr) return {.reason = fmt::format("the GPUs are not used: {}", dlerror())};
  return {.functions = entry()};
}

const CudaLibrary& cuda_library() {
  static const CudaLibrary library = open_where_a_driver_is();
  return library;
}

}  // namespace elbow::comm
