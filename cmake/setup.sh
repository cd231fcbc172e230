#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings everything a build needs: Debian packages (installed as root, otherwise named), and the pinned torch wheel,
# unpacked once into a cache. Prints the torch folder on standard output; progress goes to standard error.
#   setup.sh arrow    the same for the pinned pyarrow wheel (Parquet); nothing is printed where it cannot be had
#   RETAIN_TORCH=DIR  use this torch (a folder with include/ and lib/) and fetch nothing
#   RETAIN_ARROW=DIR  use this pyarrow (a folder with include/, libarrow and libparquet) and fetch nothing
#   RETAIN_CACHE=DIR  where the wheel is kept (default: ${XDG_CACHE_HOME:-$HOME/.cache}/retain)
set -euo pipefail

torch_version=2.14.1
arrow_version=26.0.1
wheels=("torch==$torch_version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)

say() { printf 'setup: %s\n' "$*" >&2; }

missing_packages() {
  local boost=libboost-dev
  # Debian 12's default Boost (1.74) predates Boost.JSON; its archive also has 1.81.
  apt-cache show libboost1.81-dev >/dev/null 2>&1 && boost=libboost1.81-dev
  [ -f /usr/include/boost/json.hpp ] && boost=
  local package
  for package in g++ cmake ninja-build pkg-config python3 python3-pip openmpi-bin libopenmpi-dev libhdf5-openmpi-dev \
      hdf5-tools $boost libtomlplusplus-dev libcli11-dev libspdlog-dev libyaml-cpp-dev libpcre2-dev libicu-dev \
      libjpeg-dev libpng-dev libwebp-dev libxxhash-dev libgtest-dev libgmock-dev libbenchmark-dev libfaketime; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
  done
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "not a Debian or Ubuntu system: install the libraries that docs/install.md lists, then run again"
    return
  fi
  local missing
  missing=$(missing_packages)
  [ -z "$missing" ] && return
  if [ "$(id -u)" -ne 0 ]; then
    say "these Debian packages are missing; install them and run again:"
    printf '\n  sudo apt-get update && sudo apt-get install --yes --no-install-recommends %s\n\n' "$missing" >&2
    exit 1
  fi
  say "installing Debian packages: $missing"
  apt-get update >&2
  missing=$(missing_packages)
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing >&2
}

# fetch NAME VERSION WHEEL…: unpacks what a build needs of the wheels into the cache, once, and prints the folder.
fetch() {
  local name=$1 version=$2
  shift 2
  local cache=${RETAIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retain}
  local home=$cache/$name-$version
  if [ ! -f "$home/complete" ]; then
    say "fetching $name $version (once) into $cache"
    local staging
    mkdir -p "$cache"
    staging=$(mktemp -d "$cache/$name.XXXXXX")
    # shellcheck disable=SC2064  # the folder's name now: the variable is gone when the shell ends
    trap "rm -rf '$staging'" EXIT
    python3 -m pip download --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
      --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --dest "$staging/wheels" "$@" >&2 || return 1
    say "unpacking"
    python3 - "$staging" >&2 <<'PYTHON' || return 1
import glob, sys, zipfile
staging = sys.argv[1]
needed = ("torch/include/", "torch/lib/", "nvidia/", "torch/version", "pyarrow/include/arrow/", "pyarrow/include/parquet/",
          "pyarrow/libarrow.so", "pyarrow/libparquet.so")
for wheel in glob.glob(staging + "/wheels/*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(staging + "/site", [n for n in archive.namelist() if n.startswith(needed)])
PYTHON
    touch "$staging/site/complete"
    rm -rf "$home"
    mv "$staging/site" "$home"
    rm -rf "$staging"
    trap - EXIT
  fi
  printf '%s\n' "$home"
}

if [ "${1:-}" = arrow ]; then
  if [ -n "${RETAIN_ARROW:-}" ]; then
    printf '%s\n' "$RETAIN_ARROW"
  elif home=$(fetch arrow "$arrow_version" "pyarrow==$arrow_version"); then
    printf '%s\n' "$home/pyarrow"
  else
    say "pyarrow $arrow_version cannot be fetched: Retain will not read Parquet"
  fi
  exit 0
fi
install_packages
if [ -n "${RETAIN_TORCH:-}" ]; then
  say "using torch at $RETAIN_TORCH"
  printf '%s\n' "$RETAIN_TORCH"
else
  home=$(fetch torch "$torch_version" "${wheels[@]}")
  printf '%s\n' "$home/torch"
fi
