# Imported targets made from the files of the PyPI wheels, without a CUDA toolkit and without TorchConfig.cmake.
#
#   LibTorch::cpu    ATen, autograd and MKL on the CPU
#   LibTorch::cuda   the same on CUDA, with CUDA's and NCCL's headers (only if the wheel has libtorch_cuda.so)
#
# Input: LIBTORCH_SITE_PACKAGES, the folder that holds `torch/` and `nvidia/`.
# The include paths come after the system's (-idirafter): the wheel ships its own copies of fmt and other headers.

find_path(LIBTORCH_ROOT NAMES include/ATen/ATen.h
          HINTS "${LIBTORCH_SITE_PACKAGES}/torch" NO_DEFAULT_PATH)
set(_lib "${LIBTORCH_ROOT}/lib")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LIBTORCH_ROOT
  REASON_FAILURE_MESSAGE
  "no torch wheel under '${LIBTORCH_SITE_PACKAGES}': run launch/setup/dependencies.sh, or set ELBOW_DEPS_DIR")
if(NOT LibTorch_FOUND)
  return()
endif()

set(_includes "${LIBTORCH_ROOT}/include" "${LIBTORCH_ROOT}/include/torch/csrc/api/include")
set(_after)
foreach(_path IN LISTS _includes)
  list(APPEND _after "SHELL:-idirafter ${_path}")
endforeach()

function(_libtorch_library name file)
  add_library(${name} SHARED IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${file}" IMPORTED_NO_SONAME TRUE)
endfunction()

if(NOT TARGET LibTorch::cpu)
  _libtorch_library(LibTorch::c10 "${_lib}/libc10.so")
  _libtorch_library(LibTorch::torch_cpu "${_lib}/libtorch_cpu.so")
  # libtorch_cpu.so needs libcudart and libcupti; the linker must be able to find them without linking them.
  set(_site "${LIBTORCH_ROOT}/..")
  file(GLOB LIBTORCH_LIBRARY_DIRS "${_site}/nvidia/*/lib")
  list(PREPEND LIBTORCH_LIBRARY_DIRS "${_lib}")
  set(_rpath_link)
  foreach(_dir IN LISTS LIBTORCH_LIBRARY_DIRS)
    list(APPEND _rpath_link "LINKER:-rpath-link,${_dir}")
  endforeach()

  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_compile_options(LibTorch::cpu INTERFACE ${_after})
  target_link_options(LibTorch::cpu INTERFACE ${_rpath_link})
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10)
endif()

find_library(LIBTORCH_CUDA_LIBRARY torch_cuda HINTS "${_lib}" NO_DEFAULT_PATH)
file(GLOB LIBTORCH_CUDA_INCLUDE_DIRS "${LIBTORCH_ROOT}/../nvidia/cu*/include")
find_path(LIBTORCH_NCCL_INCLUDE_DIR nccl.h HINTS "${LIBTORCH_ROOT}/../nvidia/nccl/include" NO_DEFAULT_PATH)
if(LIBTORCH_CUDA_LIBRARY AND LIBTORCH_CUDA_INCLUDE_DIRS AND LIBTORCH_NCCL_INCLUDE_DIR AND NOT TARGET LibTorch::cuda)
  _libtorch_library(LibTorch::torch_cuda "${LIBTORCH_CUDA_LIBRARY}")
  _libtorch_library(LibTorch::c10_cuda "${_lib}/libc10_cuda.so")
  file(GLOB _cudart "${LIBTORCH_ROOT}/../nvidia/cu*/lib/libcudart.so.*")
  file(GLOB _nvrtc "${LIBTORCH_ROOT}/../nvidia/cu*/lib/libnvrtc.so.*")
  file(GLOB _nccl "${LIBTORCH_ROOT}/../nvidia/nccl/lib/libnccl.so.*")
  _libtorch_library(LibTorch::cudart "${_cudart}")
  _libtorch_library(LibTorch::nvrtc "${_nvrtc}")
  _libtorch_library(LibTorch::nccl "${_nccl}")
  set(_cuda_after)
  foreach(_path IN LISTS LIBTORCH_CUDA_INCLUDE_DIRS LIBTORCH_NCCL_INCLUDE_DIR)
    list(APPEND _cuda_after "SHELL:-idirafter ${_path}")
  endforeach()
  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_compile_options(LibTorch::cuda INTERFACE ${_cuda_after})
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu LibTorch::torch_cuda LibTorch::c10_cuda
                        LibTorch::cudart LibTorch::nvrtc LibTorch::nccl)
endif()
