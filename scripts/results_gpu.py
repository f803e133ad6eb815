#!/usr/bin/env python3
"""Measures every example on a physical GPU and renders docs/results.md from it: search without a model, then baseline and best against each other in a new
process, time and energy with intervals, share of the measured roofline, a library's time where there is one (bench/library.py).

usage: scripts/results_gpu.py optimize DIR [--hone build/hone] [--device cuda:0] [--time 40s] [--seed 1] [EXAMPLE …]    search; DIR keeps the result folders
       scripts/results_gpu.py bench DIR OUT.json [--hone …] [--device …] [--window 1s] [--blocks 3] [EXAMPLE …]          time and energy of what DIR holds
       scripts/results_gpu.py render DATA.json                                                                           the table in docs/results.md
"""
import argparse
import datetime
import json
import pathlib
import re
import subprocess

top = pathlib.Path(__file__).resolve().parent.parent


def names(args):
    return args.examples or sorted(p.stem for p in (top / "examples").glob("*.cu"))


def optimize(args):
    for name in names(args):
        out = pathlib.Path(args.dir) / f"{name}.hone"
        run = subprocess.run([args.hone, "optimize", f"{top}/examples/{name}.cu", "--device", args.device, "--time", args.time, "--seed", str(args.seed),
                              "--out", str(out), "--quiet"] + args.extra, capture_output=True, text=True)
        print(f"== {name}: exit {run.returncode}\n{run.stdout}{run.stderr}", flush=True)


def samples(entry, arm):
    return [round(t, 3) for t in entry.get(f"{arm}_samples_us", [])]


def write(out, data):
    pathlib.Path(out).write_text("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in data.items() if k != "rows") + ',\n "rows": {\n' +
                                      ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in data["rows"].items()) + "\n }\n}\n")


def bench(args):
    data = {"schema": "hone.results/1", "kind": "physical", "date": datetime.date.today().isoformat(), "rows": {}}
    for name in names(args):
        folder = pathlib.Path(args.dir) / f"{name}.hone"
        result = json.loads((folder / "result.json").read_text()) if (folder / "result.json").exists() else None
        best = folder / "best.cu"
        run = subprocess.run([args.hone, "bench", f"{top}/examples/{name}.cu", *([str(best)] if best.exists() else []), "--device", args.device, "--cache",
                              "cold", "--json", "--energy", "--energy-window", args.window, "--energy-blocks", str(args.blocks)], capture_output=True, text=True)
        if not run.stdout.strip():
            print(f"{name}: {run.stderr.strip()}", flush=True)
            continue
        b = json.loads(run.stdout)
        data["device"] = b["device"]
        row = {"baseline": b["rows"][0], "best": b["rows"][1] if len(b["rows"]) > 1 else None, "search": None}
        for arm in ("baseline", "best"):
            if row[arm]:
                sizes = row[arm].get("detail", {}).get("sizes", [{}])
                row[arm] = {k: v for k, v in row[arm].items() if k not in ("detail", "findings", "warm", "path")} | {
                    "ratio": sizes[0].get("ratio"), "clock_mhz": sizes[0].get("clock_mhz"), "temperature_c": sizes[0].get("temperature_c"),
                    "control": row[arm].get("detail", {}).get("control"), "samples_us": samples(sizes[0], "b")}
        if result:
            row["search"] = {k: result.get(k) for k in ("evaluations", "refused", "duplicates", "seconds", "verdict", "speedup", "speedup_lo", "speedup_hi", "confirmed",
                                                        "stopped", "gpu")}
            row["search"]["moves"] = [m.get("move") or m.get("proposer") for m in result.get("lineage", [])][1:] if result.get("best") else []
        data["rows"][name] = row
        write(args.out, data)   # a run that is cut off keeps what it had
        print(f"{name}: {row['baseline'].get('time_us')} → {(row['best'] or {}).get('time_us')}", flush=True)



def time_text(us):
    return f"{us:.3g} µs" if us < 1000 else f"{us / 1000:.3g} ms"


def energy_text(row):
    e = (row or {}).get("energy") or {}
    if "energy_mj" not in e:
        return "–"
    unit, factor = ("mJ", 1) if e["energy_mj"] < 999.5 else ("J", 1e-3)
    return f"{e['energy_mj'] * factor:.3g} {unit} ({e['lo_mj'] * factor:.3g} … {e['hi_mj'] * factor:.3g})"


def roof_text(row):
    roof = (row or {}).get("roofline")
    return f"{roof['percent']:.0f} % ({roof['bound']})" if roof else "–"


def table(data):
    library = data.get("library", {}).get("rows", {})
    out = ["| example | baseline | best | speedup (99 % interval) | energy, baseline | energy, best | of the roofline | library | tried | seconds | moves of the best |",
           "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---|"]
    for name, row in sorted(data["rows"].items()):
        base, best, search = row["baseline"], row["best"], row["search"] or {}
        ratio = (best or {}).get("ratio") or {}
        speedup = f"{ratio['median']:.3g}× ({ratio['lo']:.3g} … {ratio['hi']:.3g}) {best['verdict'].upper()}" if ratio else "–"
        lib = library.get(name)
        out.append(f"| {name} | {time_text(base['time_us'])} | {time_text(best['time_us']) if best else '–'} | {speedup} | {energy_text(base)} | {energy_text(best)} | "
                   f"{roof_text(best or base)} | {time_text(lib['median_us']) if lib else '–'} | {search.get('evaluations', '–')} | {search.get('seconds', 0):.0f} | "
                   f"{' → '.join(search.get('moves', [])) or '–'} |")
    return "\n".join(out)


def render(args):
    data = json.loads(pathlib.Path(args.dir).read_text())
    page = top / "docs/results.md"
    text = page.read_text()
    page.write_text(re.sub(r"(<!-- gpu -->\n).*?(<!-- end gpu -->)", lambda m: m.group(1) + table(data) + "\n" + m.group(2), text, flags=re.S))
    print(table(data))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("action", choices=("optimize", "bench", "render"))
parser.add_argument("dir")
parser.add_argument("out", nargs="?")
parser.add_argument("examples", nargs="*")
parser.add_argument("--hone", default=str(top / "build/hone"))
parser.add_argument("--device", default="cuda:0")
parser.add_argument("--time", default="40s")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--window", default="1s")
parser.add_argument("--blocks", type=int, default=3)
parser.add_argument("--extra", nargs="*", default=[], help="further options of hone optimize")
args = parser.parse_intermixed_args()
if args.action == "optimize" and args.out:   # no file is written: the first example
    args.examples.insert(0, args.out)
{"optimize": optimize, "bench": bench, "render": render}[args.action](args)
