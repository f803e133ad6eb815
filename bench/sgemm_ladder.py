#!/usr/bin/env python3
"""Ranks eight SGEMM kernels of bench/ladder without a GPU and compares with rates published for kernels of the same kinds on an RTX A6000 (4092³): table,
rank correlation, ratio errors of single kernels and of each step over the one before, and a plot.

usage: bench/sgemm_ladder.py [HONE] [PLOT.svg]     default: build/hone docs/sgemm-ladder.svg
"""
import json
import math
import pathlib
import subprocess
import sys

top = pathlib.Path(__file__).resolve().parent.parent
hone = sys.argv[1] if len(sys.argv) > 1 else str(top / "build/hone")
plot = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else top / "docs/sgemm-ladder.svg")
# GFLOP/s as published (S. Boehm, "How to optimize a CUDA matmul kernel", RTX A6000); the library's: 23250.
PUBLISHED = {"1_naive": 309, "2_coalesced": 1987, "3_shared": 2980, "4_tile1d": 8475, "5_tile2d": 15972, "6_vector": 18237, "7_tuned": 19721,
             "8_warptile": 21779}
FLOP = 2 * 4092**3


def modelled(name):
    run = subprocess.run([hone, "profile", str(top / f"bench/ladder/{name}.cu"), "--device", "virtual:a6000", "--json"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{name}: {run.stderr.strip()}")
    time = json.loads(run.stdout)["time"]
    return FLOP / time["time_us"] / 1e3, time["sizes"][0]["launches"][0]["model"]["bottleneck"]


def ranks(values):
    order = sorted(values)
    return [order.index(v) for v in values]


def spearman(a, b):
    n = len(a)
    return 1 - 6 * sum((x - y) ** 2 for x, y in zip(ranks(a), ranks(b))) / (n * (n * n - 1))


def kendall(a, b):
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    return sum(1 if (a[i] - a[j]) * (b[i] - b[j]) > 0 else -1 for i, j in pairs) / len(pairs)


def draw(names, published, model):
    width, height, left, bottom = 640, 320, 60, 40
    x = lambda i: left + (i + 0.5) * (width - left - 10) / len(names)
    y = lambda v: height - bottom - (math.log10(v) - 2) / 2.5 * (height - bottom - 20)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for v in (100, 1000, 10000):
        out.append(f'<line x1="{left}" x2="{width - 10}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>')
    for series, colour in ((published, "#333"), (model, "#c40")):
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(series))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(i):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for i, v in enumerate(series)]
    out += [f'<text x="{x(i):.1f}" y="{height - bottom + 18}" text-anchor="middle">{n[2:]}</text>' for i, n in enumerate(names)]
    out.append(f'<text x="{left + 10}" y="16" fill="#333">published, RTX A6000, GFLOP/s</text><text x="{left + 220}" y="16" fill="#c40">modelled</text></svg>')
    plot.write_text("\n".join(out) + "\n")


names = list(PUBLISHED)
published, results = list(PUBLISHED.values()), [modelled(n) for n in names]
model = [r[0] for r in results]
print("| step | published GFLOP/s | modelled | ratio | step published | step modelled | bound by |\n|---|---:|---:|---:|---:|---:|---|")
for i, n in enumerate(names):
    steps = f"{published[i] / published[i - 1]:.2f}× | {model[i] / model[i - 1]:.2f}×" if i else " | "
    print(f"| {n[2:]} | {published[i]} | {model[i]:.0f} | {model[i] / published[i]:.2f} | {steps} | {results[i][1]} |")
factor = math.exp(sum(abs(math.log(m / p)) for m, p in zip(model, published)) / len(names))
steps = [abs(math.log(model[i] / model[i - 1] * published[i - 1] / published[i])) for i in range(1, len(names))]
error = sum(abs(p / m - 1) for m, p in zip(model, published)) / len(names)
print(f"\nSpearman {spearman(published, model):.3f}, Kendall {kendall(published, model):.3f}; mean error of the time {100 * error:.1f} %, typical factor "
      f"{factor:.2f}; typical factor of a step {math.exp(sum(steps) / len(steps)):.2f}")
draw(names, published, model)
