#!/usr/bin/env bash
# What happens when a GPU fails, tried on the driver that presents the virtual GPU as physical: gpu.sh HONE DRIVER. Every case says what hone must print and with which
# code it must end.
. "$(dirname "$0")/lib.sh"
marks=$HONE_CACHE_DIR/compile      # the one folder in which a worker may make a file
mkdir -p "$marks"
launches=$HONE_FAKE_GPU
timed='even\.cu +[0-9.]+ [nµm]?s'   # that it ran; which of the two is faster depends on how busy this machine is
searched='[01]'                          # whether something better was found does, too

task() { printf '#pragma hone size N=4096\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone tune BX={32,64,128,256}\n#pragma hone launch %s<<<cdiv(N,BX), BX>>>(x, y, N)\nextern "C" __global__ void %s(const float *x, float *y, int N) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < N) y[i] = 2.0f * x[i] + 1.0f; }\n' "$1" "$1"; }
task scale > task.cu
task odd > odd.cu      # the candidate that failures are aimed at
task even > even.cu

# on "configuration" NAME CODE "pattern" … -- arguments…: expect without NVML, on such a device
on() {
    export HONE_FAKE_GPU="$launches $1"
    expect "$2" "$3" - "${@:4}"
}

on "" "all is well" 0 "physical: measured" "$timed" -- bench --no-roofline --cache cold task.cu even.cu -d cuda:0
on "fail=cuCtxSynchronize:3:hang:odd once=$marks/hung" "a hang ends the evaluation, and the next one runs" 3 "run\.timeout" "$timed" -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0 --job-limit 15s
[ -e "$marks/hung" ] || { echo "FAIL the hang was not made"; failed=1; }
on "fail=cuCtxSynchronize:2:700:odd once=$marks/fault" "an illegal address replaces the worker" 3 "run\.fault" "$timed" -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0
on "memory=20000" "out of memory says what was needed" 4 "not enough memory" "'x'" "of 20000 bytes are free" "hint" -- bench --no-roofline --cache cold task.cu -d cuda:0
on "beside=0.5:odd" "work outside of the events" 3 "time\.outside-events: .* tell 50 % .*the reference's 100 %" "$timed" -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0
on "beside=0.03:odd" "a share that the host's own delays explain" 0 "!outside-events" -- bench --no-roofline --cache cold task.cu odd.cu -d cuda:0
on "beside=0.5:scale" "the baseline's own events on an odd device refuse nobody" 0 "!outside-events" "$timed" -- bench --no-roofline --cache cold task.cu even.cu -d cuda:0
touch "$marks/gone"
on "lost=$marks/gone" "a device that is lost from the start" 4 CUDA_ERROR_DEVICE_UNAVAILABLE -- bench --no-roofline --cache cold task.cu -d cuda:0
on "fail=cuCtxSynchronize:2:46:odd once=$marks/last lost=$marks/last" "a device that is lost on the way" 4 "the device 'cuda:0' is lost" hint -- bench --no-roofline --cache cold task.cu odd.cu even.cu -d cuda:0
on "devices=2 fail=cuEventSynchronize:1:46 once=$marks/one" "one of two devices answers that it is gone, and comes back" "$searched" "best" -- optimize task.cu -d cuda:all -n 4 -q --out two.hone
on "devices=2" "devices of one model" 0 "$timed" -- bench --no-roofline --cache cold task.cu even.cu -d cuda:0,cuda:1
on "devices=2 other=Other" "devices of different models" 2 "do not compare" "--mixed-devices" -- bench --no-roofline --cache cold task.cu -d cuda:all
on "devices=2 other=Other" "different models, asked for" 0 baseline -- bench --no-roofline --cache cold task.cu -d cuda:all --mixed-devices
on "" "the same device twice" 2 "stands twice" -- bench --no-roofline --cache cold task.cu -d cuda:0,cuda:0
on "" "a device that is not there" 4 "there is no device 7" -- bench --no-roofline --cache cold task.cu -d cuda:7
on "fail=cuLaunchKernel:1:719" "a wrong answer to the health check" 4 "a kernel of one thread" -- bench --no-roofline --cache cold task.cu -d cuda:0
on "" "an optimization says how busy the device was" "$searched" "GPU       busy" "of device time" -- optimize task.cu -d cuda:0 -n 4 -q --out busy.hone
on "" "and resumes where it stopped" "$searched" "8 evaluations" -- optimize task.cu -d cuda:0 -n 8 -q --out busy.hone
on "" "the virtual GPU as a screen" "$searched" "left to the model" -- optimize task.cu -d cuda:0 -n 12 -q --screen virtual --out screen.hone
on "" "a screen needs a GPU" 2 "is for GPUs" -- optimize task.cu -d virtual:h200 -n 4 --screen virtual
exit $failed
