#!/usr/bin/env python3
"""What one evaluation costs beside the work itself, on the virtual GPU: start-up, NVRTC bare against hone's compile stage, a text seen before, and the
worker's peak memory against the task's buffers. Every compilation starts from an empty cache; ratios are of the best of three, taken in turns.

usage: bench/evaluate.py [HONE] [TASK.cu …]     default: build/hone and three examples
"""
import ctypes
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import os

top = pathlib.Path(__file__).resolve().parent.parent
hone = sys.argv[1] if len(sys.argv) > 1 else str(top / "build/hone")
tasks = sys.argv[2:] or [str(top / f"examples/{n}.cu") for n in ("softmax", "gelu", "attention")]
SIZES = {"float": 4, "double": 8, "half": 2, "bfloat16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1, "bool": 1}


def run(arguments, cache):
    start = time.monotonic()
    p = subprocess.run([hone, *arguments, "--json"], capture_output=True, text=True, env={**os.environ, "HONE_CACHE_DIR": cache})
    if not p.stdout:
        sys.exit(f"{hone} {' '.join(arguments)}: {p.stderr.strip()}")
    return json.loads(p.stdout), time.monotonic() - start


def stage(result, name):
    return next((s["seconds"] for s in result["stages"] if s["name"] == name), 0)


def nvrtc_library():
    roots = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    found = [str(f) for r in roots if r for f in sorted(pathlib.Path(r).glob("**/libnvrtc.so.1[0-9]"))]
    return ctypes.CDLL(found[0] if found else "libnvrtc.so.13")


def bare_seconds(lib, text, options):
    program = ctypes.c_void_p()
    array = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
    start = time.monotonic()
    lib.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"bare.cu", 0, None, None)
    code = lib.nvrtcCompileProgram(program, len(options), array)
    seconds = time.monotonic() - start
    lib.nvrtcDestroyProgram(ctypes.byref(program))
    return seconds if code == 0 else float("nan")


def options_of(text):
    flags = [w for line in re.findall(r"^#pragma hone flags\s+(.*)$", text, re.M) for w in line.split()]
    tunes = [f"-D{n}={v}" for n, v in re.findall(r"^#pragma hone tune\s+(\w+)\s*=\s*(?:\{|\[)?\s*(-?\d+)", text, re.M)]
    include = os.environ.get("CUDA_HOME", "/usr/local/cuda") + "/include"
    std = [] if any("-std=" in f for f in flags) else ["--std=c++17"]
    return ["--gpu-architecture=sm_90", *flags, *std, *tunes, "-lineinfo", "--ptxas-options=-v", "--diag-suppress=161", f"-I{include}"]


def buffer_mib(text):
    """Bytes of all buffers at the largest `size` line."""
    most = 0
    scope = {"cdiv": lambda a, b: -(-a // b), "min": min, "max": max}
    for line in re.findall(r"^#pragma hone size\s+(.*)$", text, re.M):
        env, total = {}, 0
        for name, value in re.findall(r"(\w+)\s*=\s*(\S+)", line.split("//")[0]):
            env[name] = eval(value.replace("/", "//"), scope, env)
        for role, rest in re.findall(r"^#pragma hone\s+(in|out|inout|scratch)\s+(.*)$", text, re.M):
            declared = re.match(r"\w+\s+(\w+)((?:\[[^\]]*\])+)", rest) or re.match(r"(\w+)\s+\w+((?:\[[^\]]*\])+)", rest)
            bits = re.search(r"(\d+)", declared[1])
            size = SIZES.get(declared[1], int(bits[1]) // 8 if bits else 4)
            for extent in re.findall(r"\[([^\]]*)\]", declared[2]):
                size *= eval(extent.replace("/", "//"), scope, env)
            total += size
        most = max(most, total)
    return most / 2**20


def worker_peak_mib(task, cache):
    """Highest VmHWM of the worker process of a run that times the baseline at its main size."""
    peak, done = 0.0, threading.Event()
    with tempfile.TemporaryDirectory() as out:
        p = subprocess.Popen([hone, "optimize", task, "--device", "virtual:h200", "--evals", "2", "--workers", "1", "--out", out + "/run.hone", "--quiet"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HONE_CACHE_DIR": cache})
        while p.poll() is None:
            for child in pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split():
                try:
                    status = pathlib.Path(f"/proc/{child}/status").read_text()
                    peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)
                except (OSError, TypeError):
                    pass
            done.wait(0.02)
    return peak


lib = nvrtc_library()
print(f"{'task':12} {'start s':>8} {'NVRTC s':>8} {'hone s':>8} {'ratio':>6} {'again ms':>9} {'checks s':>9} {'buffers MiB':>12} {'worker MiB':>11} {'over MiB':>9}")
for task in tasks:
    text = pathlib.Path(task).read_text()
    bare_seconds(lib, text, options_of(text))            # NVRTC's own start-up is in neither number
    own, bare, starts, again, checks = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(3):
            variant = pathlib.Path(folder) / f"v{turn}.cu"
            variant.write_text(text + f"\n// turn {turn}\n")
            bare.append(bare_seconds(lib, variant.read_text(), options_of(text)))
            result, wall = run(["check", task, str(variant), "--device", "virtual:h200"], f"{folder}/cache{turn}")
            own.append(stage(result, "compile"))
            checks.append(stage(result, "sanitize") + stage(result, "differential"))
            result, wall = run(["check", task, task, "--device", "virtual:h200"], f"{folder}/cache{turn}")
            again.append(stage(result, "compile") * 1e3)
            starts.append(wall - sum(s["seconds"] for s in result["stages"]))
        peak = worker_peak_mib(task, folder + "/cache0")
    buffers = buffer_mib(text)
    print(f"{pathlib.Path(task).stem:12} {min(starts):8.3f} {min(bare):8.3f} {min(own):8.3f} {min(own) / min(bare):6.2f} {min(again):9.2f} {min(checks):9.2f} "
          f"{buffers:12.0f} {peak:11.0f} {peak - buffers:9.0f}", flush=True)
