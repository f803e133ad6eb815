"""Evaluations per minute of the reward server, with one worker and with two. Usage: reward.py HONE [TASK.cu] [N]. Every candidate is a program of its own; the compile
cache is empty at the start of each round. Prints one line per number of workers, and the ratio. The rate by the clock needs as many free cores as workers; the CPU
time of an evaluation (server and workers) does not, so a machine with other work shows by it what two workers would bring: 60 s over it is the rate of one core, and
twice as many workers do twice as much as far as it stays the same."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

hone = sys.argv[1]
task = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent / "tests/data/rows.cu")
count = int(sys.argv[3]) if len(sys.argv) > 3 else 24
TOKEN = "bench-token-bench-token"


def candidates(text, first, n):
    head, body = text.split("{", 1)   # one more statement at the start of the first kernel: another program each
    return [head + "{ if (threadIdx.x == 0x7fff%04x) return;" % (first + i) + body for i in range(n)]


def cpu_s(root):
    """User and system time of a process and all its descendants, those that ended among them."""
    parent, own = {}, {}
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            f = (p / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parent[int(p.name)], own[int(p.name)] = int(f[1]), sum(map(int, f[11:15]))
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += own.get(pid, 0)
        todo += [k for k, v in parent.items() if v == pid]
    return total / os.sysconf("SC_CLK_TCK")


def per_minute(workers):
    """Evaluations a minute by the clock, and CPU seconds of one."""
    with tempfile.TemporaryDirectory() as cache:
        p = subprocess.Popen([hone, "serve", "--reward", str(task), "--port", "0", "--workers", str(workers), "--device", "virtual:h200"], stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, HONE_SERVE_TOKEN=TOKEN, HONE_CACHE_DIR=cache))
        port = int(p.stdout.readline().split(":")[2].split("/")[0])

        def ask(texts):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
            c.request("POST", "/v1/reward", json.dumps({"items": [{"task": task.stem, "text": t} for t in texts]}), {"Authorization": "Bearer " + TOKEN})
            return json.load(c.getresponse())["rewards"]
        text = task.read_text()
        ask(candidates(text, 0, 2 * workers))   # the baseline, and every worker warm
        start, before = time.monotonic(), cpu_s(p.pid)
        rewards = ask(candidates(text, 1000, count))
        seconds, cpu = time.monotonic() - start, cpu_s(p.pid) - before
        p.send_signal(signal.SIGTERM)
        p.wait(60)
        assert all(r > 0 for r in rewards), rewards
        return 60 * count / seconds, cpu / count


(one, cpu1), (two, cpu2) = per_minute(1), per_minute(2)
for n, rate, cpu in ((1, one, cpu1), (2, two, cpu2)):
    print(f"{n} worker{'s' * (n > 1)}  {rate:7.1f} evaluations a minute by the clock; {1000 * cpu:6.1f} ms of CPU time each: {60 / cpu:.0f} a minute per core")
print(f"two over one  {two / one:.2f} by the clock, {2 * cpu1 / cpu2:.2f} by CPU time  ({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")
