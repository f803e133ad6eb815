#!/usr/bin/env python3
"""The virtual GPU's counters against a GPU's own, read by Nsight Compute, per kernel: virtual over hardware.

usage: bench/counter_error.py [PROGRAMS [DATA.json]]     default: build bench/data/h100-counters.json
Needs bench_evaluate_tasks (make bench).
"""
import json
import pathlib
import statistics
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parent.parent
programs = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else top / "build"
data = json.loads(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else top / "bench/data/h100-counters.json").read_text())
COLUMNS = {"PTX/SASS instructions": (lambda c: c["warp_insts"], lambda h: h["warp_insts"]),
           "L1 sectors": (lambda c: c["global_sectors"], lambda h: h["load_sectors"] + h["store_sectors"]),
           "L2 sectors": (lambda c: c["l2_hit_sectors"] + c["dram_sectors_read"] + c["dram_sectors_written"], lambda h: h["l2_sectors"]),
           "DRAM read": (lambda c: c["dram_sectors_read"], lambda h: h["dram_sectors_read"]),
           "shared wavefronts": (lambda c: c["shared_wavefronts"], lambda h: h["shared_wavefronts"])}
WORTH = 100_000   # below that many, a counter says nothing about the kernel


class Absent(dict):
    def __missing__(self, key):
        return 0.0


files = {str(p): p.stem for n in data["rows"] for p in (top / f"bench/calibrate/{n}.cu", top / f"examples/{n}.cu") if p.exists()}
run = subprocess.run([str(programs / "bench_evaluate_tasks"), f"virtual:{data['model']}", *files], capture_output=True, text=True)
ratios = {c: [] for c in COLUMNS}
print(f"virtual:{data['model']} against {data['device']}, {data['date']}\n")
print("| kernel | " + " | ".join(COLUMNS) + " |\n|---|" + "---:|" * len(COLUMNS))
for row in map(json.loads, run.stdout.splitlines()):
    name = files[row["file"]]
    for launch, hardware in zip(row["launches"], data["rows"][name]):
        atomic = launch["counters"].get("atomic_requests", 0) > 0     # counted apart by the hardware
        cells = []
        for column, (ours, theirs) in COLUMNS.items():
            h, v = theirs(hardware), ours(Absent(launch["counters"]))
            if h < WORTH or not v or (atomic and column in ("L1 sectors", "L2 sectors")):
                cells.append("")
                continue
            ratios[column].append(v / h)
            cells.append(f"{ratios[column][-1]:.2f}")
        label = name if len(row["launches"]) == 1 else f"{name}: {launch['kernel']}"
        print(f"| {label} | " + " | ".join(cells) + " |")
print("| **median** | " + " | ".join(f"{statistics.median(v):.2f}" if v else "" for v in ratios.values()) + " |")
print("| **within 10 %** | " + " | ".join(f"{sum(abs(r - 1) <= 0.1 for r in v)} of {len(v)}" for v in ratios.values()) + " |")
