#!/usr/bin/env python3
"""How many times the baseline's own rounding error do honest and cheating variants of an operation make, as `tolerance auto` measures it? For each
operation a task (the plain baseline) and candidates that differ in arithmetic alone; `hone check` judges each on the virtual GPU, and the metric that
came closest to its limit is printed: candidate's error / baseline's error, the share of the allowance, the verdict. docs/verification.md has the table.

usage: bench/precision_multiples.py [HONE] [--only OPERATION] [--jobs N]
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import tempfile

SUM = """#pragma hone size M=16 N=32 K=1024
#pragma hone check M=16 N=32 K=1024
#pragma hone in A T[M][K] ~ normal(0,1)
#pragma hone in B T[K][N] ~ normal(0,1)
#pragma hone out C T[M][N]
#pragma hone launch mm<<<dim3(cdiv(N,32),M), 32>>>(A, B, C, M, N, K)
HEAD
extern "C" __global__ void mm(const CT *A, const CT *B, CT *C, int M, int N, int K) {
    int i = blockIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= N) return;
    float acc = 0.0f;
    BODY
    C[i * N + j] = acc;
}
"""
ROW = """#pragma hone size R=32 C=256
#pragma hone check R=32 C=256
#pragma hone in x float[R][C] ~ normal(0,1)
#pragma hone out y float[R][C]
#pragma hone launch row<<<cdiv(R,32), 32>>>(x, y, R, C)
#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void row(const float *x, float *y, int R, int C) {
    int r = blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= R) return;
    x += r * C; y += r * C;
    BODY
}
"""
NBODY = """#pragma hone size n=256
#pragma hone check n=256
#pragma hone in p float[n][4] ~ normal(0,1)
#pragma hone out a float[n][4]
#pragma hone launch bodies<<<cdiv(n,64), 64>>>(p, a, n)
#include <cuda_fp16.h>
extern "C" __global__ void bodies(const float *p, float *a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; j++) {
        float dx = p[4*j] - p[4*i], dy = p[4*j+1] - p[4*i+1], dz = p[4*j+2] - p[4*i+2], d = dx*dx + dy*dy + dz*dz + 0.01f;
        float s = BODY;
        ax += dx * s; ay += dy * s; az += dz * s;
    }
    a[4*i] = ax; a[4*i+1] = ay; a[4*i+2] = az; a[4*i+3] = 0;
}
"""
STENCIL = """#pragma hone size n=64 m=64
#pragma hone check n=64 m=64
#pragma hone in u float[n][m] ~ normal(0,1)
#pragma hone out v float[n][m]
#pragma hone launch stencil<<<dim3(cdiv(m,32),n), 32>>>(u, v, n, m)
#include <cuda_fp16.h>
extern "C" __global__ void stencil(const float *u, float *v, int n, int m) {
    int i = blockIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= m) return;
    float c = u[i*m+j], l = j ? u[i*m+j-1] : c, r = j+1 < m ? u[i*m+j+1] : c, t = i ? u[(i-1)*m+j] : c, b = i+1 < n ? u[(i+1)*m+j] : c;
    v[i*m+j] = BODY;
}
"""
PLAIN = "for (int k = 0; k < K; k++) acc += F(A[i*K+k]) * F(B[k*N+j]);"
PROLOGUE = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
__device__ __forceinline__ float F(float x) { return x; }
__device__ __forceinline__ float F(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float tf(float x) { return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u); }
"""
LOOP = "for (int k = 0; k < K; k++) "
SOFTMAX = "float m = -3e38f, s = 0; for (int k = 0; k < C; k++) m = fmaxf(m, x[k]); for (int k = 0; k < C; k++) s += %s; " \
          "for (int k = 0; k < C; k++) y[k] = %s;"
NORM = "float s = 0, q = 0; for (int k = 0; k < C; k++) s += x[k]; s /= C; for (int k = 0; k < C; k++) q += (x[k]-s)*(x[k]-s); q = %s; " \
       "for (int k = 0; k < C; k++) y[k] = (x[k]-s)*q;"
