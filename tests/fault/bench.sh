#!/usr/bin/env bash
# `hone bench` on the driver that presents the virtual GPU as physical, with an NVML that says what it is told: bench.sh HONE DRIVER. No time is asserted:
# what is there, what is said, and how numbers hang together.
. "$(dirname "$0")/lib.sh"
task() { printf '#pragma hone size N=%s\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone inout y float[N]\n#pragma hone launch scale<<<cdiv(N,128), 128>>>(x, y, N)\nextern "C" __global__ void scale(const float *x, float *y, int N) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < N) y[i] += %s * x[i] + 1.0f; }\n' "$1" "$2"; }
task 4096 2.0f > task.cu
task 4096 2.f > b.cu
task 2048 2.0f > other.cu

# bench NAME CODE NVML "pattern" … -- arguments of hone bench…
bench() {
    local -a told=()
    while [ "$1" != -- ]; do told+=("$1"); shift; done
    expect "${told[@]}" -- bench "${@:2}" -d cuda:0 -j 1
}
rows() { document "$1" out "[r := d['rows'], $2][1]"; }
short="--energy-window 500ms --energy-blocks 1 --no-roofline --cache cold"

export HONE_FAKE_GPU="time=60000 l2=65536 sms=2"   # long enough that the smallest problem shows the roofs, and a small one it is
bench "distribution, repeats and roofs" 0 - "L2 cold +p5 .*median .*p95 .* samples" "L2 warm +p5 " "rates +.*GB/s, .*GFLOP/s; .*% of the roofline" "repeats +3 measurements: .* spread" "roofs measured on this device: copy" -- task.cu --repeat 3
bench "the same as one object" 0 - -- task.cu b.cu --repeat 2 --cache cold --json
rows "repeats, distribution, roofs" 'all(len(x["repeats_us"]) == 2 and x["distribution"]["samples"] >= 20 and x["distribution"]["p5_us"] <= x["distribution"]["median_us"] <= x["distribution"]["p95_us"] for x in r)'
rows "the share is of the roofs beside it" 'all(abs(x["roofline"]["percent"] / 100 - max(x["rates"]["gbs"] / x["roofline"]["ceilings"]["copy_gbs"], x["rates"]["gflops"] / 1e3 / x["roofline"]["ceilings"]["fma_tflops"])) < 0.02 for x in r)'
rows "bytes are each buffer once" 'all(x["rates"]["bytes"] == 2 * 4 * 4096 for x in r)'
export HONE_FAKE_GPU="time=5000 l2=65536"
bench "a candidate with another contract" 3 - "static.contract" "hint: all are timed under the contract of 'task.cu'; 'hone bench other.cu'" -- task.cu other.cu --no-roofline --cache cold
bench "a driver that compiles by itself says so" 0 - "note: time.jit-compiled: .*CUDA_ERROR_NO_BINARY_FOR_GPU" -- task.cu --no-roofline --cache cold
# shellcheck disable=SC2086
bench "energy" 0 "" "energy +.* mJ per run \[.*energy-counter, 1 blocks, tick" "baseline ÷ this" -- task.cu b.cu $short
# shellcheck disable=SC2086
bench "a device that is throttled all the time is no device to measure on" 4 "reasons=0x40" "no steady timing block" "the device was throttled" "let the device cool down" -- task.cu $short
# shellcheck disable=SC2086
bench "work at the power limit is measured, and that is said" 0 "reasons=0x4" "note: time.power-capped: .* in [0-9]+ of [0-9]+ pairs" "energy +.* mJ per run" -- task.cu b.cu $short
# shellcheck disable=SC2086
bench "no temperature: nothing is said of it" 0 "no=nvmlDeviceGetTemperature" "energy +.* mJ per run" "!°C" -- task.cu $short
# shellcheck disable=SC2086
bench "a device that heats up says so" 0 "heats=20" "energy +.* mJ per run .*temperatures differ by more than 1 °C" -- task.cu $short
# shellcheck disable=SC2086
bench "no counter: power is integrated" 0 "no=nvmlDeviceGetTotalEnergyConsumption" "energy +.* mJ per run .*power-integrated" -- task.cu $short
# shellcheck disable=SC2086
bench "neither counter nor power" 0 "no=nvmlDeviceGetTotalEnergyConsumption no=nvmlDeviceGetPowerUsage" "energy +NOT MEASURED: NVML has neither" -- task.cu $short
# shellcheck disable=SC2086
bench "no NVML" 0 - "energy +NOT MEASURED: NVML is not available" -- task.cu $short
export HONE_FAKE_GPU="time=5 gapless=1 l2=65536"
bench "kernels under 10 µs go through graphs" 0 - "L2 cold +.*\(graph\)" -- task.cu --no-roofline --cache cold
exit $failed
