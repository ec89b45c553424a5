#!/usr/bin/env bash
# Makes the peers' virtual environment where it is missing, and prints its folder. It sees elbow's own environment
# (launch/setup/dependencies.sh) through a .pth file, so torch is there once; only what requirements.txt adds is installed.
# The folder is ~/.cache/elbow/peers-KEY, where KEY depends on requirements.txt and on elbow's environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=$("$here/../../launch/setup/dependencies.sh")
key=$({ cat "$here/requirements.txt"; echo "$base"; } | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/elbow/peers-$key

mkdir -p "$(dirname "$folder")"
exec {lock}>"$folder.lock"
flock "$lock"
if [[ ! -e $folder/.complete ]]; then  # written last, so an interrupted install is done again
  python3 -m venv --clear "$folder" >&2
  packages() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
  packages "$base" >"$(packages "$folder")/elbow_dependencies.pth"
  "$folder/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
    -r "$here/requirements.txt" >&2 ||
    { echo "bench: pip could not install $here/requirements.txt (see above): check the network, then run this again" >&2; exit 1; }
  touch "$folder/.complete"
fi
echo "$folder"
