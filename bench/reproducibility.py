#!/usr/bin/env python3
"""How well a time can be reproduced: hone's protocol (cold L2, rotated buffers, warm-up, median) against the mean of a hundred launches after one, as many
harnesses take it. Each is repeated in processes of their own; the spread is the largest over the smallest result.

usage: bench/reproducibility.py [--programs build] [--device cuda:0] [--repeat 10] [--out FILE.json] TASK.cu …
"""
import argparse
import json
import statistics
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--programs", default="build")
parser.add_argument("--device", default="cuda:0")
parser.add_argument("--repeat", type=int, default=10)
parser.add_argument("--out")
parser.add_argument("tasks", nargs="+")
args = parser.parse_args()


def once(task, *options):
    run = subprocess.run([f"{args.programs}/bench_evaluate_tasks", args.device, *options, task], capture_output=True, text=True)
    row = json.loads(run.stdout)
    if "error" in row:
        raise SystemExit(f"{task}: {row['error']}")
    return row


rows = []
print("| kernel | naive mean, µs | spread | cold median, µs | spread | warm median, µs | spread |\n|---|---:|---:|---:|---:|---:|---:|")
for task in args.tasks:
    naive, cold, warm = [], [], []
    for _ in range(args.repeat):
        naive.append(once(task, "--naive")["naive_us"])
        row = once(task, "--samples", "40")
        cold.append(row["cold_us"]["median"])
        warm.append(row["warm_us"]["median"])
    name = task.rsplit("/", 1)[-1].removesuffix(".cu")
    rows.append({"kernel": name, "naive_us": naive, "cold_us": cold, "warm_us": warm})
    print(f"| {name} | " + " | ".join(f"{statistics.median(v):.2f} | {100 * (max(v) / min(v) - 1):.2f} %" for v in (naive, cold, warm)) + " |", flush=True)
if args.out:
    with open(args.out, "w") as f:
        json.dump({"schema": "hone.reproducibility/1", "device": args.device, "repeat": args.repeat, "rows": rows}, f)