GELU = "for (int k = 0; k < C; k++) { float v = x[k], z = 0.7978845608f * (v + 0.044715f*v*v*v); y[k] = %s; }"
A, B = "F(A[i*K+k])", "F(B[k*N+j])"
PRODUCT = {
    "four partial sums": "float p[4] = {0,0,0,0}; for (int k = 0; k < K; k++) p[k%%4] = fmaf(%s, %s, p[k%%4]); acc = (p[0]+p[1])+(p[2]+p[3]);" % (A, B),
    "reversed": "for (int k = K-1; k >= 0; k--) acc = fmaf(%s, %s, acc);" % (A, B),
    "Kahan": "float c = 0; " + LOOP + "{ float z = __fsub_rn(__fmul_rn(%s, %s), c), t = __fadd_rn(acc, z); "
             "c = __fsub_rn(__fsub_rn(t, acc), z); acc = t; }" % (A, B),
    "half accumulation": "__half h = __float2half(0.0f); " + LOOP + "h = __float2half(__half2float(h) + %s*%s); acc = __half2float(h);" % (A, B),
    "bfloat16 accumulation": LOOP + "acc = __bfloat162float(__float2bfloat16(acc + %s*%s));" % (A, B),
    "fp8 (e4m3) inputs": LOOP + "acc += float(__nv_fp8_e4m3(%s)) * float(__nv_fp8_e4m3(%s));" % (A, B),
    "skips 1/64 of K": LOOP + "if (k %% 64 != 63) acc += %s * %s;" % (A, B),
}
OPERATIONS = {
    "product, float": (SUM.replace("CT", "float").replace("T[", "float[").replace("HEAD", PROLOGUE), PLAIN, dict(PRODUCT, **{
        "3xTF32": LOOP + "{ float a = A[i*K+k], b = B[k*N+j], ah = tf(a), bh = tf(b), al = tf(a - ah), bl = tf(b - bh); acc += al*bh; acc += ah*bl; acc += ah*bh; }",
        "TF32 inputs": LOOP + "acc += tf(A[i*K+k]) * tf(B[k*N+j]);",
        "half inputs": LOOP + "acc += __half2float(__float2half(A[i*K+k])) * __half2float(__float2half(B[k*N+j]));",
        "bfloat16 inputs": LOOP + "acc += F(__float2bfloat16(A[i*K+k])) * F(__float2bfloat16(B[k*N+j]));"})),
    "product, bfloat16": (SUM.replace("CT", "__nv_bfloat16").replace("T[", "bfloat16[").replace("HEAD", PROLOGUE), PLAIN, PRODUCT),
    "softmax": (ROW, SOFTMAX % ("expf(x[k]-m)", "expf(x[k]-m)/s"), {
        "fast exponential": SOFTMAX % ("__expf(x[k]-m)", "__expf(x[k]-m)/s"),
        "reciprocal": SOFTMAX % ("expf(x[k]-m)", "expf(x[k]-m)*__frcp_rn(s)"),
        "half exponential": SOFTMAX % ("__half2float(hexp(__float2half(x[k]-m)))", "__half2float(hexp(__float2half(x[k]-m)))/s"),
        "sum skips 1/64": SOFTMAX % ("(k % 64 == 63 ? 0.0f : expf(x[k]-m))".replace("%", "%%") % (), "expf(x[k]-m)/s")}),
    "layer norm": (ROW, NORM % "1.0f/sqrtf(q/C + 1e-5f)", {
        "rsqrt": NORM % "rsqrtf(q/C + 1e-5f)",
        "E[x²] - E[x]²": "float s = 0, q = 0; for (int k = 0; k < C; k++) { s += x[k]; q += x[k]*x[k]; } s /= C; q = rsqrtf(q/C - s*s + 1e-5f); "
                         "for (int k = 0; k < C; k++) y[k] = (x[k]-s)*q;",
        "half deviations": (NORM % "rsqrtf(q/C + 1e-5f)").replace("(x[k]-s)*q", "__half2float(__float2half(x[k]-s))*q"),
        "no epsilon": NORM % "rsqrtf(q/C)"}),
    "gelu": (ROW, GELU % "0.5f*v*(1.0f + tanhf(z))", {
        "v/(1+e^-2z)": GELU % "v/(1.0f + expf(-2.0f*z))",
        "fast exponential": GELU % "v/(1.0f + __expf(-2.0f*z))",
        "half tanh": GELU % "0.5f*v*(1.0f + tanhf(__half2float(__float2half(z))))",
        "sigmoid(1.702 v)": GELU % "v/(1.0f + expf(-1.702f*v))"}),
    "n-body": (NBODY, "1.0f/(sqrtf(d)*d)", {
        "rsqrt": "rsqrtf(d)*rsqrtf(d)*rsqrtf(d)",
        "fast division": "__fdividef(1.0f, sqrtf(d)*d)",
        "half distances": "1.0f/(sqrtf(__half2float(__float2half(d)))*d)",
        "skips far bodies": "(d > 16.0f ? 0.0f : 1.0f/(sqrtf(d)*d))"}),
    "stencil": (STENCIL, "0.5f*c + 0.125f*(l + r + t + b)", {
        "reordered": "fmaf(0.5f, c, 0.125f*((t + l) + (b + r)))",
        "half neighbours": "0.5f*c + 0.125f*__half2float(__float2half(l + r + t + b))",
        "no corners": "(i && i+1 < n || j && j+1 < m) ? 0.5f*c + 0.125f*(l + r + t + b) : c"}),
}


