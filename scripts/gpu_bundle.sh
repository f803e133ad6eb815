#!/usr/bin/env bash
# Gathers what a bare machine with a CUDA driver and toolkit needs to run hone: gpu_bundle.sh DIR [BUILD]. DIR/hone, DIR/gpu_diff and DIR/bench_evaluate_tasks start the programs with the
# libraries of DIR/lib (those that a bare system lacks; libc and its kin are the machine's own).
set -eu
dir=${1:?usage: gpu_bundle.sh DIR [BUILD]} build=${2:-build}
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
[ -x "$build/hone" ] || { echo "gpu_bundle.sh: no '$build/hone': run make first" >&2; exit 2; }
cmake --build "$build" --target gpu_diff bench_evaluate_tasks > /dev/null
mkdir -p "$dir/bin" "$dir/lib"
for f in hone gpu_diff bench_evaluate_tasks libhonegpu.so; do
    cp "$build/$f" "$dir/bin/$f"
    strip --strip-debug "$dir/bin/$f"
done
# every library that they load, but those of the C library
ldd "$dir/bin/hone" "$dir/bin/gpu_diff" "$dir/bin/bench_evaluate_tasks" "$dir/bin/libhonegpu.so" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
    grep -vE '/(libc|libm|libpthread|libdl|librt|libresolv|libutil|ld-linux[^/]*)\.so' | while read -r lib; do cp -L "$lib" "$dir/lib/"; done
for name in hone gpu_diff bench_evaluate_tasks; do
    cat > "$dir/$name" <<'WRAPPER'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/bin/$(basename "$0")" "$@"
WRAPPER
    chmod +x "$dir/$name"
done
for part in examples bench/calibrate bench/filter.py bench/library.py bench/reproducibility.py scripts/gpu.sh; do
    mkdir -p "$dir/$(dirname "$part")"
    rm -rf "${dir:?}/$part"
    cp -r "$part" "$dir/$part"
done
du -sh "$dir" | cut -f1
ls "$dir/lib"
