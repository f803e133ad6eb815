#!/usr/bin/env python3
"""What a test notices: hone's cascade against allclose(rtol=1e-2, atol=1e-2) on five U(0,1) inputs, on the same wrong kernels in the same run.

Wrong kernels are mutants of the baselines of task files (examples/*.cu unless some are named) and the cheats of tests/exploits. Prints the tables of
docs/verification.md. Mutants that are the baseline's program, or equal to it bit for bit on every input of hone's, are counted apart.

usage: mutants.py BENCH_EVALUATE_MUTANTS [--count N] [--device virtual:h200] [TASK.cu …]
"""
import argparse, collections, json, pathlib, subprocess, sys

TOP = pathlib.Path(__file__).resolve().parent.parent


def lines(bench, device, count, task, *candidates):
    p = subprocess.run([bench, device, str(count), str(task), *map(str, candidates)], stdout=subprocess.PIPE, text=True)
    if p.returncode:
        sys.exit("%s failed on %s" % (bench, task))
    return [json.loads(l) for l in p.stdout.splitlines()]


def is_mutant(x, program):
    early = (x["finding"] or "").startswith("compile.")
    return not early and x["hone"] != "error" and x.get("program") != program and not (x["hone"] == "pass" and x["identical"])


def row(name, xs):
    hone, plain = sum(x["hone"] == "fail" for x in xs), sum(x["plain"] for x in xs)
    return "| %s | %d | %d | %d | %d | %d |" % (name, len(xs), hone, plain, len(xs) - hone, len(xs) - plain)


def ratios(name, xs):
    hone, plain = sum(x["hone"] == "fail" for x in xs), sum(x["plain"] for x in xs)
    missed = len(xs) - hone
    print("%s: caught %d against %d, %s; missed %d against %d, %s" %
          (name, hone, plain, "%.3gx" % (hone / plain) if plain else "allclose catches none", missed, len(xs) - plain,
           "%.3gx fewer" % ((len(xs) - plain) / missed) if missed else "hone misses none"))


def mutants(o):
    xs, apart = [], collections.Counter()
    for task in o.tasks:
        first, *rest = lines(o.bench, o.device, o.count, task)
        for x in rest:
            if is_mutant(x, first.get("program")):
                xs.append(x)
            else:
                apart["same program" if x.get("program") == first.get("program") else "same bits" if x["identical"] and x["hone"] == "pass" else "does not compile"] += 1
        print("%s: %d" % (pathlib.Path(task).name, len(rest)), file=sys.stderr, flush=True)
    return xs, apart


def cheats(o):
    by_task = collections.defaultdict(list)
    for d in sorted((TOP / "tests/exploits").glob("cheat_*")):
        by_task[(d / "task.cu").read_text()].append(d)
    return [x for group in by_task.values() for x in lines(o.bench, o.device, 0, group[0] / "task.cu", *(d / "candidate.cu" for d in group))[1:]]


HEAD = "| %s | wrong kernels | caught by hone | by allclose | missed by hone | by allclose |\n|---|---:|---:|---:|---:|---:|"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("bench")
    a.add_argument("tasks", nargs="*")
    a.add_argument("--count", type=int, default=44)
    a.add_argument("--device", default="virtual:h200")
    o = a.parse_args()
    o.tasks = o.tasks or sorted((TOP / "examples").glob("*.cu"))
    xs, apart = mutants(o)
    cheating = cheats(o)
    by_kind = collections.defaultdict(list)
    for x in xs:
        by_kind[x["mutation"]].append(x)
    print(HEAD % "mutation")
    for kind in sorted(by_kind):
        print(row("`%s`" % kind, by_kind[kind]))
    print(row("all mutants", xs))
    print(row("the cheats of `tests/exploits`", cheating))
    print(row("together", xs + cheating))
    print()
    ratios("mutants", xs)
    ratios("cheats", cheating)
    ratios("together", xs + cheating)
    print("left out: " + ", ".join("%s %d" % k for k in sorted(apart.items())))
    for x in xs + cheating:
        if x["hone"] != "fail":
            print("missed by hone: %s %s line %s (allclose: %s)" % (pathlib.Path(x["task"]).name, x.get("mutation") or x.get("candidate"), x.get("line"), "caught" if x["plain"] else "missed"))


if __name__ == "__main__":
    main()