def judge(hone, folder, operation, variant, task, body):
    stem = "%s-%s" % (operation, variant)
    t, c = folder / (stem.replace("/", "_") + ".task.cu"), folder / (stem.replace("/", "_") + ".cu")
    t.write_text(task.replace("BODY", OPERATIONS[operation][1]))
    c.write_text(task.replace("BODY", body))
    p = subprocess.run([hone, "check", str(t), str(c), "--json", "--device", "virtual:h200"], capture_output=True, text=True)
    try:
        a = json.loads(p.stdout)
    except ValueError:
        return operation, variant, None, (p.stderr or p.stdout).strip()[:200]
    return operation, variant, a, ""


def line(operation, variant, a, why):
    errors = list((a or {}).get("check", {}).get("errors", {}).values())
    if not errors:
        said = why or "; ".join(f["message"] for f in (a or {}).get("findings", []))[:100] or str((a or {}).get("error"))
        return "| %s | %s | – | – | – | %s |" % (operation, variant, said)
    e = errors[0]
    kinds = sorted({f["kind"] for f in a["findings"] if f.get("severity", "refuse") == "refuse"})
    verdict = "passes" if a["verdict"] == "pass" else "refused: " + ", ".join(kinds)
    multiple = "%.3g" % (e["candidate"] / e["baseline"]) if e["baseline"] else "exact there"
    return "| %s | %s | %s | %s | %.3g | %s |" % (operation, variant, e["metric"], multiple, e["candidate"] / e["allowed"] if e["allowed"] else 0, verdict)


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("hone", nargs="?", default=str(top / "build/hone"))
    a.add_argument("--only", default="")
    a.add_argument("--jobs", type=int, default=2)
    o = a.parse_args()
    work = [(n, v, t, b) for n, (t, _, variants) in OPERATIONS.items() if n.startswith(o.only) for v, b in variants.items()]
    print("| operation | variant | metric | × baseline's error | share of the allowance | verdict |\n|---|---|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as d, concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for r in pool.map(lambda w: judge(o.hone, pathlib.Path(d), *w), work):
            print(line(*r), flush=True)


if __name__ == "__main__":
    main()
