#!/usr/bin/env python3
"""What a library takes for the same work as the examples, on this machine's GPU: PyTorch's calls (cuBLAS, CUB and its own kernels behind them) at the
examples' sizes and data types. Cold L2 (twice its size overwritten before each sample), CUDA events around one call, median and quartiles. Needs PyTorch.
Not all do exactly the example's work; the note says what differs.

usage: bench/library.py [OUT.json]
"""
import json
import sys

import torch
import torch.nn.functional as F

SAMPLES, WARM_UP = 40, 10
torch.backends.cuda.matmul.allow_tf32 = False
torch.manual_seed(1)
gpu = torch.device("cuda")
flush = torch.empty(2 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.uint8, device=gpu)


def uniform(*shape, low=-1.0, high=1.0, dtype=torch.float32):
    return torch.empty(*shape, device=gpu).uniform_(low, high).to(dtype)


def gelu():
    x = uniform(201326592, low=-4, high=4, dtype=torch.bfloat16)
    return lambda: F.gelu(x, approximate="tanh"), "F.gelu(tanh)", ""


def transpose():
    x = uniform(8192, 8192)
    return lambda: x.t().contiguous(), "t().contiguous()", ""


def reduce():
    x = torch.randint(-50, 100, (268435456,), dtype=torch.int32, device=gpu)
    return lambda: torch.sum(x, dtype=torch.int32), "torch.sum", ""


def softmax():
    x = torch.randn(16384, 4096, device=gpu) * 2
    return lambda: torch.softmax(x, 1), "torch.softmax", ""


def layernorm():
    x, w, b = torch.randn(65536, 1024, device=gpu) + 0.1, uniform(1024), uniform(1024)
    return lambda: torch.native_layer_norm(x, [1024], w, b, 1e-5), "native_layer_norm", ""


def matmul():
    a, b, c = uniform(4096, 4096), uniform(4096, 4096), uniform(4096, 4096)
    return lambda: torch.addmm(c, a, b, beta=3.0, alpha=0.5), "torch.addmm (cuBLAS SGEMM, no TF32)", "writes a new matrix"


def gemm_bf16():
    a, b = uniform(4096, 4096, dtype=torch.bfloat16), uniform(4096, 4096, dtype=torch.bfloat16)
    return lambda: torch.matmul(b, a.t()), "torch.matmul (cuBLAS, bf16)", ""


def segscan():
    x = torch.randint(1, 6, (65536, 1024), dtype=torch.int32, device=gpu)
    return lambda: torch.cumsum(x, 1, dtype=torch.int32), "torch.cumsum", "inclusive instead of exclusive"


def histogram():
    x = torch.randint(0, 256, (67108864,), dtype=torch.uint8, device=gpu)
    return lambda: torch.bincount(x, minlength=256), "torch.bincount", "64-bit counts; reads the extremes first"


def attention():
    q, k, v = (torch.randn(8, 12, 1024, 64, device=gpu) for _ in range(3))
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), "scaled_dot_product_attention (float32)", "another layout; memory-efficient kernel"


def once(call):
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    flush.fill_(once.turn % 256)
    once.turn += 1
    torch.cuda.synchronize()
    start.record()
    call()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) * 1e3


once.turn = 0
rows = {}
for make in (attention, gelu, gemm_bf16, histogram, layernorm, matmul, reduce, segscan, softmax, transpose):
    call, name, note = make()
    for _ in range(WARM_UP):
        once(call)
    times = sorted(once(call) for _ in range(SAMPLES))
    rows[make.__name__] = {"call": name, "note": note, "median_us": times[SAMPLES // 2], "q1_us": times[SAMPLES // 4], "q3_us": times[3 * SAMPLES // 4]}
    print(f"{make.__name__:12} {times[SAMPLES // 2]:10.1f} µs  {name}  {note}", flush=True)
    del call
    torch.cuda.empty_cache()
if len(sys.argv) > 1:
    with open(sys.argv[1], "w") as f:
        json.dump({"schema": "hone.library/1", "kind": "physical", "device": torch.cuda.get_device_name(0), "torch": torch.__version__,
                   "cuda": torch.version.cuda, "method": __doc__.split("\n\n")[0], "rows": rows}, f, indent=1)
