// Addresses, initialisation, asynchronous copies, warp specialisation, clocks. Labels: see run.c.
#include <cuda_pipeline.h>
__device__ int g_table[32];
extern "C" {
// RUN guarded_tail 5 100
__global__ void guarded_tail(int *out, const int *in, int n) {
    int i = blockIdx.x * 100 + threadIdx.x;
    if (i < 450)
        out[i] = in[i];
}
// RUN past_the_end 1 128
__global__ void past_the_end(int *out, const int *in, int n) {
    out[threadIdx.x] = in[4000 + threadIdx.x]; // EXPECT memory.out-of-bounds
}
// RUN before_the_start 1 32
__global__ void before_the_start(int *out, const int *in, int n) {
    out[(int)threadIdx.x - 1] = in[threadIdx.x]; // EXPECT memory.out-of-bounds
}
// RUN shared_past_the_end 1 64
__global__ void shared_past_the_end(int *out, const int *in, int n) {
    extern __shared__ int s[];
    s[threadIdx.x] = in[threadIdx.x]; // EXPECT memory.out-of-bounds
    out[threadIdx.x] = s[threadIdx.x];
}
// RUN misaligned_vector 1 32
__global__ void misaligned_vector(int *out, const int *in, int n) {
    ((int4 *)out)[threadIdx.x] = *(const int4 *)(in + threadIdx.x * 4 + 1); // EXPECT memory.misaligned
}
// RUN aligned_vector 1 32
__global__ void aligned_vector(int *out, const int *in, int n) {
    ((int4 *)(out + 4))[threadIdx.x] = *(const int4 *)(in + threadIdx.x * 4);
}
// RUN null_pointer 1 32
__global__ void null_pointer(int *out, const int *in, int n) {
    int *p = (int *)(unsigned long long)(in[0] * 16);
    *(p + threadIdx.x) = 1; // EXPECT memory.out-of-bounds
}
// RUN global_uninitialised 1 64
__global__ void global_uninitialised(int *out, const int *in, int n) {
    out[threadIdx.x] = out[8000 + threadIdx.x]; // EXPECT memory.uninitialized
}
// RUN global_written_first 1 64
__global__ void global_written_first(int *out, const int *in, int n) {
    out[8000 + threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = out[8000 + threadIdx.x];
}
// RUN shared_uninitialised 1 64
__global__ void shared_uninitialised(int *out, const int *in, int n) {
    __shared__ int s[64];
    if (threadIdx.x < 60)
        s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = s[63 - threadIdx.x]; // EXPECT memory.uninitialized-shared
}
// RUN shared_padded 1 64
__global__ void shared_padded(int *out, const int *in, int n) {
    __shared__ int s[8][9];
    s[threadIdx.x / 8][threadIdx.x % 8] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x % 8][threadIdx.x / 8];
}
// RUN local_uninitialised 1 32
__global__ void local_uninitialised(int *out, const int *in, int n) {
    int a[16];
    for (int i = 0; i < 8; i++)
        a[(in[i] + threadIdx.x) & 7] = in[i];
    out[threadIdx.x] = a[(in[threadIdx.x] & 7) + (n >> 9)]; // EXPECT memory.uninitialized-local
}
// RUN local_array 1 32
__global__ void local_array(int *out, const int *in, int n) {
    int a[16];
    for (int i = 0; i < 16; i++)
        a[i] = in[i];
    out[threadIdx.x] = a[in[threadIdx.x] & 15];
}
// RUN local_struct_with_padding 1 32
__global__ void local_struct_with_padding(int *out, const int *in, int n) {
    struct item { char c; int v; } a[8];
    for (int i = 0; i < 8; i++) {
        a[(i + in[0]) & 7].c = (char)i;
        a[(i + in[0]) & 7].v = in[i];
    }
    struct item b = a[in[threadIdx.x] & 7];
    out[threadIdx.x] = b.c + b.v;
}
// RUN register_uninitialised 1 32
__global__ void register_uninitialised(int *out, const int *in, int n) {
    int v;
    asm volatile("{ .reg .b32 t; .reg .pred p; setp.lt.s32 p, %1, 30; @p mov.b32 t, 1; add.s32 %0, t, 1; }" : "=r"(v) : "r"(in[threadIdx.x]));
    out[threadIdx.x] = v; // EXPECT register.uninitialized
}
// RUN register_written_on_both_ways 1 32
__global__ void register_written_on_both_ways(int *out, const int *in, int n) {
    int v;
    asm volatile("{ .reg .b32 t; .reg .pred p; setp.lt.s32 p, %1, 30; @p mov.b32 t, 1; @!p mov.b32 t, 2; add.s32 %0, t, 1; }" : "=r"(v) : "r"(in[threadIdx.x]));
    out[threadIdx.x] = v;
}
// RUN writes_its_input 1 32
__global__ void writes_its_input(int *out, const int *in, int n) {
    ((int *)in)[threadIdx.x] = 3; // EXPECT memory.input-written
    out[threadIdx.x] = in[threadIdx.x];
}
// RUN updates_its_input 1 32
__global__ void updates_its_input(int *out, const int *in, int n) {
    atomicAdd((int *)in + 7, 1); // EXPECT memory.input-written
}
// RUN reads_the_clock 1 32
__global__ void reads_the_clock(int *out, const int *in, int n) {
    out[threadIdx.x] = (int)clock64(); // EXPECT control.clock
}
// RUN module_variable 1 32
__global__ void module_variable(int *out, const int *in, int n) {
    g_table[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    out[threadIdx.x] = g_table[31 - threadIdx.x];
}
// RUN async_copy 2 64
__global__ void async_copy(int *out, const int *in, int n) {
    __shared__ int s[64];
    __pipeline_memcpy_async(&s[threadIdx.x], &in[threadIdx.x], 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}
// RUN async_copy_own 2 64
__global__ void async_copy_own(int *out, const int *in, int n) {
    __shared__ __align__(16) int s[256];
    __pipeline_memcpy_async(&s[threadIdx.x * 4], &in[threadIdx.x * 4], 16);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    out[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x * 4 + 3];
}
// RUN async_copy_no_wait 2 64
__global__ void async_copy_no_wait(int *out, const int *in, int n) {
    __shared__ int s[64];
    __pipeline_memcpy_async(&s[threadIdx.x], &in[threadIdx.x], 4);
    __pipeline_commit();
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x]; // EXPECT async.unwaited
}
// RUN async_copy_no_barrier 2 64
__global__ void async_copy_no_barrier(int *out, const int *in, int n) {
    __shared__ int s[64];
    if (threadIdx.x < 64)
        __pipeline_memcpy_async(&s[threadIdx.x ^ 32], &in[threadIdx.x], 4); // EXPECT race.shared
    __pipeline_commit();
    __syncthreads();
    __pipeline_wait_prior(0);
    out[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}
// RUN async_pipeline 2 64
__global__ void async_pipeline(int *out, const int *in, int n) {
    __shared__ int s[3][64];
    int sum = 0;
    for (int k = 0; k < 2; k++) {
        __pipeline_memcpy_async(&s[k][threadIdx.x], &in[k * 64 + threadIdx.x], 4);
        __pipeline_commit();
    }
    for (int k = 0; k < 8; k++) {
        __pipeline_wait_prior(1);
        __syncthreads();
        sum += s[k % 3][63 - threadIdx.x];
        if (k + 2 < 8)
            __pipeline_memcpy_async(&s[(k + 2) % 3][threadIdx.x], &in[(k + 2) * 64 + threadIdx.x], 4);
        __pipeline_commit();
    }
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
// RUN async_pipeline_two_stages 2 64
__global__ void async_pipeline_two_stages(int *out, const int *in, int n) {
    __shared__ int s[2][64];
    int sum = 0;
    for (int k = 0; k < 2; k++) {
        __pipeline_memcpy_async(&s[k][threadIdx.x], &in[k * 64 + threadIdx.x], 4);
        __pipeline_commit();
    }
    for (int k = 0; k < 8; k++) {
        __pipeline_wait_prior(1);
        __syncthreads();
        sum += s[k % 2][63 - threadIdx.x]; // EXPECT async.unwaited
        if (k + 2 < 8)
            __pipeline_memcpy_async(&s[k % 2][threadIdx.x], &in[(k + 2) * 64 + threadIdx.x], 4); // EXPECT race.shared
        __pipeline_commit();
    }
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
// RUN async_pipeline_waits_too_little 2 64
__global__ void async_pipeline_waits_too_little(int *out, const int *in, int n) {
    __shared__ int s[3][64];
    int sum = 0;
    for (int k = 0; k < 2; k++) {
        __pipeline_memcpy_async(&s[k][threadIdx.x], &in[k * 64 + threadIdx.x], 4);
        __pipeline_commit();
    }
    for (int k = 0; k < 8; k++) {
        __pipeline_wait_prior(2);
        __syncthreads();
        sum += s[k % 3][63 - threadIdx.x]; // EXPECT async.unwaited
        __syncthreads();
        if (k + 2 < 8)
            __pipeline_memcpy_async(&s[(k + 2) % 3][threadIdx.x], &in[(k + 2) * 64 + threadIdx.x], 4);
        __pipeline_commit();
    }
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
// RUN warp_specialised 2 64
__global__ void warp_specialised(int *out, const int *in, int n) {
    __shared__ int s[2][32];
    int lane = threadIdx.x & 31, sum = 0;
    if (threadIdx.x < 32) {
        for (int k = 0; k < 8; k++) {
            if (k >= 2)
                asm volatile("bar.sync %0, 64;" :: "r"(3 + (k & 1)) : "memory");
            s[k & 1][lane] = in[k * 32 + lane];
            asm volatile("bar.arrive %0, 64;" :: "r"(1 + (k & 1)) : "memory");
        }
    } else {
        for (int k = 0; k < 8; k++) {
            asm volatile("bar.sync %0, 64;" :: "r"(1 + (k & 1)) : "memory");
            sum += s[k & 1][31 - lane];
            if (k < 6)
                asm volatile("bar.arrive %0, 64;" :: "r"(3 + (k & 1)) : "memory");
        }
        out[blockIdx.x * 32 + lane] = sum;
    }
}
// RUN mbarrier_producer 2 64
__global__ void mbarrier_producer(int *out, const int *in, int n) {
    __shared__ int s[64];
    __shared__ unsigned long long bar;
    unsigned at = (unsigned)__cvta_generic_to_shared(&bar);
    if (threadIdx.x == 0)
        asm volatile("mbarrier.init.shared.b64 [%0], 64;" :: "r"(at) : "memory");
    __syncthreads();
    s[threadIdx.x] = in[threadIdx.x];
    unsigned long long token;
    asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(token) : "r"(at) : "memory");
    int done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.test_wait.shared.b64 p, [%1], %2; selp.b32 %0, 1, 0, p; }" : "=r"(done) : "r"(at), "l"(token) : "memory");
    out[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x];
}
// RUN mbarrier_no_wait 2 64
__global__ void mbarrier_no_wait(int *out, const int *in, int n) {
    __shared__ int s[64];
    __shared__ unsigned long long bar;
    unsigned at = (unsigned)__cvta_generic_to_shared(&bar);
    if (threadIdx.x == 0)
        asm volatile("mbarrier.init.shared.b64 [%0], 64;" :: "r"(at) : "memory");
    s[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
    if (threadIdx.x == 0)
        s[threadIdx.x] += s[40] > 100; // EXPECT memory.uninitialized-shared
    __syncthreads();
    unsigned long long token;
    asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(token) : "r"(at) : "memory");
    out[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x] + (int)(token & 0);
}// RUN heap_freed_in_a_loop 1 1
__global__ void heap_freed_in_a_loop(int *out, const int *in, int n) {   // the same store meets a block that lives, then that block freed
    volatile int *p = (int *)malloc(64);
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
        p[3] = i; // EXPECT memory.use-after-free
        if (i == 0)
            free((void *)p);
    }
}
// RUN heap_reused_in_a_loop 1 1
__global__ void heap_reused_in_a_loop(int *out, const int *in, int n) {   // another block each time, of another size
#pragma unroll 1
    for (int i = 1; i < 6; i++) {
        volatile int *p = (int *)malloc(16 * i);
        for (int k = 0; k < 4 * i; k++)
            p[k] = k + i;
        out[i] = p[4 * i - 1];
        free((void *)p);
    }
}
// RUN heap_other_warps_block 1 64
__global__ void heap_other_warps_block(int *out, const int *in, int n) {   // freed by one warp, used by another behind the barrier
    __shared__ volatile int *p;
    if (threadIdx.x == 0) {
        p = (int *)malloc(256);
        p[40] = 1;
    }
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
        if (threadIdx.x == 32)
            out[i] = p[40]; // EXPECT memory.use-after-free
        __syncthreads();
        if (i == 0 && threadIdx.x == 0)
            free((void *)p);
        __syncthreads();
    }
}
}
