# Sourced by launch/quickstart.sh and tests/run.sh: the way from a bare checkout to built targets, with a timed line a stage.
# shellcheck shell=bash
# Defines set_up_and_build and stage; afterwards `dependencies` is the virtual environment, and cmake, ctest, ninja are on PATH.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build_folder=$repository/build/release
package_options=()

# Runs a command under a heading and says how long it took.
stage() {  # HEADING COMMAND...
  local heading=$1 start=$SECONDS code=0
  shift
  echo "== $heading"
  "$@" || code=$?
  if ((code != 0)); then
    echo "== $heading: failed with code $code after $((SECONDS - start)) s" >&2
    return "$code"
  fi
  echo "== $heading: $((SECONDS - start)) s"
}

install_dependencies() {
  dependencies=$("$repository/launch/setup/dependencies.sh") || return
  export PATH=$dependencies/tools:$PATH
  echo "dependencies: $dependencies"
}

is_configured_with() { grep -qxF "$1" "$build_folder/CMakeCache.txt" 2>/dev/null; }

# Ninja configures again by itself when a file has changed; other dependencies, or another MPI_HOME, need it done here.
configure() {
  if is_configured_with "ELBOW_CONFIGURED_FOR:INTERNAL=$dependencies" && [[ -e $build_folder/build.ninja ]] &&
    { [[ -z ${MPI_HOME:-} ]] || is_configured_with "MPI_HOME:PATH=$MPI_HOME"; }; then
    echo "configured already: $build_folder"
  else
    (cd "$repository" && cmake --preset release ${MPI_HOME:+"-DMPI_HOME=$MPI_HOME"})
  fi
}

# One job a core, but no more than memory allows: a compiler with LibTorch's headers takes about 1.5 GB.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1500000)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : memory < cores ? memory : cores))
}

set_up_and_build() {  # TARGET...
  stage "Debian packages" "$repository/launch/setup/packages.sh" "${package_options[@]}" &&
    stage "PyPI packages" install_dependencies &&
    stage "configure" configure &&
    stage "build" cmake --build "$build_folder" --parallel "$(build_jobs)" --target "$@"
}
