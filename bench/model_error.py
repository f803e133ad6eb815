#!/usr/bin/env python3
"""How far the timing model is from measured GPUs. For every row of a measurement file: the modelled time of the same kernel and the ratio; over the rows
of a kind the mean and median absolute percentage error, Spearman's rank correlation, and how often two kernels whose measured times differ by more than
15 % are ranked alike. Calibration kernels (bench/calibrate) set the model's parameters; examples, ladder and candidates did not.

usage: bench/model_error.py [--programs DIR] [--plot FILE.svg] [--quiet] [DATA.json …]     default: build/ and bench/data/*-measured.json, h200-microbenchmarks.json
Needs bench_evaluate_tasks (make bench).
"""
import argparse
import json
import math
import pathlib
import subprocess
import tempfile

top = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = {"calibrate": top / "bench/calibrate", "examples": top / "examples", "ladder": top / "bench/ladder"}
COLORS = {"calibrate": "#9aa0a6", "examples": "#1a73e8", "ladder": "#e8710a", "candidates": "#188038"}


def kernels(data, scratch):
    """(kind, name, file, measured µs) of every row."""
    for name, row in data["rows"].items():
        kind, path = next(((k, f / f"{name}.cu") for k, f in FOLDERS.items() if (f / f"{name}.cu").exists()), (None, None))
        if path:
            yield kind, name, path, row["cold"]["median_us"]
    for c in data.get("candidates", []):
        path = pathlib.Path(scratch) / f"{c['task']}-{c['id']}.cu"
        path.write_text(c["text"])
        yield "candidates", path.stem, path, c["time_us"]


def modelled(programs, device, files):
    run = subprocess.run([str(programs / "bench_evaluate_tasks"), f"virtual:{device}", *map(str, files)], capture_output=True, text=True)
    return {row["file"]: row for row in map(json.loads, run.stdout.splitlines())}


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0] * len(values)
    for rank, i in enumerate(order):
        out[i] = rank
    return out


def spearman(rows):
    a, b, n = ranks([r[2] for r in rows]), ranks([r[3] for r in rows]), len(rows)
    return 1 - 6 * sum((x - y) ** 2 for x, y in zip(a, b)) / (n * (n * n - 1))


def order(rows, same_task):
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i]
             if abs(math.log(a[2] / b[2])) > math.log(1.15) and (not same_task or a[1].split("-")[0] == b[1].split("-")[0])]
    right = sum((a[2] > b[2]) == (a[3] > b[3]) for a, b in pairs)
    return f"{100 * right / len(pairs):.1f} % of {len(pairs)}" if pairs else "–"


def summary(title, rows):
    if len(rows) < 3:
        return
    errors = sorted(abs(m / t - 1) for _, _, t, m, _ in rows)
    print(f"| {title} | {len(rows)} | {100 * sum(errors) / len(errors):.1f} % | {100 * errors[len(errors) // 2]:.1f} % | {spearman(rows):.3f} | "
          f"{order(rows, False)} | {order(rows, True)} |")


def plot(path, title, rows):
    low, high, size, edge = 0.5, 6, 460, 60
    at = lambda us: (math.log10(us) - low) / (high - low) * size
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size + 2 * edge}" height="{size + 2 * edge}" font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="100%" fill="white"/><text x="{edge}" y="24" font-size="14">{title}</text>']
    for factor, dash in ((1, ""), (1.25, "4 3"), (1 / 1.25, "4 3")):
        shift = math.log10(factor) / (high - low) * size
        out.append(f'<line x1="{edge}" y1="{edge + size - shift:.1f}" x2="{edge + size}" y2="{edge - shift:.1f}" stroke="#bbb" stroke-dasharray="{dash}"/>')
    for us, label in ((10, "10 µs"), (100, "100 µs"), (1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms")):
        x, y = edge + at(us), edge + size - at(us)
        out.append(f'<text x="{x:.0f}" y="{edge + size + 18}" text-anchor="middle">{label}</text><text x="{edge - 6}" y="{y + 4:.0f}" text-anchor="end">{label}</text>'
                   f'<line x1="{x:.0f}" y1="{edge}" x2="{x:.0f}" y2="{edge + size}" stroke="#eee"/><line x1="{edge}" y1="{y:.0f}" x2="{edge + size}" y2="{y:.0f}" stroke="#eee"/>')
    for kind, name, t, m, _ in rows:
        out.append(f'<circle cx="{edge + at(t):.1f}" cy="{edge + size - at(m):.1f}" r="4" fill="{COLORS[kind]}" fill-opacity="0.75"><title>{name}: {m / t:.2f}</title></circle>')
    for i, (kind, color) in enumerate(COLORS.items()):
        out.append(f'<circle cx="{edge + 14}" cy="{edge + 16 + 18 * i}" r="4" fill="{color}"/><text x="{edge + 24}" y="{edge + 20 + 18 * i}">{kind}</text>')
    out.append(f'<text x="{edge + size / 2}" y="{2 * edge + size - 12}" text-anchor="middle">measured (dashed: ±25 %)</text>'
               f'<text x="16" y="{edge + size / 2}" text-anchor="middle" transform="rotate(-90 16 {edge + size / 2})">modelled</text></svg>')
    pathlib.Path(path).write_text("\n".join(out) + "\n")


def one_file(path, options):
    data = json.loads(pathlib.Path(path).read_text())
    device = data.get("model", "h200")
    with tempfile.TemporaryDirectory() as scratch:
        found = list(kernels(data, scratch))
        times = modelled(options.programs, device, [f for _, _, f, _ in found])
    rows = []
    for kind, name, f, us in found:
        row = times.get(str(f), {"error": "not run"})
        if "error" in row:
            print(f"{name}: {row['error']}")
            continue
        rows.append((kind, name, us, row["modelled_us"], max(row["launches"], key=lambda l: l["time_us"])["model"]["bottleneck"]))
    print(f"measured on {data['device']}, {data['date']}; modelled by virtual:{device}\n")
    if not options.quiet:
        print("| kernel | measured µs | modelled µs | ratio | bound by |\n|---|---:|---:|---:|---|")
        for _, name, t, m, why in rows:
            print(f"| {name} | {t:.1f} | {m:.1f} | {m / t:.2f} | {why} |")
        print()
    print("| kernels | number | mean error | median | Spearman | pairs ranked alike | of one task |\n|---|---:|---:|---:|---:|---:|---:|")
    for kind in COLORS:
        summary(kind, [r for r in rows if r[0] == kind])
    summary("all but calibrate", [r for r in rows if r[0] != "calibrate"])
    print()
    if options.plot:
        plot(options.plot, f"{data['device']}: modelled against measured time", rows)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--programs", type=pathlib.Path, default=top / "build")
parser.add_argument("--plot")
parser.add_argument("--quiet", action="store_true", help="summaries only")
parser.add_argument("data", nargs="*", default=[top / "bench/data/h200-microbenchmarks.json", top / "bench/data/h100-measured.json"])
options = parser.parse_args()
for path in options.data:
    one_file(path, options)
