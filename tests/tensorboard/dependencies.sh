#!/usr/bin/env bash
# Makes TensorBoard's virtual environment where it is missing, and prints its folder: ~/.cache/elbow/tensorboard-KEY, where
# KEY depends on requirements.txt and on Python's version. Exit code 1 where PyPI cannot be reached.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
key=$({ cat "$here/requirements.txt"; python3 --version; } | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/elbow/tensorboard-$key

mkdir -p "$(dirname "$folder")"
exec {lock}>"$folder.lock"
flock "$lock"
if [[ ! -e $folder/.complete ]]; then  # written last, so an interrupted install is done again
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/python" -m pip install --disable-pip-version-check --progress-bar off --timeout 15 --retries 1 \
    -r "$here/requirements.txt" >&2
  touch "$folder/.complete"
fi
echo "$folder"
