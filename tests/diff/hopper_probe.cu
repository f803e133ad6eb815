// Kernels of the kinds that compute capability 9.0 brought, as people write them: a warp-specialised matrix product with tensor maps, multicast,
// mbarriers and wgmma in a cluster of two; cuda::barrier with bulk copies; distributed shared memory and grid barriers through cooperative groups.
// Compiled by nvcc when the test runs; hopper_probe.c launches them and checks the results.
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda_bf16.h>
#include <stdint.h>
namespace cg = cooperative_groups;

// ---- C (M,N) f32 = A (M,K) · B (N,K)ᵀ, bf16; blocks of 64 × 128, K in steps of 64; M a multiple of 128, N of 128, K of 64
enum { STAGES = 3, BM = 64, BN = 128, BK = 64, A_BYTES = BM * BK * 2, B_BYTES = BN * BK * 2 };
struct alignas(64) TensorMap { char opaque[128]; };

__device__ static uint32_t smem(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }
__device__ static void wait(uint32_t bar, uint32_t parity) {
    asm volatile("{\n.reg .pred p;\nW: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], %1;\n@!p bra W;\n}" :: "r"(bar), "r"(parity) : "memory");
}
__device__ static void arrive_at(uint32_t bar, uint32_t rank) {
    asm volatile("{\n.reg .b32 r;\nmapa.shared::cluster.u32 r, %0, %1;\nmbarrier.arrive.release.cluster.shared::cluster.b64 _, [r];\n}" :: "r"(bar), "r"(rank) : "memory");
}
__device__ static uint64_t descriptor(uint32_t at) {   // K-major, 128-byte swizzle
    return (uint64_t)((at & 0x3ffff) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}
__device__ static void multiply(float (&d)[64], uint64_t a, uint64_t b, int scale) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"
        " %64, %65, p, 1, 1, 0, 0;\n}"
#define D8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
        : D8(0), D8(8), D8(16), D8(24), D8(32), D8(40), D8(48), D8(56) : "l"(a), "l"(b), "r"(scale));
}

extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(256)
matmul(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, float *c, int n, int k) {
    extern __shared__ __align__(1024) uint8_t buffer[];
    __shared__ __align__(8) uint64_t full[STAGES], empty[STAGES];
    const uint32_t rank = cg::this_cluster().block_rank();
    const int row = blockIdx.x * BM, col = blockIdx.y * BN;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(smem(&full[s])));
            asm volatile("mbarrier.init.shared::cta.b64 [%0], 2;" :: "r"(smem(&empty[s])));
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
    if (threadIdx.x >= 128) {   // the producers' warpgroup
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (threadIdx.x == 128)
            for (int t = 0; t < k / BK; t++) {
                const int s = t % STAGES;
                const uint32_t at = smem(buffer) + s * (A_BYTES + B_BYTES), bar = smem(&full[s]);
                wait(smem(&empty[s]), (t / STAGES & 1) ^ 1);
                asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" :: "r"(bar), "r"(A_BYTES + B_BYTES) : "memory");
                asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                             :: "r"(at), "l"(&map_a), "r"(t * BK), "r"(row), "r"(bar) : "memory");
                asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;"
                             :: "r"(at + A_BYTES + rank * (B_BYTES / 2)), "l"(&map_b), "r"(t * BK), "r"(col + (int)rank * BN / 2), "r"(bar), "h"((uint16_t)3) : "memory");
            }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        float d[64];
        for (int t = 0; t < k / BK; t++) {
            const int s = t % STAGES;
            const uint32_t at = smem(buffer) + s * (A_BYTES + B_BYTES);
            wait(smem(&full[s]), t / STAGES & 1);
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
            for (int i = 0; i < BK / 16; i++)
                multiply(d, descriptor(at + 32 * i), descriptor(at + A_BYTES + 32 * i), t + i != 0);
            asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
            if (threadIdx.x < 2)
                arrive_at(smem(&empty[s]), threadIdx.x);
        }
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        for (int i = 0; i < 64; i++)
            c[(size_t)(row + 16 * warp + lane / 4 + 8 * (i / 2 % 2)) * n + col + 8 * (i / 4) + 2 * (lane % 4) + i % 2] = d[i];
    }
    asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");   // nobody's shared memory ends before the others are done with it
}

// ---- out[i] = in[i] + 1 through shared memory, 256 words a block, with cuda::barrier
extern "C" __global__ void bulk_add(const int *in, int *out) {
    using barrier = cuda::barrier<cuda::thread_scope_block>;
    __shared__ alignas(128) int s[256];
    #pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ barrier b;
    if (threadIdx.x == 0) {
        init(&b, blockDim.x);
        cuda::device::experimental::fence_proxy_async_shared_cta();
    }
    __syncthreads();
    barrier::arrival_token t;
    if (threadIdx.x == 0) {
        cuda::device::experimental::cp_async_bulk_global_to_shared(s, in + blockIdx.x * 256, sizeof s, b);
        t = cuda::device::barrier_arrive_tx(b, 1, sizeof s);
    } else {
        t = b.arrive();
    }
    b.wait(std::move(t));
    s[threadIdx.x] += 1;
    cuda::device::experimental::fence_proxy_async_shared_cta();
    __syncthreads();
    if (threadIdx.x == 0) {
        cuda::device::experimental::cp_async_bulk_shared_to_global(out + blockIdx.x * 256, s, sizeof s);
        cuda::device::experimental::cp_async_bulk_commit_group();
        cuda::device::experimental::cp_async_bulk_wait_group_read<0>();
    }
}

// ---- a histogram over the shared memory of a cluster whose size the launch decides: 64 bins a block
extern "C" __global__ void cluster_histogram(const int *in, int n, int *out) {
    __shared__ int bins[64];
    cg::cluster_group cluster = cg::this_cluster();
    bins[threadIdx.x % 64] = 0;
    cluster.sync();
    const int all = 64 * cluster.num_blocks();
    for (int i = cluster.thread_rank(); i < n; i += cluster.num_threads())
        atomicAdd(cluster.map_shared_rank(bins, in[i] % all / 64) + in[i] % 64, 1);
    cluster.sync();
    if (threadIdx.x < 64)
        atomicAdd(&out[cluster.block_rank() * 64 + threadIdx.x], bins[threadIdx.x]);
}

// ---- rounds of a grid-wide barrier: every thread takes its right neighbour's value
extern "C" __global__ void grid_rotate(int *a, int *b, int rounds) {
    cg::grid_group grid = cg::this_grid();
    const int i = (int)grid.thread_rank(), n = (int)grid.size();
    for (int r = 0; r < rounds; r++) {
        b[i] = a[(i + 1) % n];
        grid.sync();
        a[i] = b[i];
        grid.sync();
    }
}
