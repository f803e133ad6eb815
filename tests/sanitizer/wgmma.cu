// arch: sm_90a
// Warpgroup matrix products: what happens to their registers before wgmma.wait_group, and before wgmma.fence. Labels: see run.c. All matrices are zeros; the kernels only differ in when they
// look at what.
#include <cstdint>
__device__ inline uint64_t zeros(char *s) {   // a descriptor of zeros without swizzle: rows of 16 bytes, 8 of them side by side
    for (int i = threadIdx.x; i < 4096; i += blockDim.x)
        s[i] = 0;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    return (uint64_t)((__cvta_generic_to_shared(s) & 0x3ffff) >> 4) | (uint64_t)(128 >> 4) << 16 | (uint64_t)(256 >> 4) << 32;
}
#define BUFFER __shared__ __align__(128) char s[4096]; const uint64_t q = zeros(s)
#define FENCE() asm volatile("wgmma.fence.sync.aligned;" ::: "memory")
#define COMMIT() asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory")
#define WAIT(n) asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory")
#define KEEP(d) asm volatile("" : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])::"memory")
#define PRODUCT "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %4, 1, 1, 1, 0, 0;"
#define PRODUCT_OF_A "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, {%4, %4, %4, %4}, %5, 1, 1, 1, 0;"
#define MMA(d) asm volatile(PRODUCT : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3]) : "l"(q) : "memory")
#define MMA_A(d, a) \
    asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, {%4, %5, %6, %7}, %8, 1, 1, 1, 0;" \
                 : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3]) : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "l"(q) : "memory")
#define MMA_WIDE(d) \
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %8, 1, 1, 1, 0, 0;" \
                 : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3]), "+f"((d)[4]), "+f"((d)[5]), "+f"((d)[6]), "+f"((d)[7]) : "l"(q) : "memory")
