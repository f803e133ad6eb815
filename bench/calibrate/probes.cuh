// Probes of run.py: each kernel isolates one parameter. All take (a, b, n, r): two buffers, a size, and how much to do; times at two values of r give the
// cost of the difference, so that launch overhead and start-up cancel.
#define PROBE extern "C" __global__ void
#define AT (blockIdx.x * blockDim.x + threadIdx.x)

PROBE p_empty(float *a, float *b, int n, int r) { if (r < 0) b[0] = 1; }
// Four cycles per dependent FMA since sm_70 (Jia et al. 2018, Dissecting the Volta GPU): time per step gives the clock.
PROBE p_clock(float *a, float *b, int n, int r) {
    float x = a[threadIdx.x], c = x;
#pragma unroll 32
    for (int i = 0; i < r; i++) c = c * x + 0.5f;
    b[threadIdx.x] = c;
}
#define CHAINS(NAME, T, INIT, STEP)                              \
    PROBE NAME(float *a, float *b, int n, int r) {               \
        T x = INIT, c[8];                                        \
        for (int k = 0; k < 8; k++) c[k] = x + (T)k;             \
        _Pragma("unroll 8") for (int i = 0; i < r; i++)          \
            for (int k = 0; k < 8; k++) { STEP; }                \
        T s = 0;                                                 \
        for (int k = 0; k < 8; k++) s += c[k];                   \
        b[AT & (n - 1)] = (float)s;                              \
    }
CHAINS(p_fp32, float, a[threadIdx.x], c[k] = c[k] * x + 0.5f)
CHAINS(p_fp64, double, a[threadIdx.x], c[k] = c[k] * x + 0.5)
CHAINS(p_int, int, (int)a[threadIdx.x], c[k] = c[k] * x + 77)
CHAINS(p_sfu, float, a[threadIdx.x], asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(c[k])))
CHAINS(p_half, unsigned, (unsigned)a[threadIdx.x], asm("fma.rn.f16x2 %0, %0, %1, %1;" : "+r"(c[k]) : "r"(x)))

PROBE p_tensor(float *a, float *b, int n, int r) {
    unsigned x = (unsigned)a[threadIdx.x];
    float d[4][4] = {};
#pragma unroll 4
    for (int i = 0; i < r; i++)
        for (int k = 0; k < 4; k++)
            asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%4,%4,%4}, {%4,%4}, {%0,%1,%2,%3};"
                : "+f"(d[k][0]), "+f"(d[k][1]), "+f"(d[k][2]), "+f"(d[k][3]) : "r"(x));
    b[AT & (n - 1)] = d[0][0] + d[1][1] + d[2][2] + d[3][3];
}

// Pointer chains: p_links lays n of them `r` bytes apart, p_chase follows r links past L1, p_chase_l1 through it.
PROBE p_links(char *a, float *b, int n, int r) {
    for (int i = AT; i < n; i += gridDim.x * blockDim.x) *(char **)(a + (size_t)i * r) = a + (size_t)((i + 1) % n) * r;
}
PROBE p_chase(char **a, char **b, int n, int r) {
    char **p = a;
#pragma unroll 8
    for (int i = 0; i < r; i++) asm volatile("ld.global.cg.u64 %0, [%0];" : "+l"(p));
    *b = (char *)p;
}
PROBE p_chase_l1(char **a, char **b, int n, int r) {
    char **p = a;
#pragma unroll 8
    for (int i = 0; i < r; i++) asm volatile("ld.global.ca.u64 %0, [%0];" : "+l"(p));
    *b = (char *)p;
}
PROBE p_chase_shared(float *a, unsigned *b, int n, int r) {
    __shared__ unsigned s[32];
    s[threadIdx.x] = (unsigned)__cvta_generic_to_shared(&s[(threadIdx.x + 1) % 32]);
    __syncthreads();
    unsigned p = (unsigned)__cvta_generic_to_shared(&s[0]);
#pragma unroll 8
    for (int i = 0; i < r; i++) asm volatile("ld.shared.u32 %0, [%0];" : "+r"(p));
    b[threadIdx.x] = p;
}

// Bandwidths. n: float4 elements (a power of two).
PROBE p_l1(const float4 *a, float *b, int n, int r) {   // 16 KB per block
    const float4 *v = a + (blockIdx.x * 1024) % n;
    float s = 0;
#pragma unroll 8
    for (int i = 0; i < r; i++) { float4 x = v[(threadIdx.x + i * 32) & 1023]; s += (x.x + x.y) + (x.z + x.w); }
    b[AT & 1023] = s;
}
PROBE p_l2(const float4 *a, float *b, int n, int r) {
    float s = 0;
#pragma unroll 8
    for (int i = 0; i < r; i++) { float4 x = a[(AT + i * 40961) & (n - 1)]; s += (x.x + x.y) + (x.z + x.w); }
    b[AT & 1023] = s;
}
PROBE p_copy(const float4 *a, float4 *b, int n, int r) { if (AT < r) b[AT] = a[AT]; }
template <int WAYS> __device__ void banks(float *a, float *b, int r) {
    __shared__ float s[4096];
    for (int k = threadIdx.x; k < 4096; k += blockDim.x) s[k] = a[k];
    __syncthreads();
    unsigned at = (unsigned)__cvta_generic_to_shared(&s[threadIdx.x * WAYS & 1023]);
    float x = 0, y;
#pragma unroll 8
    for (int i = 0; i < r; i++) { asm volatile("ld.shared.f32 %0, [%1];" : "=f"(y) : "r"(at)); x += y; }
    b[AT & 1023] = x;
}
PROBE p_shared_1(float *a, float *b, int n, int r) { banks<1>(a, b, r); }
PROBE p_shared_2(float *a, float *b, int n, int r) { banks<2>(a, b, r); }
PROBE p_shared_8(float *a, float *b, int n, int r) { banks<8>(a, b, r); }
PROBE p_shared_32(float *a, float *b, int n, int r) { banks<32>(a, b, r); }

// Atomics, r rounds per thread: one address; addresses of one 512-byte neighbourhood; sectors all over n 32-byte ones.
PROBE p_atomic_same(int *a, float *b, int n, int r) { for (int i = 0; i < r; i++) atomicAdd(a, 1); }
PROBE p_atomic_slice(int *a, float *b, int n, int r) { for (int i = 0; i < r; i++) atomicAdd(a + ((threadIdx.x + i) & 127), 1); }
PROBE p_atomic_random(int *a, float *b, int n, int r) {
    unsigned h = AT * 2654435761u;
    for (int i = 0; i < r; i++) { h = h * 1664525u + 1013904223u; atomicAdd(a + ((h >> 8) & (n - 1)) * 8, 1); }
}
// Blocks that do nothing but one store each, r of them; stores of single words, one per 128-byte line.
PROBE p_blocks(float *a, float *b, int n, int r) { if (threadIdx.x == 0) b[blockIdx.x & (n - 1)] = 1; }
PROBE p_partial(float *a, float *b, int n, int r) { for (int i = 0; i < r; i++) b[((AT + i * 40961) & (n - 1)) * 32] = 1; }
