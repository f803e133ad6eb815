#!/usr/bin/env bash
# What happens when a GPU fails, tried on the driver that presents the virtual GPU as physical: gpu.sh HONE DRIVER. Every case says what hone must print and with which
# code it must end.
set -u
hone=$1
export HONE_CUDA_DRIVER=$2 NO_COLOR=1 LC_ALL=C.UTF-8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export HONE_CACHE_DIR=$work/cache
marks=$HONE_CACHE_DIR/compile   # the one folder in which a worker may make a file
mkdir -p "$marks"
failed=0
timed='even\.cu +[0-9.]+ [nµm]?s'   # that it ran; which of the two is faster depends on how busy this machine is
searched='[01]'                          # whether something better was found does, too

task() { printf '#pragma hone size N=4096\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone tune BX={32,64,128,256}\n#pragma hone launch %s<<<cdiv(N,BX), BX>>>(x, y, N)\nextern "C" __global__ void %s(const float *x, float *y, int N) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < N) y[i] = 2.0f * x[i] + 1.0f; }\n' "$1" "$1"; }
task scale > task.cu
task odd > odd.cu      # the candidate that failures are aimed at
task even > even.cu

# expect NAME CODE "configuration" "pattern that must be there" … -- command…
expect() {
    local name=$1 code=$2 config=$3 got
    shift 3
    local -a texts=()
    while [ "$1" != -- ]; do texts+=("$1"); shift; done
    shift
    HONE_FAKE_GPU="time=200 $config" timeout 300 "$hone" "$@" > out 2>&1 < /dev/null
    got=$?
    [[ $got =~ ^$code$ ]] || { echo "FAIL $name: exit $got, expected $code"; cat out; failed=1; return; }
    for text in "${texts[@]}"; do
        grep -qE -- "$text" out || { echo "FAIL $name: '$text' is missing"; cat out; failed=1; return; }
    done
    echo "ok   $name"
}

expect "all is well" 0 "" "physical: measured" "$timed" -- bench --no-roofline --cache cold task.cu even.cu -d cuda:0
expect "a hang ends the evaluation, and the next one runs" 3 "fail=cuCtxSynchronize:3:hang:odd once=$marks/hung" "run\.timeout" "$timed" -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0 --job-limit 15s
[ -e "$marks/hung" ] || { echo "FAIL the hang was not made"; failed=1; }
expect "an illegal address replaces the worker" 3 "fail=cuCtxSynchronize:2:700:odd once=$marks/fault" "run\.fault" "$timed" -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0
expect "out of memory says what was needed" 4 "memory=20000" "not enough memory" "'x'" "of 20000 bytes are free" "hint" -- bench --no-roofline --cache cold task.cu -d cuda:0
touch "$marks/gone"
expect "a device that is lost from the start" 4 "lost=$marks/gone" CUDA_ERROR_DEVICE_UNAVAILABLE -- bench --no-roofline --cache cold task.cu -d cuda:0
expect "a device that is lost on the way" 4 "fail=cuCtxSynchronize:2:46:odd once=$marks/last lost=$marks/last" "the device 'cuda:0' is lost" hint -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0
expect "one of two devices answers that it is gone, and comes back" "$searched" "devices=2 fail=cuEventSynchronize:1:46 once=$marks/one" "best" -- optimize task.cu -d cuda:all -n 4 -q --out two.hone
expect "devices of one model" 0 "devices=2" "$timed" -- bench --no-roofline --cache cold task.cu even.cu -d cuda:0,cuda:1
expect "devices of different models" 2 "devices=2 other=Other" "do not compare" "--mixed-devices" -- bench --no-roofline --cache cold task.cu -d cuda:all
expect "different models, asked for" 0 "devices=2 other=Other" baseline -- bench --no-roofline --cache cold task.cu -d cuda:all --mixed-devices
expect "the same device twice" 2 "" "stands twice" -- bench --no-roofline --cache cold task.cu -d cuda:0,cuda:0
expect "a device that is not there" 4 "" "there is no device 7" -- bench --no-roofline --cache cold task.cu -d cuda:7
expect "a wrong answer to the health check" 4 "fail=cuLaunchKernel:1:719" "a kernel of one thread" -- bench --no-roofline --cache cold task.cu -d cuda:0
expect "an optimization says how busy the device was" "$searched" "" "GPU       busy" "of device time" -- optimize task.cu -d cuda:0 -n 4 -q --out busy.hone
expect "and resumes where it stopped" "$searched" "" "8 evaluations" -- optimize task.cu -d cuda:0 -n 8 -q --out busy.hone
expect "the virtual GPU as a screen" "$searched" "" "left to the model" -- optimize task.cu -d cuda:0 -n 12 -q --screen virtual --out screen.hone
expect "a screen needs a GPU" 2 "" "is for GPUs" -- optimize task.cu -d virtual:h200 -n 4 --screen virtual
exit $failed
