// Shared memory: block barriers, reuse, reductions, scans, sorting, bytes of words, named barriers. Labels: see run.c.
extern "C" {
// RUN tile_loop 4 128
__global__ void tile_loop(int *out, const int *in, int n) {
    __shared__ int tile[128];
    int sum = 0;
    for (int k = 0; k < 4; k++) {
        tile[threadIdx.x] = in[k * 128 + threadIdx.x];
        __syncthreads();
        sum += tile[127 - threadIdx.x];
        __syncthreads();
    }
    out[blockIdx.x * 128 + threadIdx.x] = sum;
}
// RUN tile_loop_no_second_barrier 2 128
__global__ void tile_loop_no_second_barrier(int *out, const int *in, int n) {
    __shared__ int tile[128];
    int sum = 0;
    for (int k = 0; k < 4; k++) {
        tile[threadIdx.x] = in[k * 128 + threadIdx.x]; // EXPECT race.shared
        __syncthreads();
        sum += tile[127 - threadIdx.x];
    }
    out[blockIdx.x * 128 + threadIdx.x] = sum;
}
// RUN tile_no_barrier 2 128
__global__ void tile_no_barrier(int *out, const int *in, int n) {
    __shared__ int tile[128];
    tile[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
    if (threadIdx.x >= 128)
        __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = tile[127 - threadIdx.x]; // EXPECT memory.uninitialized-shared
}
// RUN double_buffer 2 128
__global__ void double_buffer(int *out, const int *in, int n) {
    __shared__ int tile[2][128];
    int sum = 0, at = 0;
    tile[0][threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int k = 1; k < 6; k++) {
        tile[at ^ 1][threadIdx.x] = in[k * 128 + threadIdx.x];
        sum += tile[at][127 - threadIdx.x];
        at ^= 1;
        __syncthreads();
    }
    out[blockIdx.x * 128 + threadIdx.x] = sum + tile[at][127 - threadIdx.x];
}
// RUN double_buffer_same_half 2 128
__global__ void double_buffer_same_half(int *out, const int *in, int n) {
    __shared__ int tile[2][128];
    int sum = 0, at = 0;
    tile[0][threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int k = 1; k < 6; k++) {
        tile[at][threadIdx.x] = in[k * 128 + threadIdx.x]; // EXPECT race.shared
        sum += tile[at][127 - threadIdx.x];
        at ^= 1;
        tile[at][threadIdx.x] = k;
        __syncthreads();
    }
    out[blockIdx.x * 128 + threadIdx.x] = sum;
}
// RUN reduce 4 256
__global__ void reduce(int *out, const int *in, int n) {
    __shared__ int s[256];
    s[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
    for (int d = 128; d; d >>= 1) {
        __syncthreads();
        if (threadIdx.x < d)
            s[threadIdx.x] += s[threadIdx.x + d];
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = s[0];
}
// RUN reduce_barrier_outside 4 256
__global__ void reduce_barrier_outside(int *out, const int *in, int n) {
    __shared__ int s[256];
    s[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
    __syncthreads();
    for (int d = 128; d; d >>= 1)
        if (threadIdx.x < d)
            s[threadIdx.x] += s[threadIdx.x + d]; // EXPECT race.shared
    if (threadIdx.x == 0)
        out[blockIdx.x] = s[0];
}
// RUN hillis_steele 2 256
__global__ void hillis_steele(int *out, const int *in, int n) {
    __shared__ int s[256];
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int d = 1; d < 256; d <<= 1) {
        int v = threadIdx.x >= d ? s[threadIdx.x - d] : 0;
        __syncthreads();
        s[threadIdx.x] += v;
        __syncthreads();
    }
    out[blockIdx.x * 256 + threadIdx.x] = s[threadIdx.x];
}
// RUN hillis_steele_one_barrier 2 256
__global__ void hillis_steele_one_barrier(int *out, const int *in, int n) {
    __shared__ int s[256];
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int d = 1; d < 256; d <<= 1) {
        int v = threadIdx.x >= d ? s[threadIdx.x - d] : 0;
        s[threadIdx.x] += v; // EXPECT race.shared
        __syncthreads();
    }
    out[blockIdx.x * 256 + threadIdx.x] = s[threadIdx.x];
}
// RUN bitonic 2 256
__global__ void bitonic(int *out, const int *in, int n) {
    __shared__ int s[256];
    s[threadIdx.x] = in[blockIdx.x * 256 + threadIdx.x];
    for (int k = 2; k <= 256; k <<= 1)
        for (int j = k >> 1; j; j >>= 1) {
            __syncthreads();
            int other = threadIdx.x ^ j;
            if (other > threadIdx.x) {
                int a = s[threadIdx.x], b = s[other];
                if ((a > b) == ((threadIdx.x & k) == 0)) {
                    s[threadIdx.x] = b;
                    s[other] = a;
                }
            }
        }
    __syncthreads();
    out[blockIdx.x * 256 + threadIdx.x] = s[threadIdx.x];
}
// RUN histogram_atomics 2 256
__global__ void histogram_atomics(int *out, const int *in, int n) {
    __shared__ int bins[64];
    if (threadIdx.x < 64)
        bins[threadIdx.x] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 256)
        atomicAdd(&bins[in[i] & 63], 1);
    __syncthreads();
    if (threadIdx.x < 64)
        atomicAdd(&out[threadIdx.x], bins[threadIdx.x]);
}
// RUN histogram_plain 1 256
__global__ void histogram_plain(int *out, const int *in, int n) {
    __shared__ int bins[64];
    if (threadIdx.x < 64)
        bins[threadIdx.x] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 256)
        bins[in[i] & 63]++; // EXPECT race.shared
    __syncthreads();
    if (threadIdx.x < 64)
        out[threadIdx.x] = bins[threadIdx.x];
}
// RUN histogram_not_cleared_in_time 1 256
__global__ void histogram_not_cleared_in_time(int *out, const int *in, int n) {
    __shared__ int bins[64];
    if (threadIdx.x < 64)
        bins[threadIdx.x] = 0; // EXPECT race.shared
    for (int i = threadIdx.x; i < n; i += 256)
        atomicAdd(&bins[in[i] & 63], 1); // EXPECT memory.uninitialized-shared
    __syncthreads();
    if (threadIdx.x < 64)
        out[threadIdx.x] = bins[threadIdx.x];
}
// RUN bytes_of_words 2 128
__global__ void bytes_of_words(int *out, const int *in, int n) {
    __shared__ union { unsigned char b[128]; int w[32]; } u;
    u.b[threadIdx.x] = (unsigned char)in[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32)
        out[blockIdx.x * 32 + threadIdx.x] = u.w[threadIdx.x];
}
// RUN bytes_of_words_across_warps 2 128
__global__ void bytes_of_words_across_warps(int *out, const int *in, int n) {
    __shared__ union { unsigned char b[128]; int w[32]; } u;
    u.b[(threadIdx.x & 31) * 4 + (threadIdx.x >> 5)] = (unsigned char)in[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32)
        out[blockIdx.x * 32 + threadIdx.x] = u.w[threadIdx.x];
}
// RUN bytes_read_as_words_too_early 2 128
__global__ void bytes_read_as_words_too_early(int *out, const int *in, int n) {
    __shared__ union { unsigned char b[128]; int w[32]; } u;
    u.b[(threadIdx.x & 31) * 4 + (threadIdx.x >> 5)] = (unsigned char)in[threadIdx.x]; // EXPECT race.shared
    if (threadIdx.x < 32)
        out[blockIdx.x * 32 + threadIdx.x] = u.w[threadIdx.x]; // EXPECT memory.uninitialized-shared
}
// RUN all_raise_one_flag 2 128
__global__ void all_raise_one_flag(int *out, const int *in, int n) {
    __shared__ int any;
    if (threadIdx.x == 0)
        any = 0;
    __syncthreads();
    if (in[threadIdx.x] > 50)
        any = 1;
    __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = any;
}
// RUN last_writer_wins 2 128
__global__ void last_writer_wins(int *out, const int *in, int n) {
    __shared__ int best;
    if (threadIdx.x == 0)
        best = 0;
    __syncthreads();
    if (in[threadIdx.x] > 50)
        best = in[threadIdx.x]; // EXPECT race.shared
    __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = best;
}
// RUN named_producer_consumer 2 64
__global__ void named_producer_consumer(int *out, const int *in, int n) {
    __shared__ int s[32];
    for (int k = 0; k < 4; k++) {
        if (threadIdx.x < 32) {
            asm volatile("bar.sync 2, 64;" ::: "memory");
            s[threadIdx.x] = in[k * 32 + threadIdx.x];
            asm volatile("bar.arrive 1, 64;" ::: "memory");
        } else {
            asm volatile("bar.arrive 2, 64;" ::: "memory");
            asm volatile("bar.sync 1, 64;" ::: "memory");
            out[(blockIdx.x * 4 + k) * 32 + threadIdx.x - 32] = s[63 - threadIdx.x];
        }
    }
}
// RUN named_consumer_does_not_answer 2 64
__global__ void named_consumer_does_not_answer(int *out, const int *in, int n) {
    __shared__ int s[32];
    for (int k = 0; k < 4; k++) {
        if (threadIdx.x < 32) {
            s[threadIdx.x] = in[k * 32 + threadIdx.x]; // EXPECT race.shared
            asm volatile("bar.sync 1, 64;" ::: "memory");
        } else {
            asm volatile("bar.sync 1, 64;" ::: "memory");
            out[(blockIdx.x * 4 + k) * 32 + threadIdx.x - 32] = s[63 - threadIdx.x];
        }
    }
}
// RUN named_barrier_of_two_warps 2 128
__global__ void named_barrier_of_two_warps(int *out, const int *in, int n) {
    __shared__ int s[128];
    int pair = threadIdx.x >> 6;
    s[threadIdx.x] = in[threadIdx.x];
    asm volatile("bar.sync %0, 64;" :: "r"(pair + 1) : "memory");
    out[blockIdx.x * 128 + threadIdx.x] = s[pair * 64 + (63 - (threadIdx.x & 63))];
}
// RUN named_barrier_wrong_pair 2 128
__global__ void named_barrier_wrong_pair(int *out, const int *in, int n) {
    __shared__ int s[128];
    int pair = threadIdx.x >> 6;
    s[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
    asm volatile("bar.sync %0, 64;" :: "r"(pair + 1) : "memory");
    out[blockIdx.x * 128 + threadIdx.x] = s[127 - threadIdx.x]; // EXPECT memory.uninitialized-shared
}
// RUN barrier_in_branch_of_warps 2 128
__global__ void barrier_in_branch_of_warps(int *out, const int *in, int n) {
    __shared__ int s[128];
    s[threadIdx.x] = in[threadIdx.x];
    if (n > 0)
        __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = s[127 - threadIdx.x];
}
// RUN barrier_in_divergent_branch 1 64
__global__ void barrier_in_divergent_branch(int *out, const int *in, int n) {
    __shared__ int s[64];
    s[threadIdx.x] = in[threadIdx.x];
    if (in[threadIdx.x] & 1) {
        out[threadIdx.x] = 1;
        __syncthreads(); // EXPECT barrier.divergent
    } else {
        out[threadIdx.x + 64] = s[threadIdx.x];
        __syncthreads(); // EXPECT barrier.divergent
    }
    out[threadIdx.x + 128] = s[63 - threadIdx.x];
}
// RUN early_exit 1 128
__global__ void early_exit(int *out, const int *in, int n) {
    __shared__ int s[128];
    if (threadIdx.x >= 100)
        return;
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads(); // EXPECT barrier.exited
    out[threadIdx.x] = s[99 - threadIdx.x];
}
// RUN barrier_count 1 64
__global__ void barrier_count(int *out, const int *in, int n) {
    if (threadIdx.x < 32)
        asm volatile("barrier.sync 1, 40;" ::: "memory"); // EXPECT barrier.count
    else if (threadIdx.x < 64)
        asm volatile("barrier.sync 1, 40;" ::: "memory"); // EXPECT barrier.count
    out[threadIdx.x] = in[threadIdx.x];
}
// RUN shared_reuse 2 128
__global__ void shared_reuse(int *out, const int *in, int n) {
    __shared__ union { int a[128]; float f[128]; } u;
    u.a[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    int v = u.a[127 - threadIdx.x];
    __syncthreads();
    u.f[threadIdx.x] = (float)v;
    __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = (int)u.f[threadIdx.x ^ 1];
}
// RUN shared_reuse_in_place 2 128
__global__ void shared_reuse_in_place(int *out, const int *in, int n) {
    __shared__ union { int a[128]; float f[128]; } u;
    u.a[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    int v = u.a[127 - threadIdx.x];
    u.f[threadIdx.x] = (float)v; // EXPECT race.shared
    __syncthreads();
    out[blockIdx.x * 128 + threadIdx.x] = (int)u.f[threadIdx.x ^ 1];
}
// RUN barrier_or_votes 2 128
__global__ void barrier_or_votes(int *out, const int *in, int n) {
    __shared__ int s[128];
    s[threadIdx.x] = in[threadIdx.x];
    int some = __syncthreads_or(in[threadIdx.x] > 40), many = __syncthreads_count(in[threadIdx.x] > 40);
    out[blockIdx.x * 128 + threadIdx.x] = s[127 - threadIdx.x] + some + many;
}
// RUN lock_in_shared 2 64
__global__ void lock_in_shared(int *out, const int *in, int n) {
    __shared__ int lock, sum;
    if (threadIdx.x == 0)
        lock = sum = 0;
    __syncthreads();
    if ((threadIdx.x & 31) == 0) {
        while (atomicCAS(&lock, 0, 1))
            ;
        __threadfence_block();
        sum += in[threadIdx.x];
        __threadfence_block();
        atomicExch(&lock, 0);
    }
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
// RUN lock_without_fence 2 64
__global__ void lock_without_fence(int *out, const int *in, int n) {
    __shared__ int lock, sum;
    if (threadIdx.x == 0)
        lock = sum = 0;
    __syncthreads();
    if ((threadIdx.x & 31) == 0) {
        while (atomicCAS(&lock, 0, 1))
            ;
        *(int *)&sum += in[threadIdx.x + 1]; // EXPECT race.shared
        atomicExch(&lock, 0);
    }
    __syncthreads();
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
// RUN volatile_flag_in_shared 2 64
__global__ void volatile_flag_in_shared(int *out, const int *in, int n) {
    __shared__ int s[32];
    __shared__ volatile int ready;
    if (threadIdx.x == 0)
        ready = 0;
    __syncthreads();
    if (threadIdx.x < 32) {
        s[threadIdx.x] = in[threadIdx.x];
        __syncwarp();
        if (threadIdx.x == 0) {
            __threadfence_block();
            ready = 1;
        }
    } else {
        if (threadIdx.x == 32) {
            while (!ready)
                ;
            __threadfence_block();
        }
        __syncwarp();
        out[blockIdx.x * 32 + threadIdx.x - 32] = s[63 - threadIdx.x];
    }
}
// RUN volatile_flag_without_fence 2 64
__global__ void volatile_flag_without_fence(int *out, const int *in, int n) {
    __shared__ int s[32];
    __shared__ volatile int ready;
    if (threadIdx.x == 0)
        ready = 0;
    __syncthreads();
    if (threadIdx.x < 32) {
        s[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
        __syncwarp();
        if (threadIdx.x == 0)
            ready = 1;
    } else {
        if (threadIdx.x == 32)
            while (!ready)
                ;
        __syncwarp();
        out[blockIdx.x * 32 + threadIdx.x - 32] = s[63 - threadIdx.x];
    }
}
}
