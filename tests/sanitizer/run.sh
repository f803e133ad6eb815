#!/usr/bin/env bash
# The labelled kernels: run.sh NVCC RUNNER LIBHONEGPU FOLDER. Compiles them to PTX, runs them in the natural order and under seeded schedules, then checks the
# switch by environment with a report and suppressions. 77: skipped, there is no nvcc.
set -u
nvcc=$1 runner=$2 lib=$3 folder=$4
command -v "$nvcc" >/dev/null || { echo "SKIPPED: no nvcc ('$nvcc') to compile the labelled kernels with"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
files=()
for source in "$folder"/*.cu; do
    ptx="$work/$(basename "${source%.cu}").ptx"
    arch=$(sed -n '1s/^\/\/ arch: //p' "$source")
    "$nvcc" -ptx -lineinfo -arch="${arch:-sm_80}" -std=c++17 -w -o "$ptx" "$source" || { echo "FAIL: '$source' does not compile"; exit 1; }
    files+=("$source" "$ptx")
done
HONE_TEST_SEEDS=3 "$runner" "$lib" "${files[@]}" || exit 1

plain() { HONE_TEST_PLAIN=1 HONE_TEST_ONLY=plain_flag HONE_SANITIZE=$1 HONE_SANITIZE_REPORT="$work/$2" "$runner" "$lib" "$folder/global.cu" "$work/global.ptx" >"$work/out" 2>&1; }
need() { grep -q -- "$1" "$work/$2" || { echo "FAIL: no '$1' in the report:"; cat "$work/$2" "$work/out"; exit 1; }; }
plain racecheck report.json; need '"kind": "race.global"' report.json; need '"other": {"access": "writes"' report.json; need '"suppressed": 0' report.json
plain memcheck report.txt; need '^hone sanitizer: 0 findings' report.txt
plain all report.txt; need '^race.global in plain_flag at .*global.cu:' report.txt
printf '# known\nrace.*:plain_*:global.cu:\n' > "$work/known"
HONE_SANITIZE_SUPPRESS="$work/known" plain all report.txt; need '^hone sanitizer: 0 findings, 1 suppressed' report.txt
printf 'race.global:other_kernel\n' > "$work/known"
HONE_SANITIZE_SUPPRESS="$work/known" plain all report.txt; need '^hone sanitizer: 1 finding, 0 suppressed' report.txt
HONE_SANITIZE=nonsense "$runner" "$lib" "$folder/global.cu" "$work/global.ptx" >"$work/out" 2>&1 && { echo "FAIL: a check that does not exist is accepted"; exit 1; }
need "HONE_SANITIZE='nonsense'" out
echo "environment, report, suppressions: fine"
