#!/usr/bin/env bash
# Configures one build folder, quietly when nothing changed. Usage: configure.sh FOLDER [CMake options]. The toolkit comes from setup.sh's record.
set -eu
build=$1
shift
top=${HONE_SETUP_BUILD:-$build}
toolkit=$(cat "$top/toolkit.path" 2>/dev/null || true)
cmake -S . -B "$build" -G Ninja -DHONE_TOOLKIT="$toolkit" "$@" > "$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2; exit 2; }
