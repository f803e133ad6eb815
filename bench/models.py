#!/usr/bin/env python3
"""What the replies recorded in tests/data/exchanges are worth: the six development tasks, each searched with and without them within the same number of
evaluations and with the same seed. Usage: models.py [--hone BUILD/hone] [--evals N] [--seed S] [--device D] [--json FILE] [TASK ...]. Prints a Markdown table;
exit code 1 when a task is not better with them."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

top = pathlib.Path(__file__).resolve().parent.parent
p = argparse.ArgumentParser()
p.add_argument("--hone", default=str(top / "build/hone"))
p.add_argument("--evals", default="8")
p.add_argument("--seed", default="1")
p.add_argument("--device", default="virtual:h200")
p.add_argument("--workers", default="1")
p.add_argument("--json")
p.add_argument("tasks", nargs="*")
a = p.parse_args()
tasks = a.tasks or ["attention", "gemm_bf16", "matmul", "reduce", "softmax", "transpose"]


def run(task, model):
    with tempfile.TemporaryDirectory() as d:
        command = [a.hone, "optimize", str(top / "examples" / (task + ".cu")), "--evals", a.evals, "--seed", a.seed, "--device", a.device,
                   "--workers", a.workers, "--quiet", "--out", d + "/r"]
        if model:
            command += ["--model", "replay:" + str(top / "tests/data/exchanges")]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 1):
            sys.exit("%s: %s" % (task, done.stderr))
        return json.loads(pathlib.Path(d, "r/result.json").read_text())


def us(t):
    return "%.4g µs" % t if t < 1000 else "%.4g ms" % (t / 1000)


rows, worse = [], 0
print("| task | baseline | best without | best with | gain | answers → candidates | refused by name |\n|---|---:|---:|---:|---:|---:|---|")
for task in tasks:
    without, with_ = run(task, False), run(task, True)
    base = with_["baseline"]["time_us"]
    times = [(r["best"] or r["baseline"])["time_us"] for r in (without, with_)]
    exchanges = with_["model"]["exchanges"]
    used = sum("candidate" in x for x in exchanges)
    refused = sorted({x["outcome"] for x in exchanges if "." in x["outcome"]})
    worse += times[1] >= times[0]
    rows.append({"task": task, "baseline_us": base, "without_us": times[0], "with_us": times[1], "evaluations": [without["evaluations"], with_["evaluations"]],
                 "confirmed": [without["confirmed"], with_["confirmed"]], "refused": refused})
    print("| %s | %s | %s | %s | %.4g× | %d → %d | %s |" % (task, us(base), us(times[0]), us(times[1]), times[0] / times[1], len(exchanges), used, ", ".join(refused)), flush=True)
if a.json:
    pathlib.Path(a.json).write_text(json.dumps(rows, indent=1) + "\n")
sys.exit(1 if worse else 0)
