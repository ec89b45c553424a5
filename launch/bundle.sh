#!/usr/bin/env bash
# Packs a built elbow into one archive that runs where it is unpacked, on any x86-64 Linux with a new enough glibc.
#   launch/bundle.sh [OPTION ...] FILE.tar.gz
#
#   --no-mpi          without Open MPI: lib/elbow/mpi is to become a link to an Open MPI 5 of the cluster's
#   --no-libtorch     without LibTorch: lib/elbow/wheels is to become a link to the site-packages folder of a Python with the same
#                     version of torch
#   --libtorch DIR    likewise, with the link to DIR, as the cluster has it, made already
#   --build DIR       another build folder than build/release; one configured with -D ELBOW_INSTALL_CUDA=ON brings CUDA along (3 GB)
#
# In the archive: elbow/bin/elbow (the launcher), elbow/lib/elbow (program and libraries), elbow/share/elbow (configs, scripts for
# Slurm, licence). The last lines say the size, and the oldest glibc that all its libraries run with.
set -euo pipefail

fail() {
  echo "bundle: $1" >&2
  exit 2
}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$repository/build/release mpi=yes libtorch=yes link='' archive=''
while (($# > 0)); do
  case $1 in
    --no-mpi) mpi=no ;;
    --no-libtorch) libtorch=no ;;
    --libtorch | --build)
      (($# > 1)) && [[ -n $2 ]] || fail "$1 needs a folder"
      if [[ $1 == --build ]]; then build=$2; else libtorch=no link=$2; fi
      shift ;;
    -*) fail "unknown option $1; options are --no-mpi, --no-libtorch, --libtorch DIR, --build DIR" ;;
    *) [[ -z $archive ]] || fail "two files are named, $archive and $1; the archive is one"
      archive=$1 ;;
  esac
  shift
done
[[ $archive == *.tar.gz ]] || fail "the archive '$archive' must end in .tar.gz, such as elbow.tar.gz"
[[ -d $(dirname "$archive") ]] || fail "there is no folder $(dirname "$archive") for $archive"
[[ -z $link || $link == /* ]] || fail "--libtorch $link must be a whole path, as the cluster has it"
[[ -x $build/elbow ]] || fail "$build/elbow is not there: build it with launch/quickstart.sh, or name the folder with --build DIR"

staging=$(mktemp -d "${TMPDIR:-/tmp}/elbow-bundle.XXXXXX")
trap 'rm -rf "$staging"' EXIT
cmake --install "$build" --prefix "$staging/elbow" --strip >/dev/null
home=$staging/elbow/lib/elbow

# Whatever else is loaded from this system, but for glibc itself, which must fit its own loader. CUDA's libraries come by
# --build, or not at all.
wheels=$(sed -n 's/^ELBOW_CONFIGURED_FOR:INTERNAL=//p' "$build/CMakeCache.txt")
is_glibc() { [[ $1 =~ ^(ld-linux.*|lib(c|m|dl|rt|pthread|util|resolv|nsl|anl|mvec|BrokenLocale|thread_db|nss_.*))\.so ]]; }
needed_of() { find "$home" \( -name '*.so*' -o -perm -u+x \) -type f -exec ldd {} + 2>/dev/null | sed -nE 's/^\s+(\S+) => (\/\S+) .*/\1 \2/p' | sort -u; }
while read -r name file; do
  [[ $file == "$staging"/* || $file == "$wheels"/* ]] || is_glibc "$name" || cp -L "$file" "$home/$name"
done < <(needed_of)
# Figures are drawn with a font; launch/elbow names this folder to fontconfig where the machine has none.
font=$(fc-match --format='%{file}' 'DejaVu Sans' 2>/dev/null || true)
if [[ -r $font ]]; then
  fonts=$staging/elbow/share/elbow/fonts
  install -D -m 644 "$font" "$fonts/$(basename "$font")"
  printf '<?xml version="1.0"?>\n<fontconfig><dir prefix="relative">.</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n' \
    >"$fonts/fonts.conf"
fi

left_out=''
if [[ $mpi == no ]]; then
  rm -rf "$home/mpi"
  left_out+="  Open MPI 5:  ln -s PREFIX elbow/lib/elbow/mpi, where PREFIX/bin/mpirun is"$'\n'
fi
if [[ $libtorch == no ]]; then
  rm -rf "$home/wheels"
  if [[ -n $link ]]; then
    ln -s "$link" "$home/wheels"
  else
    left_out+="  LibTorch:    ln -s SITE_PACKAGES elbow/lib/elbow/wheels, where SITE_PACKAGES/torch/lib/libtorch_cpu.so is"$'\n'
  fi
fi

# The newest version of glibc's symbols that any file asks for.
glibc=$(find "$home" -type f \( -name '*.so*' -o -perm -u+x \) -exec objdump -T {} + 2>/dev/null |
  grep -oE 'GLIBC_[0-9]+(\.[0-9]+)+' | sort -uV | tail -n 1)
tar -C "$staging" -czf "$archive" elbow
echo "$archive: $(du -m "$archive" | cut -f1) MB, $(du -sm "$staging/elbow" | cut -f1) MB unpacked"
echo "runs with glibc ${glibc#GLIBC_} or newer (ldd --version tells a machine's)"
[[ -z $left_out ]] || printf 'left out; on the cluster, from where it is unpacked:\n%s' "$left_out"
