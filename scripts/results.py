#!/usr/bin/env python3
"""Regenerates the table of docs/results.md: hone optimize on every example, one row each, losses beside wins.

usage: scripts/results.py [--hone build/hone] [--evals 60] [--seed 1] [--device virtual:h200] [--keep FOLDER] [EXAMPLE …]
Writes between the markers of docs/results.md that name the device's kind, and prints the rows as they come.
"""
import argparse
import json
import pathlib
import re
import subprocess
import tempfile

top = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--hone", default=str(top / "build/hone"))
parser.add_argument("--evals", type=int, default=60)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--device", default="virtual:h200")
parser.add_argument("--keep", help="keep the result folders here")
parser.add_argument("examples", nargs="*")
args = parser.parse_args()


def microseconds(us):
    return f"{us:.3g} µs" if us < 1000 else f"{us / 1000:.3g} ms"


def optimize(path, folder):
    out = folder / (path.stem + ".hone")
    run = subprocess.run([args.hone, "optimize", str(path), "--evals", str(args.evals), "--seed", str(args.seed), "--device", args.device,
                          "--out", str(out), "--json", "--quiet"], capture_output=True, text=True)
    if run.returncode not in (0, 1):
        return f"| {path.stem} | – | – | – | failed | – | – | {run.stderr.strip().splitlines()[0] if run.stderr.strip() else run.returncode} |", None
    result = json.loads((out / "result.json").read_text())
    best, base = result.get("best"), result["baseline"]["time_us"]
    moves = [m.get("move") or m.get("proposer") for m in result.get("lineage", [])][1:] if best else []
    spread = ""
    if best and best.get("lo_us") and result["kind"] == "physical":
        spread = f" ({base / best['hi_us']:.2f} … {base / best['lo_us']:.2f})"
    row = (f"| {path.stem} | {microseconds(base)} | {microseconds(best['time_us']) if best else '–'} | "
           f"{result['speedup']:.2f}×{spread} | {result['verdict']} | {result['evaluations']} | {result['seconds']:.0f} | {' → '.join(moves) or '–'} |")
    return row, result


with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(args.keep) if args.keep else pathlib.Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    rows, kind = [], None
    paths = [pathlib.Path(p) for p in args.examples] or sorted((top / "examples").glob("*.cu"))
    for path in paths:
        row, result = optimize(path, folder)
        kind = kind or (result and result["kind"])
        rows.append(row)
        print(row, flush=True)

page = top / "docs/results.md"
marker = "physical" if kind == "physical" else "virtual"
table = "\n".join(["| example | baseline | best | speedup | verdict | candidates tried | seconds | moves of the best |", "|---|---:|---:|---:|---|---:|---:|---|"] + rows)
text = page.read_text() if page.exists() else ""
pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- end -->)", re.S)
if len(paths) == len(list((top / "examples").glob("*.cu"))) and pattern.search(text):
    note = f"`scripts/results.py --device {args.device} --evals {args.evals} --seed {args.seed}`:\n\n"
    page.write_text(pattern.sub(lambda m: m[1] + note + table + "\n" + m[2], text))