extern "C" {
// RUN wgmma_waited 1 128
__global__ void wgmma_waited(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)(d[0] + d[1] + d[2] + d[3]);
}
// RUN wgmma_chain 1 128
__global__ void wgmma_chain(int *out, const int *in, int n) {   // accumulators go from one product to the next without a wait
    BUFFER;
    float d[4] = {};
    FENCE();
    for (int i = 0; i < in[3] % 7 + 3; i++)
        MMA(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_two_groups 1 128
__global__ void wgmma_two_groups(int *out, const int *in, int n) {   // the older group's results are used while the younger one runs
    BUFFER;
    float d[4] = {}, e[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    MMA(e);
    COMMIT();
    WAIT(1);
    KEEP(d);
    out[threadIdx.x] = (int)d[1];
    asm volatile("" ::: "memory");
    WAIT(0);
    KEEP(e);
    out[threadIdx.x] += (int)e[1];
}
// RUN wgmma_tiles 1 128
__global__ void wgmma_tiles(int *out, const int *in, int n) {   // the accumulators start at zero again for every tile
    BUFFER;
    int sum = 0;
    for (int tile = 0; tile < 4; tile++) {
        float d[4] = {};
        KEEP(d);
        FENCE();
        MMA(d);
        MMA(d);
        COMMIT();
        WAIT(0);
        KEEP(d);
        sum += (int)d[2];
    }
    out[threadIdx.x] = sum;
}
// RUN wgmma_factor_reused 1 128
__global__ void wgmma_factor_reused(int *out, const int *in, int n) {   // registers of A are written again behind the wait
    BUFFER;
    float d[4] = {};
    unsigned a[4] = {0, 0, 0, 0};
    for (int i = 0; i < 3; i++) {
        asm volatile("mov.b32 %0, %1;" : "=r"(a[0]) : "r"(in[i]));
        FENCE();
        MMA_A(d, a);
        COMMIT();
        WAIT(0);
        asm volatile("" : "+r"(a[0])::"memory");
    }
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_results_multiplied 1 128
__global__ void wgmma_results_multiplied(int *out, const int *in, int n) {   // results of one product, waited for, are the factors of the next, as in attention
    BUFFER;
    float d[4] = {}, e[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    unsigned a[4] = {__float_as_uint(d[0]), __float_as_uint(d[1]), __float_as_uint(d[2]), __float_as_uint(d[3])};
    FENCE();
    MMA_A(e, a);
    COMMIT();
    WAIT(0);
    KEEP(e);
    out[threadIdx.x] = (int)e[0];
}
// RUN wgmma_read_early 1 128
__global__ void wgmma_read_early(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    out[threadIdx.x] = (int)d[0]; // EXPECT wgmma.unwaited
    WAIT(0);
}
// RUN wgmma_wait_for_older 1 128
__global__ void wgmma_wait_for_older(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {}, e[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    MMA(e);
    COMMIT();
    WAIT(1);
    KEEP(e);
    out[threadIdx.x] = (int)e[3]; // EXPECT wgmma.unwaited
    WAIT(0);
    out[threadIdx.x] += (int)d[0];
}
// RUN wgmma_not_committed 1 128
__global__ void wgmma_not_committed(int *out, const int *in, int n) {   // a wait for groups, of which the product is none
    BUFFER;
    float d[4] = {};
    FENCE();
    MMA(d);
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0]; // EXPECT wgmma.unwaited
    COMMIT();
    WAIT(0);
}
// RUN wgmma_zeroed_early 1 128
__global__ void wgmma_zeroed_early(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    FENCE();
    asm volatile(PRODUCT " mov.f32 %0, 0f00000000;" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "l"(q) : "memory"); // EXPECT wgmma.unwaited
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_scaled_early 1 128
__global__ void wgmma_scaled_early(int *out, const int *in, int n) {   // both reads and writes an accumulator
    BUFFER;
    float d[4] = {};
    FENCE();
    asm volatile(PRODUCT " mul.f32 %0, %0, 0f40000000;" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "l"(q) : "memory"); // EXPECT wgmma.unwaited
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_factor_overwritten 1 128
__global__ void wgmma_factor_overwritten(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    unsigned a = in[0];
    FENCE();
    asm volatile(PRODUCT_OF_A " add.u32 %4, %4, 1;" : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+r"(a) : "l"(q) : "memory"); // EXPECT wgmma.unwaited
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0] + (int)a;
}
// RUN wgmma_results_multiplied_early 1 128
__global__ void wgmma_results_multiplied_early(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {}, e[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    unsigned a[4] = {__float_as_uint(d[0]), __float_as_uint(d[1]), __float_as_uint(d[2]), __float_as_uint(d[3])};
    MMA_A(e, a); // EXPECT wgmma.unwaited
    COMMIT();
    WAIT(0);
    KEEP(e);
    out[threadIdx.x] = (int)e[0];
}
// RUN wgmma_promoted 1 128
__global__ void wgmma_promoted(int *out, const int *in, int n) {   // sums kept apart, as of 8-bit floats: accumulators are read and start again behind a fence
    BUFFER;
    float d[4] = {}, sum[4] = {};
    for (int k = 0; k < in[2] % 5 + 3; k++) {
        FENCE();
        MMA(d);
        MMA(d);
        COMMIT();
        WAIT(0);
        KEEP(d);
        for (int i = 0; i < 4; i++)
            sum[i] += 0.5f * d[i];
    }
    out[threadIdx.x] = (int)(sum[0] + sum[1] + sum[2] + sum[3]);
}
// RUN wgmma_chain_over_groups 1 128
__global__ void wgmma_chain_over_groups(int *out, const int *in, int n) {   // one fence; nothing but products of one shape touches the accumulators until the last wait
    BUFFER;
    float d[4] = {}, other = (float)in[0];
    FENCE();
    for (int k = 0; k < in[1] % 4 + 2; k++) {
        MMA(d);
        COMMIT();
        other = other * 0.5f + (float)k;
        WAIT(0);
        MMA(d);
        COMMIT();
        WAIT(1);
    }
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)(d[3] + other);
}
// RUN wgmma_scaled_beside 1 128
__global__ void wgmma_scaled_beside(int *out, const int *in, int n) {   // as in attention: one accumulator is scaled while the other's product runs
    BUFFER;
    float d[4] = {}, e[4] = {};
    for (int k = 0; k < in[1] % 4 + 2; k++) {
        FENCE();
        MMA(e);
        COMMIT();
        for (int i = 0; i < 4; i++)
            d[i] *= 0.25f;
        KEEP(d);
        WAIT(0);
        KEEP(e);
        unsigned a[4] = {__float_as_uint(e[0] + 1), __float_as_uint(e[1]), __float_as_uint(e[2] * d[1]), __float_as_uint(e[3])};
        asm volatile("" : "+r"(a[0]), "+r"(a[1]), "+r"(a[2]), "+r"(a[3])::"memory");
        FENCE();
        MMA_A(d, a);
        COMMIT();
        WAIT(0);
        KEEP(d);
    }
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_factors_ahead 1 128
__global__ void wgmma_factors_ahead(int *out, const int *in, int n) {   // the next factors are made while the product of these runs
    BUFFER;
    float d[4] = {};
    unsigned a[2][4] = {{(unsigned)in[0] & 1, 0, 0, 0}, {0, 0, 0, 0}};
    for (int k = 0; k < 4; k++) {
        FENCE();
        MMA_A(d, a[k & 1]);
        COMMIT();
        if (k > 0)
            WAIT(1);
        for (int i = 0; i < 4; i++)
            a[(k + 1) & 1][i] = (unsigned)in[i] >> 30;
        asm volatile("" : "+r"(a[(k + 1) & 1][0]), "+r"(a[(k + 1) & 1][1]), "+r"(a[(k + 1) & 1][2]), "+r"(a[(k + 1) & 1][3])::"memory");
        WAIT(0);
    }
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_two_shapes 1 128
__global__ void wgmma_two_shapes(int *out, const int *in, int n) {   // the same accumulators in products of two shapes, behind a fence
    BUFFER;
    float d[8] = {};
    FENCE();
    MMA(d);
    FENCE();
    MMA_WIDE(d);
    MMA_WIDE(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)(d[0] + d[7]);
}
// RUN wgmma_without_fence 1 128
__global__ void wgmma_without_fence(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    MMA(d); // EXPECT wgmma.unfenced
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_scaled_without_fence 1 128
__global__ void wgmma_scaled_without_fence(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    for (int i = 0; i < 4; i++)
        d[i] *= 0.25f;
    KEEP(d);
    MMA(d); // EXPECT wgmma.unfenced
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_read_without_fence 1 128
__global__ void wgmma_read_without_fence(int *out, const int *in, int n) {   // only read, but no fence orders the product behind that
    BUFFER;
    float d[4] = {};
    FENCE();
    MMA(d);
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[2];
    MMA(d); // EXPECT wgmma.unfenced
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] += (int)d[0];
}
// RUN wgmma_fenced_too_early 1 128
__global__ void wgmma_fenced_too_early(int *out, const int *in, int n) {
    BUFFER;
    float d[4] = {};
    FENCE();
    d[1] = (float)in[threadIdx.x];
    KEEP(d);
    d[1] *= 2;
    KEEP(d);
    MMA(d); // EXPECT wgmma.unfenced
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_factor_without_fence 1 128
__global__ void wgmma_factor_without_fence(int *out, const int *in, int n) {   // every product but the first gets factors made since the fence
    BUFFER;
    float d[4] = {};
    unsigned a[4] = {};
    FENCE();
    for (int k = 0; k < 3; k++) {
        a[2] += (unsigned)in[k] >> 30;
        asm volatile("" : "+r"(a[2])::"memory");
        MMA_A(d, a); // EXPECT wgmma.unfenced
        COMMIT();
        WAIT(0);
    }
    KEEP(d);
    out[threadIdx.x] = (int)d[0];
}
// RUN wgmma_two_shapes_without_fence 1 128
__global__ void wgmma_two_shapes_without_fence(int *out, const int *in, int n) {
    BUFFER;
    float d[8] = {};
    FENCE();
    MMA(d);
    MMA_WIDE(d); // EXPECT wgmma.unfenced
    COMMIT();
    WAIT(0);
    KEEP(d);
    out[threadIdx.x] = (int)(d[0] + d[7]);
}
}
