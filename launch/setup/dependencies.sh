#!/usr/bin/env bash
# Installs what requirements.txt names into a virtual environment in the user's cache folder, keyed by that file.
#   dependencies.sh          install if missing, print the folder
#   dependencies.sh --where  print the folder only
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
key=$(sha256sum "$here/requirements.txt" | cut -c1-12)
folder=${ELBOW_DEPS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/elbow/deps-$key}
if [[ ${1:-} != --where && ! -e $folder/.complete ]]; then
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --disable-pip-version-check -r "$here/requirements.txt" >&2
  touch "$folder/.complete"
fi
echo "$folder"
