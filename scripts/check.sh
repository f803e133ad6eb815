#!/usr/bin/env bash
# Every test, under AddressSanitizer and UndefinedBehaviorSanitizer. Usage: check.sh BUILD_FOLDER JOBS. CTest's summary comes last.
set -eu
build=$1/check
jobs=$2
mkdir -p "$build"
isas="baseline;avx2"   # AVX-512 handlers where they can run
grep -qw avx512vl /proc/cpuinfo && isas="$isas;avx512"
HONE_SETUP_BUILD=$1 scripts/configure.sh "$build" -DCMAKE_BUILD_TYPE=Check -DHONE_SANITIZE=address,undefined -DHONE_TESTS=ON "-DHONE_VGPU_ISAS=$isas"
cmake --build "$build" -j "$jobs" --target all tests >"$build/build.log" 2>&1 || { grep -E 'error|warning|FAILED' "$build/build.log" | head -40 >&2; exit 1; }
exec ctest --test-dir "$build" -j "$jobs" --output-on-failure
