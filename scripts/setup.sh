#!/usr/bin/env bash
# Installs what building and testing hone needs, and only what is missing: Debian packages by apt-get; a CUDA toolkit (NVRTC and headers) from PyPI when
# the machine has none. Usage: setup.sh BUILD_FOLDER. Leaves the toolkit's path in BUILD_FOLDER/toolkit.path.
set -eu
build=${1:-build}
mkdir -p "$build"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2; exit 2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else die "need root to install packages: $*" "run as root, install sudo, or install them yourself"
    fi
}

packages="gcc g++ libc6-dev cmake ninja-build pkg-config libjansson-dev libsqlite3-dev libzstd-dev libssl-dev libseccomp-dev libcmocka-dev libmpfr-dev
          libcurl4-openssl-dev libmicrohttpd-dev python3 python3-venv clang libclang-rt-14-dev"

missing_packages() {
    for p in $packages; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s ' "$p"
    done
}

install_packages() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 || die "cannot install $*: no apt-get here" "install the equivalent packages of your system"
    say "installing $*"
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$build/apt.log" 2>&1; then
        as_root apt-get update -q >"$build/apt.log" 2>&1 || { tail -5 "$build/apt.log" >&2; die "apt-get update failed"; }
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$build/apt.log" 2>&1 ||
            { tail -5 "$build/apt.log" >&2; die "apt-get could not install $*"; }
    fi
}

# A toolkit is a folder with NVRTC's library and CUDA's headers, version 12.4 or newer: an installation, or the "nvidia" folder of PyPI's packages.
is_toolkit() {   # prints nothing: compgen's matches go nowhere
    local header v
    [ -n "$1" ] || return 1
    compgen -G "$1/lib64/libnvrtc.so*" || compgen -G "$1/lib/libnvrtc.so*" || compgen -G "$1/targets/*/lib/libnvrtc.so*" ||
        compgen -G "$1/cuda_nvrtc/lib/libnvrtc.so*" || return 1
    for header in "$1"/include/cuda_runtime_api.h "$1"/cuda_runtime/include/cuda_runtime_api.h; do
        v=$(sed -n 's/^#define *CUDART_VERSION *\([0-9]*\).*/\1/p' "$header" 2>/dev/null | head -1)
        [ "${v:-0}" -lt 12040 ] || return 0
    done
    return 1
}

find_toolkit() {
    local nvcc d
    nvcc=$(command -v nvcc || true)
    for d in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "${nvcc:+$(dirname "$(dirname "$(readlink -f "$nvcc")")")}" /usr/local/cuda /usr/local/cuda-* /usr/lib/cuda \
             /opt/cuda "$PWD/$build/toolkit/nvidia"; do
        if is_toolkit "$d" >/dev/null; then printf '%s\n' "$d"; return 0; fi
    done
    return 1
}

install_toolkit() {
    say "no CUDA toolkit 12.4 or newer found: taking NVRTC, headers and ptxas from PyPI into $build/toolkit"
    python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
    rm -rf "$build/toolkit"
    python3 -m pip install -q --no-deps --target "$build/toolkit" 'nvidia-cuda-nvrtc-cu12>=12.4' 'nvidia-cuda-runtime-cu12>=12.4' \
        'nvidia-cuda-nvcc-cu12>=12.4' 'nvidia-cuda-cccl-cu12>=12.4' >"$build/pip.log" 2>&1 ||
        { tail -5 "$build/pip.log" >&2; die "pip could not install NVRTC" "install a CUDA toolkit and set CUDA_HOME"; }
}

install_packages $(missing_packages)
toolkit=$(find_toolkit) || { install_toolkit; toolkit=$(find_toolkit); } ||
    die "the toolkit from PyPI in $build/toolkit is incomplete" "install a CUDA toolkit and set CUDA_HOME"
printf '%s\n' "$toolkit" > "$build/toolkit.path"
