#!/usr/bin/env bash
# Installs the Debian packages of packages.txt that are missing. As root through apt-get; as anyone else it changes
# nothing and prints the one line to ask for. Exit code 1 if a required package is missing at the end.
#   packages.sh [--tests]    --tests: also those that only tests use
set -euo pipefail
list=$(dirname "${BASH_SOURCE[0]}")/packages.txt

# Packages of the list whose line starts with $1, without marker and comment.
listed() { sed -nE "s/^$1([a-z0-9][a-z0-9.+-]*).*/\1/p" "$list"; }

missing_of() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

install() {
  local log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  local command=(apt-get install --yes --no-install-recommends "$@")
  # The package lists are refreshed only if they turn out to be absent or stale.
  if ! "${command[@]}" >"$log" 2>&1 && ! { apt-get update && "${command[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

mapfile -t required < <(listed '')
mapfile -t useful < <(listed '\?' && { [[ ${1:-} != --tests ]] || listed '\+'; })
if ! command -v dpkg-query >/dev/null; then
  echo "packages: this is not a Debian system; its counterparts of these packages are taken as given:" >&2
  echo "  ${required[*]} ${useful[*]}" >&2
  exit 0
fi
mapfile -t missing < <(missing_of "${required[@]}")
mapfile -t wanted < <(missing_of "${useful[@]}")
all=("${missing[@]}" "${wanted[@]}")
if ((${#all[@]} == 0)); then
  echo "packages: all present"
elif ((EUID == 0)); then
  echo "packages: installing ${all[*]}"
  if ! install "${all[@]}"; then
    echo "packages: apt-get could not install ${all[*]} (see above): check the network and /etc/apt, then run this again" >&2
    exit 1
  fi
elif ((${#missing[@]} > 0)); then
  {
    echo "packages: ${#missing[@]} required Debian packages are missing, and only root can install them. Ask for:"
    echo "  sudo apt-get install --yes --no-install-recommends ${all[*]}"
  } >&2
  exit 1
else
  echo "packages: all required ones present; also useful: sudo apt-get install ${all[*]}"
fi
