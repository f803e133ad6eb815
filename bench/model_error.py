#!/usr/bin/env python3
"""How far the timing model is from a measured GPU. For every row of a measurement file: the modelled time of the task of that name (bench/calibrate or
examples), the ratio, and over all rows the mean and median absolute percentage error, the geometric mean factor, and how often two kernels whose
measured times differ by more than 15 % are ranked alike.

usage: bench/model_error.py [HONE] [MEASUREMENTS.json]     default: build/hone bench/data/h200-microbenchmarks.json
"""
import json
import math
import pathlib
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parent.parent
hone = sys.argv[1] if len(sys.argv) > 1 else str(top / "build/hone")
data = json.loads(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else top / "bench/data/h200-microbenchmarks.json").read_text())


def modelled(path):
    run = subprocess.run([hone, "profile", str(path), "--device", "virtual:h200", "--json"], capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip().splitlines()[0] if run.stderr.strip() else f"exit {run.returncode}"
    time = json.loads(run.stdout)["time"]
    return time["time_us"], max(time["sizes"][0]["launches"], key=lambda l: l["time_us"])["model"]["bottleneck"]


def report(title, rows):
    if len(rows) < 2:
        return
    factors = [abs(math.log(m / t)) for _, m, t in rows]
    errors = sorted(abs(m / t - 1) for _, m, t in rows)
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i] if abs(math.log(a[2] / b[2])) > math.log(1.15)]
    right = sum((a[1] > b[1]) == (a[2] > b[2]) for a, b in pairs)
    print(f"{title}: {len(rows)} kernels, mean error {100 * sum(errors) / len(errors):.1f} %, median {100 * errors[len(errors) // 2]:.1f} %, "
          f"typical factor {math.exp(sum(factors) / len(factors)):.2f}, pairwise order {100 * right / len(pairs):.1f} % of {len(pairs)}")


inside, outside = [], []
print(f"{'kernel':24} {'measured µs':>12} {'modelled µs':>12} {'ratio':>6}  bound by")
for name, row in data["rows"].items():
    path = next((p for p in (top / "bench/calibrate" / f"{name}.cu", top / "examples" / f"{name}.cu") if p.exists()), None)
    if not path:
        continue
    us, why = modelled(path)
    if us is None:
        print(f"{name:24} {row['cold']['median_us']:12.1f} {'-':>12} {'-':>6}  {why}")
        continue
    (inside if path.parent.name == "calibrate" else outside).append((name, us, row["cold"]["median_us"]))
    print(f"{name:24} {row['cold']['median_us']:12.1f} {us:12.1f} {us / row['cold']['median_us']:6.2f}  {why}")
print(f"\nmeasured on {data['device']}, {data['date']}; modelled by the virtual GPU")
report("calibration kernels", inside)
report("examples", outside)
report("all", inside + outside)
