# Imported targets made from the files of the PyPI wheels, without a CUDA toolkit and without TorchConfig.cmake.
#
#   LibTorch::cpu    ATen, autograd and MKL on the CPU
#   LibTorch::cuda   the same on CUDA, with CUDA's and NCCL's headers (only if the wheel has libtorch_cuda.so)
#
# Input:  LIBTORCH_SITE_PACKAGES, the folder that holds `torch/` and `nvidia/`.
# Output: LIBTORCH_LIBRARY_DIRS, for the run path. Nothing is cached: another folder is seen at the next configuration.
#
# PyTorch's include paths come after the system's (-idirafter), since the wheel ships its own copies of fmt and others.
# CUDA's and NCCL's come before the system's (-isystem), since a toolkit that happens to be installed must not be used.

include(FindPackageHandleStandardArgs)

set(_torch "${LIBTORCH_SITE_PACKAGES}/torch")
set(_nvidia "${LIBTORCH_SITE_PACKAGES}/nvidia")
set(LIBTORCH_CPU_LIBRARY "LIBTORCH_CPU_LIBRARY-NOTFOUND")
if(EXISTS "${_torch}/include/ATen/ATen.h" AND EXISTS "${_torch}/lib/libtorch_cpu.so")
  set(LIBTORCH_CPU_LIBRARY "${_torch}/lib/libtorch_cpu.so")
endif()
find_package_handle_standard_args(LibTorch REQUIRED_VARS LIBTORCH_CPU_LIBRARY
  REASON_FAILURE_MESSAGE
  "no torch wheel under '${LIBTORCH_SITE_PACKAGES}': run launch/setup/dependencies.sh, or set ELBOW_DEPS_DIR")
if(NOT LibTorch_FOUND OR TARGET LibTorch::cpu)
  return()
endif()

function(_libtorch_library name file)
  add_library(${name} SHARED IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${file}")
endfunction()

# libtorch_cpu.so needs libcudart and libcupti; the linker must be able to find them without linking them.
file(GLOB LIBTORCH_LIBRARY_DIRS "${_nvidia}/*/lib")
list(PREPEND LIBTORCH_LIBRARY_DIRS "${_torch}/lib")
list(TRANSFORM LIBTORCH_LIBRARY_DIRS PREPEND "LINKER:-rpath-link," OUTPUT_VARIABLE _rpath_link)

_libtorch_library(LibTorch::c10 "${_torch}/lib/libc10.so")
_libtorch_library(LibTorch::torch_cpu "${LIBTORCH_CPU_LIBRARY}")
add_library(LibTorch::cpu INTERFACE IMPORTED)
target_compile_options(LibTorch::cpu INTERFACE
  "SHELL:-idirafter ${_torch}/include" "SHELL:-idirafter ${_torch}/include/torch/csrc/api/include")
target_link_options(LibTorch::cpu INTERFACE ${_rpath_link})
target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10)

file(GLOB _cuda_include "${_nvidia}/cu*/include/cccl")
file(GLOB _cudart "${_nvidia}/cu*/lib/libcudart.so.*")
file(GLOB _nvrtc "${_nvidia}/cu*/lib/libnvrtc.so.*")
file(GLOB _nccl "${_nvidia}/nccl/lib/libnccl.so.*")
set(_nccl_include "${_nvidia}/nccl/include")
if(EXISTS "${_torch}/lib/libtorch_cuda.so" AND _cuda_include AND _cudart AND _nvrtc AND _nccl
   AND EXISTS "${_nccl_include}/nccl.h")
  cmake_path(GET _cuda_include PARENT_PATH _cuda_include)
  _libtorch_library(LibTorch::torch_cuda "${_torch}/lib/libtorch_cuda.so")
  _libtorch_library(LibTorch::c10_cuda "${_torch}/lib/libc10_cuda.so")
  _libtorch_library(LibTorch::cudart "${_cudart}")
  _libtorch_library(LibTorch::nvrtc "${_nvrtc}")
  _libtorch_library(LibTorch::nccl "${_nccl}")
  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_include_directories(LibTorch::cuda SYSTEM INTERFACE
    "${_cuda_include}" "${_cuda_include}/cccl" "${_nccl_include}")
  # libtorch_cuda.so registers its kernels when it is loaded, so it is linked even where no symbol of it is used.
  target_link_options(LibTorch::cuda INTERFACE "LINKER:--no-as-needed")
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu LibTorch::torch_cuda LibTorch::c10_cuda
                        LibTorch::cudart LibTorch::nvrtc LibTorch::nccl)
endif()
