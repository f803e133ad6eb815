#!/usr/bin/env python3
"""Measures a GPU's parameters and writes a device file for the virtual GPU. Needs the CUDA driver (or build/libhonegpu.so), NVRTC and Python's standard
library. Each probe of probes.cuh runs at two amounts of work; the difference gives the rate. What is not measured stays absent.

usage: bench/calibrate/run.py [--device cuda:0 | virtual:NAME] [--out FILE.gpu] [--check]
  --check   virtual only: compare with what the model takes for that device, and fail where a parameter is off by more than its tolerance
"""
import argparse
import ctypes
import datetime
import glob
import os
import pathlib
import re
import statistics
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
COUNT, SAMPLE = 4, 8


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("threads", ctypes.c_uint32), ("max_findings", ctypes.c_uint32),
                ("schedule_seed", ctypes.c_uint64), ("max_warp_insts", ctypes.c_uint64), ("sample_warp_insts", ctypes.c_uint64)]


class Gpu:
    def __init__(self, spec, libdir):
        self.virtual = spec.startswith("virtual:")
        if self.virtual:
            os.environ["HONE_VGPU_DEVICE"] = spec.split(":", 1)[1]
        self.lib = ctypes.CDLL(str(pathlib.Path(libdir) / "libhonegpu.so") if self.virtual else "libcuda.so.1")
        self.call("cuInit", 0)
        self.device, self.context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(self.device), 0 if self.virtual else int(spec.split(":")[1]))
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), self.device)
        self.call("cuCtxSetCurrent", self.context)
        if self.virtual:
            o = Options(ctypes.sizeof(Options), COUNT | SAMPLE, 0, 0, 0, 0, 400_000)
            self.call("honeVgpuSetOptions", ctypes.byref(o))
        self.cc = self.attribute(75) * 10 + self.attribute(76)
        self.sms = self.attribute(16)
        self.start, self.stop = ctypes.c_void_p(), ctypes.c_void_p()
        for e in (self.start, self.stop):
            self.call("cuEventCreate", ctypes.byref(e), 0)

    def call(self, name, *args):
        code = getattr(self.lib, name)(*args)
        if code:
            sys.exit(f"run.py: {name} failed with CUresult {code}")

    def attribute(self, number):
        v = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(v), number, self.device)
        return v.value

    def name(self):
        text = ctypes.create_string_buffer(128)
        self.call("cuDeviceGetName", text, 128, self.device)
        return text.value.decode()

    def memory(self):
        v = ctypes.c_size_t()
        self.call("cuDeviceTotalMem_v2", ctypes.byref(v), self.device)
        return v.value

    def load(self, ptx):
        module = ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(ptx))
        return module

    def function(self, module, name):
        f = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(f), module, name.encode())
        return f

    def alloc(self, size):
        p = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(p), ctypes.c_size_t(size))
        self.call("cuMemsetD32_v2", p, 0, ctypes.c_size_t(size // 4))
        return p

    def launch(self, f, grid, block, a, b, n, r, stream=None):
        values = [ctypes.c_uint64(a), ctypes.c_uint64(b), ctypes.c_int(n), ctypes.c_int(r)]
        args = (ctypes.c_void_p * 4)(*[ctypes.cast(ctypes.pointer(v), ctypes.c_void_p) for v in values])
        self.call("cuLaunchKernel", f, grid, 1, 1, block, 1, 1, 0, stream, args, None)

    def chain_us(self, f, nodes, a, b):
        """A graph in which so many launches of one small block wait for each other: no host between them. On an H100 0.79 µs per launch; launches that
        already wait in a stream take 1.87 µs each, and 3.7 µs where the host has to send them."""
        stream, graph, run = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuStreamCreate", ctypes.byref(stream), 1)                      # without regard to the default stream
        self.call("cuStreamBeginCapture_v2", stream, 2)
        for _ in range(nodes):
            self.launch(f, 1, 32, a, b, 1, 0, stream)
        self.call("cuStreamEndCapture", stream, ctypes.byref(graph))
        self.call("cuGraphInstantiateWithFlags", ctypes.byref(run), graph, ctypes.c_uint64(0))
        samples = []
        for _ in range(1 if self.virtual else 9):
            self.call("cuEventRecord", self.start, stream)
            self.call("cuGraphLaunch", run, stream)
            self.call("cuEventRecord", self.stop, stream)
            self.call("cuEventSynchronize", self.stop)
            ms = ctypes.c_float()
            self.call("cuEventElapsedTime", ctypes.byref(ms), self.start, self.stop)
            samples.append(ms.value * 1000)
        self.call("cuGraphExecDestroy", run)
        self.call("cuGraphDestroy", graph)
        self.call("cuStreamDestroy_v2", stream)
        return statistics.median(samples[2:] or samples)

    def time_us(self, f, grid, block, a, b, n, r, flush, launches=1):
        samples = []
        for _ in range(1 if self.virtual else 9):
            if flush and not self.virtual:           # the virtual GPU begins every launch with cold caches
                self.call("cuMemsetD32_v2", ctypes.c_uint64(flush[0]), 1, ctypes.c_size_t(flush[1] // 4))
            self.call("cuEventRecord", self.start, None)
            for _ in range(launches):
                self.launch(f, grid, block, a, b, n, r)
            self.call("cuEventRecord", self.stop, None)
            self.call("cuEventSynchronize", self.stop)
            ms = ctypes.c_float()
            self.call("cuEventElapsedTime", ctypes.byref(ms), self.start, self.stop)
            samples.append(ms.value * 1000 / launches)
        return statistics.median(samples[2:] or samples)


def compile_ptx(cc):
    roots = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    found = [f for r in roots if r for f in sorted(glob.glob(f"{r}/**/libnvrtc.so.1[0-9]", recursive=True))]
    try:
        lib = ctypes.CDLL(found[0] if found else "libnvrtc.so.13")
    except OSError:
        print("run.py: no NVRTC; set CUDA_HOME", file=sys.stderr)
        sys.exit(77)
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    lib.nvrtcCreateProgram(ctypes.byref(program), (here / "probes.cuh").read_bytes(), b"probes.cuh", 0, None, None)
    options = [f"--gpu-architecture=compute_{cc}".encode(), b"--std=c++17", b"--diag-suppress=161"]
    if lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options)):
        lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetProgramLog(program, log)
        sys.exit("run.py: " + log.value.decode())
    lib.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetPTX(program, ptx)
    return ptx.value


MIB = 1 << 20


class Measure:
    """Every method measures one thing; results in self.values as {key: (value, source)}."""

    def __init__(self, gpu):
        self.gpu, self.values = gpu, {}
        self.module = gpu.load(compile_ptx(gpu.cc))
        self.l2 = gpu.attribute(38)
        self.big = max(256 * MIB, 4 * self.l2 // MIB * MIB)
        self.a, self.b = gpu.alloc(self.big).value, gpu.alloc(self.big).value

    def put(self, key, value, source):
        self.values[key] = (value, source)

    def time(self, name, grid, block, n, r, cold=False, launches=1):
        return self.gpu.time_us(self.gpu.function(self.module, name), grid, block, self.a, self.b, n, r, (self.b, self.big) if cold else None, launches)

    def slope(self, name, grid, block, n, r1, r2, cold=False):
        """µs per unit of r."""
        return (self.time(name, grid, block, n, r2, cold) - self.time(name, grid, block, n, r1, cold)) / (r2 - r1)

    def clock(self):
        per_step = self.slope("p_clock", 1, 32, 1, 4096, 65536)
        self.mhz = 4 / per_step
        self.put("boost_mhz", self.mhz, "p_clock: 4 cycles per dependent FMA")
        few, many = (2, 10) if self.gpu.virtual else (100, 1100)                  # the difference: what starting a graph takes is in both
        f = self.gpu.function(self.module, "p_empty")
        gap = (self.gpu.chain_us(f, many, self.a, self.b) - self.gpu.chain_us(f, few, self.a, self.b)) / (many - few)
        self.put("launch_us", gap, "p_empty: per launch of a graph's chain, no host between")

    def lanes(self, key, name, per_step=8, r=(512, 4096)):
        blocks = self.gpu.sms * 4
        per_clk = blocks / self.gpu.sms * 256 * per_step / (self.slope(name, blocks, 256, 1024, *r) * self.mhz)
        self.put(key, per_clk, f"{name}: results/clk/SM")

    def pipes(self):
        self.lanes("fp32_lanes", "p_fp32")
        self.lanes("fp64_lanes", "p_fp64", r=(64, 512))
        self.lanes("int_lanes", "p_int")
        self.lanes("fp16x2_lanes", "p_half", 16)
        self.lanes("sfu_lanes", "p_sfu")
        self.lanes("tensor_f16_fma", "p_tensor", 4 * 2048 / 32)

    def chase(self, key, name, links, stride, r1, r2, cold):
        self.gpu.launch(self.gpu.function(self.module, "p_links"), 256, 256, self.a, self.b, links, stride) if links else None
        self.put(key, self.slope(name, 1, 32 if links == 0 else 1, links, r1, r2, cold) * self.mhz, f"{name}: cycles per dependent load")

    def latencies(self):
        if self.gpu.virtual:                          # links must be real: no sampling here
            o = Options(ctypes.sizeof(Options), COUNT, 0, 0, 0, 0, 0)
            self.gpu.call("honeVgpuSetOptions", ctypes.byref(o))
        self.chase("shared_latency", "p_chase_shared", 0, 0, 2048, 16384, False)
        self.chase("l1_latency", "p_chase_l1", 64, 128, 1024, 16384, False)
        self.chase("l2_latency", "p_chase", 8192, 128, 16384, 49152, False)
        self.chase("dram_latency", "p_chase", 16384, self.big // 16384 // 128 * 128, 2048, 12288, True)
        if self.gpu.virtual:
            o = Options(ctypes.sizeof(Options), COUNT | SAMPLE, 0, 0, 0, 0, 400_000)
            self.gpu.call("honeVgpuSetOptions", ctypes.byref(o))

    def bandwidths(self):
        g, blocks = self.gpu, self.gpu.sms * 6
        bytes_step = blocks * 256 * 16
        self.put("l1_bytes_clk", bytes_step / g.sms / (self.slope("p_l1", blocks, 256, 1 << 20, 128, 1024) * self.mhz), "p_l1: bytes/clk/SM")
        n = max(1 << 16, 1 << ((self.l2 // 4 // 16).bit_length() - 1))     # a quarter of L2, but far more than an L1
        big, self.a = self.a, g.alloc(n * 16).value                          # a buffer of its own: sampling judges reuse by allocation
        self.put("l2_gbs", 4096 * 256 * 16 / self.slope("p_l2", 4096, 256, n, 256, 1024) / 1e3, "p_l2: reads of a quarter of L2")
        self.a = big
        n1, n2 = self.big // 64, self.big // 16
        per = (self.time("p_copy", n2 // 256, 256, n2, n2, True) - self.time("p_copy", n1 // 256, 256, n1, n1, True)) / (n2 - n1)
        self.put("dram_gbs", 32 / per / 1e3, "p_copy: bytes read and written")
        self.conflicts = {w: self.slope(f"p_shared_{w}", blocks, 256, 1, 256, 2048) * self.mhz / (blocks / g.sms * 8) for w in (1, 2, 8, 32)}

    def atomics(self):
        blocks = self.gpu.sms * 8
        per_round = self.slope("p_atomic_same", blocks, 256, 1, 4, 20)
        self.put("atomic_same_address_clk", per_round * self.mhz / (blocks * 256), "p_atomic_same: clocks per operation")
        per_round = self.slope("p_atomic_slice", blocks, 256, 1, 4, 20)
        self.put("atomic_slice_clk", per_round * self.mhz / (blocks * 256), "p_atomic_slice: clocks per operation within 512 bytes")
        per_round = self.slope("p_atomic_random", blocks, 256, 1 << 17, 8, 64)
        self.put("atomic_gops", blocks * 256 / per_round / 1e3, "p_atomic_random: 1e9 sectors/s over 4 MiB")

    def blocks(self):
        n1, n2 = 1 << 16, 1 << 20
        at = [(self.time("p_blocks", n2, w * 32, 1024, 0) - self.time("p_blocks", n1, w * 32, 1024, 0)) * self.mhz / (n2 - n1) for w in (1, 8)]
        warp = max(0, (at[1] - at[0]) / 7)
        self.put("block_issue_clk", at[0] - warp, "p_blocks: clocks between blocks, whole GPU")
        self.put("block_issue_warp_clk", warp, "p_blocks: further clocks per warp")
        blocks = self.gpu.sms * 8
        per = self.slope("p_partial", blocks, 256, 1 << 17, 8, 64)
        self.put("l2_partial_write_gops", blocks * 256 / per / 1e3, "p_partial: 1e9 lines/s")

    def all(self):
        for step in (self.clock, self.pipes, self.latencies, self.bandwidths, self.atomics, self.blocks):
            step()


def facts(g):
    """What the driver says: {key: value}."""
    out = {"sms": g.sms, "cc_major": g.attribute(75), "cc_minor": g.attribute(76), "warps_per_sm": g.attribute(39) // 32, "blocks_per_sm": g.attribute(106),
           "registers_per_sm": g.attribute(82), "shared_bytes_per_sm": g.attribute(81), "shared_bytes_per_block_optin": g.attribute(97),
           "l2_bytes": g.attribute(38), "memory_bytes": g.memory()}
    if (out["cc_major"], out["cc_minor"]) in ((8, 0), (9, 0)):   # A100 and H100: two partitions
        out["l2_partitions"] = 2
    peak = 2e-6 * g.attribute(36) * g.attribute(37) / 8          # kHz, bits, two transfers per clock
    if peak > 0:
        out["dram_peak_gbs"] = peak
    return out


# What --check allows, as a factor. Most probes keep one resource busy above all others; the model's overlap of resources makes it seem up to a tenth slower.
TOLERANCE = {"fp32_lanes": 1.2, "fp16x2_lanes": 1.2, "l1_bytes_clk": 1.15}   # the first two: as many instructions as the schedulers can issue


def expected(spec):
    """Values of the device file; those it leaves out are what the model assumes and are not compared."""
    name = spec.split(":", 1)[1]
    path = pathlib.Path(name) if "/" in name or "." in name else here.parent.parent / "share/hone/devices" / f"{name}.gpu"
    pairs = (re.match(r"(\w+)\s+([\d.]+)", line) for line in path.read_text().splitlines())
    return {m[1]: float(m[2]) for m in pairs if m}


def check(values, conflicts, spec):
    known, bad = expected(spec), 0
    for key, (value, _) in values.items():
        if key not in known:
            continue
        allowed = TOLERANCE.get(key, 1.12)
        ratio = value / known[key]
        wrong = not 1 / allowed <= ratio <= allowed
        bad += wrong
        print(f"{'FAIL' if wrong else 'ok':5}{key:26} file {known[key]:10.4g}  recovered {value:10.4g}  ratio {ratio:.3f}  allowed {allowed}")
    for ways, cycles in conflicts.items():        # a register comes back in 128 bytes over the path's width, a conflict takes a cycle per way
        due = max(ways, 128 / known.get("l1_bytes_clk", 128))
        wrong = not due / 1.25 <= cycles <= due * 1.25
        bad += wrong
        print(f"{'FAIL' if wrong else 'ok':5}{ways}-way bank conflict: {cycles:.2f} cycles per access, due {due:.2f}")
    return bad


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda:0")
    p.add_argument("--out")
    p.add_argument("--libdir", default=str(here.parent.parent / "build"))
    p.add_argument("--check", action="store_true")
    o = p.parse_args()
    gpu = Gpu(o.device, o.libdir)
    m = Measure(gpu)
    m.all()
    kind = "modelled by the virtual GPU" if gpu.virtual else "measured"
    lines = [f"name {gpu.name()}", f"# {kind} on {datetime.date.today()} by bench/calibrate/run.py"]
    lines += [f"{k} {v:.6g}" .ljust(38) + " # driver" if isinstance(v, float) else f"{k} {v}".ljust(38) + " # driver" for k, v in facts(gpu).items()]
    lines += [f"{k} {v:.4g}".ljust(38) + f" # {s}" for k, (v, s) in m.values.items()]
    text = "\n".join(lines) + "\n"
    if o.out:
        pathlib.Path(o.out).write_text(text)
    else:
        print(text, end="")
    if o.check:
        bad = check(m.values, m.conflicts, o.device)
        print(f"{bad} of {len(m.values)} parameters outside their tolerance")
        sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
