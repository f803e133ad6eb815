#!/usr/bin/env bash
# Compiles hopper_probe.cu with nvcc and runs it: hopper_probe.sh PROGRAM LIBRARY SOURCE. 77: there is no nvcc.
set -eu
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "skipped: no nvcc"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$nvcc" -std=c++17 -arch=sm_90a -ptx -lineinfo "$3" -o "$dir/probe.ptx"
"$1" "$2" "$dir/probe.ptx"
