#!/usr/bin/env python3
"""The virtual GPU as a filter: the same search twice, once measuring every candidate on the GPU and once with --screen virtual. Prints the GPU seconds that each needed
to reach the same best (the slower of the two bests, within --slack), and their ratio. Also the ratio to the better of the two bests (within --slack); a search that did
not get there counts with all its GPU seconds, so that the ratio is a bound (<, >). Device time is what the workers report: from the first to the last thing that a job sent
to the device.

usage: bench/filter.py [--hone build/hone] [--device cuda:0] [--evals 40] [--time SECONDS] [--seed 1] [--slack 0.01] [--json FILE] [--keep DIR] [TASK.cu …]
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

top = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--hone", default=str(top / "build/hone"))
parser.add_argument("--device", default="cuda:0")
parser.add_argument("--evals", type=int, default=40)
parser.add_argument("--time", type=float, help="budget of each search in seconds, beside --evals")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--slack", type=float, default=0.01)
parser.add_argument("--json")
parser.add_argument("--keep", help="keep the result folders here")
parser.add_argument("tasks", nargs="*")
args = parser.parse_args()


def optimize(task, folder, screen):
    out = pathlib.Path(folder) / f"{pathlib.Path(task).stem}-{screen}.hone"
    budget = ["--time", str(args.time)] if args.time else []
    p = subprocess.run([args.hone, "optimize", str(task), "--device", args.device, "--evals", str(args.evals), "--seed", str(args.seed), "--screen", screen, "--out", str(out),
                        "--quiet", "--json", *budget], capture_output=True, text=True)
    if p.returncode not in (0, 1):
        sys.exit(f"filter.py: {task} with --screen {screen}: {p.stderr.strip() or p.returncode}")
    return json.loads((out / "result.json").read_text())


def seconds_until(result, time_us):
    """GPU seconds until a candidate at least this fast was known; None when none was."""
    return next((c.get("gpu_s", 0) for c in result["convergence"] if c["time_us"] <= time_us * (1 + args.slack)), None)


def ratio_to_better(results, time_us):
    """GPU seconds, screened / all measured, and what kind of figure it is: "=", or a bound when one of the searches never got there."""
    reached = {s: seconds_until(r, time_us) for s, r in results.items()}
    spent = {s: reached[s] or r["gpu"]["seconds"] for s, r in results.items()}
    return spent["virtual"] / spent["none"], "=" if all(reached.values()) else "<" if reached["virtual"] else ">"


rows = []
print(f"{'task':14} {'best, all':>11} {'best, screen':>12} {'GPU s, all':>11} {'GPU s, screen':>13} {'ratio':>6} {'to better':>9} {'measured':>9} {'rank corr':>9}")
with tempfile.TemporaryDirectory() as scratch:
    for task in args.tasks or [str(top / f"examples/{n}.cu") for n in ("matmul", "softmax", "transpose")]:
        both = {s: optimize(task, args.keep or scratch, s) for s in ("none", "virtual")}
        best = {s: min(c["time_us"] for c in r["convergence"]) for s, r in both.items()}
        common = max(best.values())
        needed = {s: seconds_until(r, common) for s, r in both.items()}
        screen = both["virtual"].get("screen", {})
        ratio = needed["virtual"] / needed["none"] if needed["none"] and needed["virtual"] else None
        better, kind = ratio_to_better(both, min(best.values()))
        rows.append({"ratio_to_better": better, "ratio_to_better_is": kind, "task": pathlib.Path(task).stem, "best_us": best, "seconds_to_common_best": needed, "ratio": ratio, "screen": screen,
                     "gpu_seconds": {s: r.get("gpu", {}).get("seconds") for s, r in both.items()}, "evaluations": {s: r["evaluations"] for s, r in both.items()}})
        print(f"{rows[-1]['task']:14} {best['none']:9.1f}us {best['virtual']:10.1f}us {needed['none'] or 0:11.2f} {needed['virtual'] or 0:13.2f} "
              f"{ratio or math.nan:6.2f} {kind.replace('=', ''):>3}{better:6.2f} {screen.get('measured', 0):5}/{screen.get('measured', 0) + screen.get('left_out', 0):<3} {screen.get('rank_correlation', math.nan):9.2f}", flush=True)
known = [r["ratio"] for r in rows if r["ratio"]]
mean = math.exp(sum(map(math.log, known)) / len(known)) if known else None
print(f"geometric mean of the ratios: {mean:.2f} (target 0.5 or less)" if known else "no ratio: no search improved its baseline")
if args.json:
    pathlib.Path(args.json).write_text(json.dumps({"schema": "hone.filter/1", "device": args.device, "evals": args.evals, "seed": args.seed, "rows": rows, "mean_ratio": mean},
                                                  indent=1) + "\n")
