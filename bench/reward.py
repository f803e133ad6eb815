"""Evaluations per minute of the reward server, with one worker and with two. Usage: reward.py HONE [TASK.cu] [N]. Every candidate is a program of its own; the compile
cache is empty at the start of each round. Prints one line per number of workers, and the ratio."""
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


def per_minute(workers):
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
        start = time.monotonic()
        rewards = ask(candidates(text, 1000, count))
        seconds = time.monotonic() - start
        p.send_signal(signal.SIGTERM)
        p.wait(60)
        assert all(r > 0 for r in rewards), rewards
        return 60 * count / seconds


one, two = per_minute(1), per_minute(2)
print(f"1 worker   {one:.1f} evaluations per minute\n2 workers  {two:.1f} evaluations per minute\nratio      {two / one:.2f}  ({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})")
