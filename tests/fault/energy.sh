#!/usr/bin/env bash
# Energy in a search, and when none is known, on the driver that presents the virtual GPU as physical and an NVML that says what it is told:
# energy.sh HONE DRIVER. Both libraries lie in one folder.
. "$(dirname "$0")/lib.sh"
export HONE_FAKE_GPU="scale=2000 bias=0.2 power=0.4 l2=65536"
short="--energy-window 500ms --energy-blocks 1 -q -j 1"

# task OBJECTIVE
task() { printf '#pragma hone %s\n#pragma hone size N=4096\n#pragma hone check N=100\n#pragma hone in x float[N]\n#pragma hone out y float[N]\n#pragma hone tune BX={32,64,128,256}\n#pragma hone launch scale<<<cdiv(N,BX), BX>>>(x, y, N)\nextern "C" __global__ void scale(const float *x, float *y, int N) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < N) y[i] = 2.0f * x[i] + 1.0f; }\n' "$1"; }
task "objective edp" > edp.cu
task "objective energy" > energy.cu
task "objective time" > time.cu

# shellcheck disable=SC2086
expect "energy times time drives the search" "[01]" "" "energy .*J per run" "on the front of time and energy" "this search cost .*J \(GPU, idle time included\)" -- optimize edp.cu -d cuda:0 -n 3 $short --out edp.hone
r=edp.hone/result.json
document "the cost is the product, in terms of the baseline" $r 'len(m := [c for c in d["candidates"] if c["id"] and c["verdict"] == "pass"]) > 0 and all(abs(c["cost"] / (c["energy_mj"] * c["paired_us"]) - 1) < 1e-6 for c in m)'
document "energies have intervals" $r 'all(c["energy_lo_mj"] <= c["energy_mj"] <= c["energy_hi_mj"] for c in d["candidates"] if c["verdict"] == "pass")'
document "the front is one" $r 'd["energy"]["front"] and all(a["time_us"] < b["time_us"] and a["energy_mj"] > b["energy_mj"] for a, b in zip(d["energy"]["front"], d["energy"]["front"][1:]))'
document "nothing lies below the front" $r 'all(any(f["time_us"] <= c.get("paired_us", c["time_us"]) + 1e-6 and f["energy_mj"] <= c["energy_mj"] + 1e-6 for f in d["energy"]["front"]) for c in d["candidates"] if c["verdict"] == "pass" and not (d["best"] and c["id"] == d["best"]["id"]))'
document "the search took at least what it measured" $r 'd["energy"]["search"]["joules"] > 0 and d["energy"]["search"]["idle_included"]'
document "paying back is the quotient, or there is a reason" $r '(p := d["energy"].get("payback")) is None or ("reason" in p and p["saved_lo_mj"] <= 0) or (p["saved_lo_mj"] > 0 and abs(p["runs"] * p["saved_mj"] / 1e3 / d["energy"]["search"]["joules"] - 1) < 1e-6)'
grep -q "energy per run" edp.hone/report.html || { echo "FAIL the report has no plot of energy"; failed=1; }
before=$(python3 -c 'import json; print(json.load(open("edp.hone/result.json"))["energy"]["search"]["joules"])')
# shellcheck disable=SC2086
expect "a second sitting adds to the first" "[01]" "" "this search cost" -- optimize edp.cu -d cuda:0 -n 3 $short --out edp.hone
document "and does not begin anew" $r "d[\"energy\"][\"search\"][\"joules\"] >= $before"
# A certificate is replayed by the objective; where no energy is measured the verdict is not compared, and that is said.
# shellcheck disable=SC2086
expect "a certificate by energy times time is judged by it" "[03]" "" "scale|edp" -- check --certificate edp.hone/certificate.json -d cuda:0 $short
grep -q "no energy was measured here" out && { echo "FAIL the replay on the GPU measured no energy"; cat out; failed=1; }
expect "and elsewhere not at all" "[03]" - "the objective is energy times time, and no energy was measured here: the verdict was not compared" -- check --certificate edp.hone/certificate.json -d virtual:h200 -q
grep -q "expected.verdict" out && { echo "FAIL a verdict by time was compared"; cat out; failed=1; }
# shellcheck disable=SC2086
expect "no counter: what the search took is not known, power readings do for runs" "[01]" "no=nvmlDeviceGetTotalEnergyConsumption" "energy .*J per run" -- optimize energy.cu -d cuda:0 -n 1 $short --out power.hone
document "and the document says so" power.hone/result.json '"reason" in d["energy"]["search"] and d["energy"]["source"] == "power-integrated" and "payback" not in d["energy"]'
# shellcheck disable=SC2086
expect "an objective without readings" 3 - "objective needs energy, which was not measured: NVML is not available" -- optimize energy.cu -d cuda:0 -n 2 $short --out none.hone
expect "an objective without a GPU" 4 - "objective needs energy" "virtual GPU has no energy model" hint -- optimize energy.cu -d virtual:h200 -n 2 --out virtual.hone
expect "a screen has no energies" 2 "" "'--screen virtual' sorts by modelled time" hint -- optimize edp.cu -d cuda:0 -n 2 --screen virtual --out screen.hone
expect "asked for on the virtual GPU" "[01]" - "energy +not known: the virtual GPU has no energy model" -- optimize time.cu -d virtual:h200 -n 1 -q --energy --out asked.hone
grep -q "Energy per run is not known: the virtual GPU has no energy model" asked.hone/report.html || { echo "FAIL the report does not say that no energy is known"; failed=1; }
# shellcheck disable=SC2086
expect "a budget that the baseline takes" "1" "" "note +the time budget of .* was spent on the baseline, which took .* s; a candidate takes about as long: '--time [0-9]+s'" -- optimize edp.cu -d cuda:0 -t 50ms $short --out short.hone
expect "not asked for: what the search took, and no more" "[01]" "" "energy +this search cost .*J \(GPU, idle time included\)$" -- optimize time.cu -d cuda:0 -n 1 -q -j 1 --out time.hone
exit $failed
