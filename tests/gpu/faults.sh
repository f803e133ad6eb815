#!/usr/bin/env bash
# gpu_diff goes on after a case that faults, hangs or kills its process: that case alone has failed. faults.sh GPU_DIFF PHYSICAL_DRIVER
set -u
diff=$1 dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ASAN_OPTIONS=detect_leaks=0 HONE_CUDA_DRIVER=$2
bad=0
# expect NAME FAULT LIMIT WHY: the second launch fails so, once; the case it belongs to says WHY, every other one is the same
expect() {
    rm -f "$dir/once"
    HONE_FAKE_GPU="time=1 fail=cuLaunchKernel:2:$2 once=$dir/once" "$diff" --family CONTROL --limit "$3" > "$dir/out"
    local code=$? same failed
    same=$(grep -c '^same ' "$dir/out") failed=$(grep -c '^FAILED .*'"$4" "$dir/out")
    local all; all=$(grep -c '^[a-zA-Z]* .* CONTROL' "$dir/out")
    if [ $code != 1 ] || [ "$failed" != 1 ] || [ "$same" != $((all - 1)) ] || [ "$all" -lt 4 ]; then
        echo "$1: exit code $code"; cat "$dir/out"; bad=1
    fi
}
expect "a fault" 700 60 CUDA_ERROR_ILLEGAL_ADDRESS
expect "a hang" hang 2 "no answer"
HONE_FAKE_GPU="lost=$dir" "$diff" --family CONTROL > "$dir/out"; code=$?
if [ $code != 77 ] || ! grep -q '^skipped: ' "$dir/out"; then echo "no device: exit code $code"; cat "$dir/out"; bad=1; fi
exit $bad
