#!/usr/bin/env bash
# Makes a virtual environment for tests where it is missing, and prints its folder.
#   python_environment.sh NAME REQUIREMENTS [--with-torch]
# The folder is ~/.cache/elbow/NAME-KEY, where KEY depends on the requirements and on Python. --with-torch: it sees elbow's
# own environment (launch/setup/dependencies.sh) through a .pth file, so torch is there once. Exit code 1 where PyPI cannot be
# reached.
set -euo pipefail
name=$1 requirements=$(readlink -f "$2")
base=
[[ ${3:-} == --with-torch ]] && base=$("$(dirname "${BASH_SOURCE[0]}")/../../launch/setup/dependencies.sh")
key=$({ cat "$requirements"; echo "$base"; python3 --version; } | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/elbow/$name-$key

mkdir -p "$(dirname "$folder")"
exec {lock}>"$folder.lock"
flock "$lock"
if [[ ! -e $folder/.complete ]]; then  # written last, so an interrupted install is done again
  python3 -m venv --clear "$folder" >&2
  packages() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
  [[ -z $base ]] || packages "$base" >"$(packages "$folder")/elbow_dependencies.pth"
  "$folder/bin/python" -m pip install --disable-pip-version-check --progress-bar off --timeout 15 --retries 1 \
    -r "$requirements" >&2 ||
    { echo "tests: pip could not install $requirements (see above): check the network, then run this again" >&2; exit 1; }
  touch "$folder/.complete"
fi
echo "$folder"
