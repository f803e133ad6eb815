#!/usr/bin/env bash
# `hone bench` on the driver that presents the virtual GPU as physical, with an NVML that says what it is told: bench.sh HONE DRIVER. No time is asserted:
# what is there, what is said, and how numbers hang together.
set -u
hone=$1
export HONE_CUDA_DRIVER=$2 NO_COLOR=1 LC_ALL=C.UTF-8 HONE_FAKE_GPU="time=200"
libs=$(dirname "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export HONE_CACHE_DIR=$work/cache
failed=0
task() { printf '#pragma hone size N=%s\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone inout y float[N]\n#pragma hone launch scale<<<cdiv(N,128), 128>>>(x, y, N)\nextern "C" __global__ void scale(const float *x, float *y, int N) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < N) y[i] += %s * x[i] + 1.0f; }\n' "$1" "$2"; }
task 4096 2.0f > task.cu
task 4096 2.f > b.cu
task 2048 2.0f > other.cu

# expect NAME CODE NVML "pattern that must be there, or !pattern that must not" … -- arguments…   NVML: words of the fake one, or - for none
expect() {
    local name=$1 code=$2 nvml=$3 got path=$libs
    shift 3
    local -a texts=()
    while [ "$1" != -- ]; do texts+=("$1"); shift; done
    shift
    [ "$nvml" = - ] && path= nvml=
    HONE_FAKE_NVML="tick=0.01 $nvml" LD_LIBRARY_PATH=$path timeout 200 "$hone" bench "$@" -d cuda:0 -j 1 > out 2>&1 < /dev/null
    got=$?
    [ "$got" = "$code" ] || { echo "FAIL $name: exit $got, expected $code"; cat out; failed=1; return; }
    for text in "${texts[@]}"; do
        if [ "${text#!}" != "$text" ]; then
            ! grep -qE -- "${text#!}" out || { echo "FAIL $name: '${text#!}' is there"; cat out; failed=1; return; }
        else
            grep -qE -- "$text" out || { echo "FAIL $name: '$text' is missing"; cat out; failed=1; return; }
        fi
    done
    echo "ok   $name"
}
# document NAME 'Python expression about d'
document() {
    python3 -c 'import json, sys; d = json.load(open("out")); r = d["rows"]; sys.exit(not eval(sys.argv[1]))' "$2" || { echo "FAIL $1: not $2"; head -c 3000 out; failed=1; return; }
    echo "ok   $1"
}
short="--energy-window 500ms --energy-blocks 1 --no-roofline --cache cold"

expect "distribution, repeats and roofs" 0 - "L2 cold +p5 .*median .*p95 .* samples" "L2 warm +p5 " "rates +.*GB/s, .*GFLOP/s; .*% of the roofline" "repeats +3 measurements: .* spread" "roofs measured on this device: copy" -- task.cu --repeat 3
expect "the same as one object" 0 - -- task.cu b.cu --repeat 2 --cache cold --json
document "repeats, distribution, roofs" 'all(len(x["repeats_us"]) == 2 and x["distribution"]["samples"] >= 20 and x["distribution"]["p5_us"] <= x["distribution"]["median_us"] <= x["distribution"]["p95_us"] for x in r)'
document "the share is of the roofs beside it" 'all(abs(x["roofline"]["percent"] / 100 - max(x["rates"]["gbs"] / x["roofline"]["ceilings"]["copy_gbs"], x["rates"]["gflops"] / 1e3 / x["roofline"]["ceilings"]["fma_tflops"])) < 0.02 for x in r)'
document "bytes are each buffer once" 'all(x["rates"]["bytes"] == 2 * 4 * 4096 for x in r)'
expect "a candidate with another contract" 3 - "static.contract" "hint: all are timed under the contract of 'task.cu'; 'hone bench other.cu'" -- task.cu other.cu --no-roofline --cache cold
expect "a driver that compiles by itself says so" 0 - "note: time.jit-compiled: .*CUDA_ERROR_NO_BINARY_FOR_GPU" -- task.cu --no-roofline --cache cold
# shellcheck disable=SC2086
expect "energy" 0 "" "energy +.* mJ per run \[.*energy-counter, 1 blocks, tick" "baseline ÷ this" -- task.cu b.cu $short
# shellcheck disable=SC2086
expect "a device that is throttled all the time is no device to measure on" 4 "reasons=0x40" "no steady timing block" "the device was throttled" "let the device cool down" -- task.cu $short
# shellcheck disable=SC2086
expect "no temperature: nothing is said of it" 0 "no=nvmlDeviceGetTemperature" "energy +.* mJ per run" "!°C" -- task.cu $short
# shellcheck disable=SC2086
expect "a device that heats up says so" 0 "heats=20" "energy +.* mJ per run .*temperatures differ by more than 1 °C" -- task.cu $short
# shellcheck disable=SC2086
expect "no counter: power is integrated" 0 "no=nvmlDeviceGetTotalEnergyConsumption" "energy +.* mJ per run .*power-integrated" -- task.cu $short
# shellcheck disable=SC2086
expect "neither counter nor power" 0 "no=nvmlDeviceGetTotalEnergyConsumption no=nvmlDeviceGetPowerUsage" "energy +NOT MEASURED: NVML has neither" -- task.cu $short
# shellcheck disable=SC2086
expect "no NVML" 0 - "energy +NOT MEASURED: NVML is not available" -- task.cu $short
export HONE_FAKE_GPU="time=5 gapless=1"
expect "kernels under 10 µs go through graphs" 0 - "L2 cold +.*\(graph\)" -- task.cu --no-roofline --cache cold
exit $failed
