#!/usr/bin/env bash
# `hone profile --counters` on the driver that presents the virtual GPU as physical, with a stand-in for ncu: counters.sh HONE DRIVER TESTS.
set -u
hone=$1 tests=$3
export HONE_CUDA_DRIVER=$2 NO_COLOR=1 LC_ALL=C.UTF-8 HONE_FAKE_GPU="time=200"
export FAKE_NCU_CSV=$tests/data/ncu/raw.csv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export HONE_CACHE_DIR=$work/cache TMPDIR=$work/tmp FAKE_NCU_SAW=$work/saw
mkdir tmp with toolkit toolkit/bin
cp "$tests/fault/ncu" with/ncu
failed=0
plain=$PATH
case :$plain: in *:/usr/local/cuda/bin:*) plain=/usr/bin:/bin ;; esac

# expect NAME CODE "pattern that must be there" … -- command…
expect() {
    local name=$1 code=$2 got
    shift 2
    local -a texts=()
    while [ "$1" != -- ]; do texts+=("$1"); shift; done
    shift
    timeout 120 "$@" > out 2>&1 < /dev/null
    got=$?
    [ "$got" = "$code" ] || { echo "FAIL $name: exit $got, expected $code"; cat out; failed=1; return; }
    for text in "${texts[@]}"; do
        grep -qE -- "$text" out || { echo "FAIL $name: '$text' is missing"; cat out; failed=1; return; }
    done
    [ -z "$(ls tmp)" ] || { echo "FAIL $name: files are left: $(ls tmp)"; failed=1; return; }
    echo "ok   $name"
}
task=$tests/data/rows.cu
expect "ncu in PATH: measured beside virtual" 0 "hardware counters from $work/with/ncu \(raw page of ncu, NVIDIA H200\): measured" "hardware +measured +virtual" "global load sectors" -- env PATH="$work/with:$plain" "$hone" profile "$task" -d cuda:0 -j 1 --counters
grep -q launch-once saw && grep -q cuda:0 saw || { echo "FAIL what ncu was given to run"; cat saw; failed=1; }
cp with/ncu toolkit/bin/ncu
sed 's/rows/lines/g' "$task" > candidate.cu
expect "below CUDA_HOME, of the candidate" 0 "has no launch of this kernel" -- env PATH="$plain" CUDA_HOME="$work/toolkit" HONE_LIBDIR="${HONE_LIBDIR:-}" "$hone" profile "$task" candidate.cu -d cuda:0 -j 1 --counters
expect "no permission" 0 "warning: no hardware counters: .*ERR_NVGPUCTRPERM" "hint: .*NVreg_RestrictProfilingToAdminUsers=0" "NO hardware counters" "occupancy" -- env PATH="$work/with:$plain" FAKE_NCU=permission "$hone" profile "$task" -d cuda:0 -j 1 --counters
expect "ncu fails" 0 "ncu failed \(exit code 9\): Failed to prepare kernel" "NO hardware counters" -- env PATH="$work/with:$plain" FAKE_NCU=crash "$hone" profile "$task" -d cuda:0 -j 1 --counters
expect "ncu measures nothing" 0 "warning: no hardware counters: " "NO hardware counters" -- env PATH="$work/with:$plain" FAKE_NCU=empty "$hone" profile "$task" -d cuda:0 -j 1 --counters
expect "a unit that is not known" 0 "warning: no hardware counters: .*fortnight" -- env PATH="$work/with:$plain" FAKE_NCU=garbage "$hone" profile "$task" -d cuda:0 -j 1 --counters
[ -x /usr/local/cuda/bin/ncu ] || compgen -G '/opt/nvidia/nsight-compute/*/ncu' > /dev/null || {
    expect "no ncu" 0 "warning: no hardware counters: 'ncu' is not there" "hint: install Nsight Compute" "NO hardware counters" -- env PATH="$plain" "$hone" profile "$task" -d cuda:0 -j 1 --counters
    env PATH="$plain" "$hone" profile "$task" -d cuda:0 -j 1 --counters --json 2> err | python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit("hardware" in d or "not there" not in d["hardware_missing"]["reason"])' || { echo "FAIL the document does not say that counters are missing"; failed=1; }
    env PATH="$plain" "$hone" profile "$task" -d cuda:0 -j 1 --counters --html page.html 2> err > out
    grep -q "no hardware counters: " page.html || { echo "FAIL the page does not say that counters are missing"; failed=1; }
}
expect "not on the virtual GPU" 2 "'--counters' reads a GPU's counters" hint -- "$hone" profile "$task" -d virtual:h200 -j 1 --counters
expect "not with a file" 2 "two sources" -- "$hone" profile "$task" -d cuda:0 -j 1 --counters --import "$FAKE_NCU_CSV"
exit $failed
