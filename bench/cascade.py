#!/usr/bin/env python3
"""What the correctness stages cost on the virtual GPU, by task: the whole cascade of a candidate that is right (the baseline's own text, nothing kept from before but
the compile cache), and how soon candidates are refused that fail a static rule, do not compile, or write nothing, where the baseline's results are kept.

usage: bench/cascade.py [HONE] [TASK.cu …]     default: build/hone and examples/*.cu

CPU time is of all processes and threads, user and system; the other times are seconds of the stages by the clock. Best of three.
"""
import json, os, pathlib, re, resource, subprocess, sys, tempfile

top = pathlib.Path(__file__).resolve().parent.parent
hone = sys.argv[1] if len(sys.argv) > 1 else str(top / "build/hone")
tasks = [pathlib.Path(t) for t in sys.argv[2:]] or sorted((top / "examples").glob("*.cu"))
DEVICE, TIMES = "virtual:h200", 3


def check(*files):
    p = subprocess.run([hone, "check", *map(str, files), "--json", "-q", "-d", DEVICE], stdout=subprocess.PIPE, text=True)
    o = json.loads(p.stdout)
    return o.get("candidates", [o])


def cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def whole(task):
    best = None
    for _ in range(TIMES):
        before = cpu()
        o, = check(task, task)
        if o["verdict"] != "pass":
            sys.exit("%s does not pass its own test" % task)
        now = cpu() - before, sum(s["seconds"] for s in o["stages"])
        best = min(best, now) if best else now
    return best


def into_first_kernel(text, what):
    return re.sub(r"(__global__[^;{]*\)\s*\{)", lambda m: m.group(1) + what, text, count=1)


def early(task, folder):
    text = task.read_text()
    bad = {"static": into_first_kernel(text, " long long t = clock64(); (void)t;"), "compile": into_first_kernel(text, " this is no statement;"),
           "wrong": into_first_kernel(text, " return;")}
    files = []
    for n in range(TIMES):
        for name, body in bad.items():
            files.append(folder / ("%s_%d_%s" % (name, n, task.name)))
            files[-1].write_text(body + ("\n// %s %d\n" % (os.urandom(8).hex(), n) if name == "compile" else ""))   # never seen by the compile cache
    results = check(task, task, *files)[1:]
    out = {}
    for name, o in zip(list(bad) * TIMES, results):
        last = o["stages"][-1]["name"] if all(s["status"] == "pass" for s in o["stages"]) else next(s["name"] for s in o["stages"] if s["status"] == "fail")
        compiling = sum(s["seconds"] for s in o["stages"] if s["name"] == "compile")
        rest = sum(s["seconds"] for s in o["stages"] if s["name"] != "compile")
        if o["verdict"] != "fail":
            sys.exit("%s: the %s candidate was not refused" % (task, name))
        kept = out.get(name)
        out[name] = min(kept, (compiling if name == "compile" else rest, last)) if kept else (compiling if name == "compile" else rest, last)
    return out


def main():
    print("| task | whole cascade, CPU s | stages, s | refused by a static rule, ms | does not compile, ms | writes nothing, ms |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as d:
        for task in tasks:
            seconds, stages = whole(task)
            e = early(task, pathlib.Path(d))
            print("| %s | %.2f | %.2f | %.1f | %.0f | %.0f (%s) |" % (task.stem, seconds, stages, 1e3 * e["static"][0], 1e3 * e["compile"][0], 1e3 * e["wrong"][0], e["wrong"][1]), flush=True)


if __name__ == "__main__":
    main()
