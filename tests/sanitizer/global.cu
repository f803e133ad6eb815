// Global memory: between threads, warps and blocks; locks, flags, last block, look-back, grid barriers, in-place work. Labels: see run.c.
__device__ int g_count, g_ticket, g_serving, g_lock, g_value;
__device__ int g_status[64], g_sum[64];
__device__ volatile int g_flag;
// A barrier of the whole grid, as cooperative groups do it.
__device__ void all_blocks() {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        int mine = atomicAdd(&g_count, 1), goal = (mine / gridDim.x + 1) * gridDim.x;
        while (*(volatile int *)&g_count < goal)
            ;
        __threadfence();
    }
    __syncthreads();
}
extern "C" {
// RUN grid_stride 4 128
__global__ void grid_stride(int *out, const int *in, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        out[i] = in[i] * 2;
}
// RUN grid_stride_overlaps 4 128
__global__ void grid_stride_overlaps(int *out, const int *in, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += 128)
        out[i] = in[i] * 2 + blockIdx.x; // EXPECT race.global
}
// RUN same_value_by_all 4 128
__global__ void same_value_by_all(int *out, const int *in, int n) {
    for (int i = threadIdx.x; i < 1024; i += 128)
        out[i] = in[i] * 2;
    if (in[threadIdx.x] > 3)
        out[2000] = 1;
}
// RUN in_place_scale 4 128
__global__ void in_place_scale(int *out, const int *in, int n) {
    int i = blockIdx.x * 128 + threadIdx.x;
    out[i] = in[i];
    out[i] *= 3;
    out[i] += out[i] >> 1;
}
// RUN in_place_reverse 4 128
__global__ void in_place_reverse(int *out, const int *in, int n) {
    int i = blockIdx.x * 128 + threadIdx.x, j = 1023 - i;
    int a = out[i], b = out[j];
    out[i] = b + in[i];
    out[j] = a + in[j];
}
// RUN in_place_shift 4 128
__global__ void in_place_shift(int *out, const int *in, int n) {
    int i = blockIdx.x * 128 + threadIdx.x;
    out[i] = out[i + 1] + in[i]; // EXPECT race.global
}
// RUN neighbours_after_barrier 4 128
__global__ void neighbours_after_barrier(int *out, const int *in, int n) {
    int *mine = out + blockIdx.x * 128;
    mine[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    int v = mine[127 - threadIdx.x];
    __syncthreads();
    mine[threadIdx.x] = v;
}
// RUN neighbours_without_barrier 4 128
__global__ void neighbours_without_barrier(int *out, const int *in, int n) {
    int *mine = out + blockIdx.x * 128;
    mine[threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
    int v = mine[127 - threadIdx.x];
    out[4096 + blockIdx.x * 128 + threadIdx.x] = v;
}
// RUN neighbours_in_warp 1 32
__global__ void neighbours_in_warp(int *out, const int *in, int n) {
    out[threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
    out[64 + threadIdx.x] = out[31 - threadIdx.x];
}
// RUN neighbours_in_warp_synced 1 32
__global__ void neighbours_in_warp_synced(int *out, const int *in, int n) {
    out[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    out[64 + threadIdx.x] = out[31 - threadIdx.x];
}
// RUN blocks_read_neighbours 4 64
__global__ void blocks_read_neighbours(int *out, const int *in, int n) {
    out[blockIdx.x * 64 + threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
    __threadfence();
    __syncthreads();
    out[4096 + blockIdx.x * 64 + threadIdx.x] = out[(blockIdx.x + 1) % 4 * 64 + threadIdx.x];
}
// RUN atomic_max 4 128
__global__ void atomic_max(int *out, const int *in, int n) {
    for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += 512)
        atomicMax(&out[in[i] & 7], in[i]);
}
// RUN atomic_and_plain 4 128
__global__ void atomic_and_plain(int *out, const int *in, int n) {
    atomicAdd(&out[0], in[threadIdx.x]); // EXPECT race.global
    if (threadIdx.x == 0)
        out[1 + blockIdx.x] = out[0];
}
// RUN histogram_plain_global 2 128
__global__ void histogram_plain_global(int *out, const int *in, int n) {
    for (int i = blockIdx.x * 128 + threadIdx.x; i < n; i += 256)
        out[in[i] & 15]++; // EXPECT race.global
}
// RUN bytes_global 4 128
__global__ void bytes_global(int *out, const int *in, int n) {
    ((unsigned char *)out)[threadIdx.x * 4 + blockIdx.x] = (unsigned char)in[threadIdx.x];
}
// RUN halves_global 2 128
__global__ void halves_global(int *out, const int *in, int n) {
    unsigned short *h = (unsigned short *)out;
    h[2 * threadIdx.x + blockIdx.x] = (unsigned short)in[threadIdx.x];
}
// RUN halves_read_as_words 2 128
__global__ void halves_read_as_words(int *out, const int *in, int n) {
    unsigned short *h = (unsigned short *)out;
    h[2 * threadIdx.x + blockIdx.x] = (unsigned short)in[threadIdx.x]; // EXPECT race.global
    out[1024 + blockIdx.x * 128 + threadIdx.x] = out[threadIdx.x];
}
// RUN transpose_out 4 256
__global__ void transpose_out(int *out, const int *in, int n) {
    int r = blockIdx.x * 8 + (threadIdx.x >> 5), c = threadIdx.x & 31;
    out[c * 32 + r] = in[r * 32 + c];
}
// RUN vector_writes 2 128
__global__ void vector_writes(int *out, const int *in, int n) {
    int i = blockIdx.x * 128 + threadIdx.x;
    ((int4 *)out)[i] = ((const int4 *)in)[i];
    int2 v = ((const int2 *)in)[i];
    ((int2 *)(out + 2048))[i] = v;
}
// RUN last_block 8 64
__global__ void last_block(int *out, const int *in, int n) {
    __shared__ int last;
    if (threadIdx.x == 0) {
        out[blockIdx.x] = in[blockIdx.x];
        __threadfence();
        last = atomicAdd(&g_count, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x < gridDim.x)
        out[100 + threadIdx.x] = out[threadIdx.x] * 2;
}
// RUN last_block_all_fence 8 64
__global__ void last_block_all_fence(int *out, const int *in, int n) {
    __shared__ int last;
    out[blockIdx.x * 64 + threadIdx.x] = in[threadIdx.x];
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicInc((unsigned *)&g_count, gridDim.x - 1) == gridDim.x - 1;
    __syncthreads();
    if (last)
        for (int b = 0; b < gridDim.x; b++)
            out[1000 + threadIdx.x] += out[b * 64 + threadIdx.x];
}
// RUN last_block_no_fence 8 64
__global__ void last_block_no_fence(int *out, const int *in, int n) {
    __shared__ int last;
    out[blockIdx.x * 64 + threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicAdd(&g_count, 1) == gridDim.x - 1;
    __syncthreads();
    if (last)
        for (int b = 0; b < gridDim.x; b++)
            out[1000 + threadIdx.x] += out[b * 64 + threadIdx.x];
}
// RUN last_block_no_barrier 8 64
__global__ void last_block_no_barrier(int *out, const int *in, int n) {
    __shared__ int last;
    out[blockIdx.x * 64 + threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(&g_count, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last)
        for (int b = 0; b < gridDim.x; b++)
            out[1000 + threadIdx.x] += out[b * 64 + threadIdx.x];
}
// RUN last_block_fence_of_block 8 64
__global__ void last_block_fence_of_block(int *out, const int *in, int n) {
    __shared__ int last;
    if (threadIdx.x == 0) {
        out[blockIdx.x] = in[blockIdx.x]; // EXPECT race.global
        __threadfence_block();
        last = atomicAdd(&g_count, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x < gridDim.x)
        out[100 + threadIdx.x] = out[threadIdx.x] * 2;
}
// RUN spin_lock 4 64
__global__ void spin_lock(int *out, const int *in, int n) {
    if (threadIdx.x == 0) {
        while (atomicCAS(&g_lock, 0, 1))
            ;
        __threadfence();
        g_value += in[blockIdx.x];
        __threadfence();
        atomicExch(&g_lock, 0);
    }
}
// RUN spin_lock_all_threads 2 64
__global__ void spin_lock_all_threads(int *out, const int *in, int n) {
    bool done = false;
    while (!done) {
        if (atomicCAS(&g_lock, 0, 1) == 0) {
            __threadfence();
            g_value += in[threadIdx.x];
            __threadfence();
            atomicExch(&g_lock, 0);
            done = true;
        }
    }
}
// RUN spin_lock_plain_release 4 64
__global__ void spin_lock_plain_release(int *out, const int *in, int n) {
    if (threadIdx.x == 0) {
        while (atomicCAS(&g_lock, 0, 1)) // EXPECT race.global
            ;
        g_value += in[blockIdx.x]; // EXPECT race.global
        *(volatile int *)&out[5] = g_value;
        g_lock = 0; // EXPECT race.global
    }
}
// RUN spin_lock_of_block_scope 4 64
__global__ void spin_lock_of_block_scope(int *out, const int *in, int n) {
    if (threadIdx.x == 0) {
        while (atomicCAS_block(&g_lock, 0, 1)) // EXPECT race.scope
            ;
        __threadfence();
        out[7] += in[blockIdx.x]; // EXPECT race.global
        __threadfence();
        atomicExch_block(&g_lock, 0); // EXPECT race.scope
    }
}
// RUN ticket_lock 4 64
__global__ void ticket_lock(int *out, const int *in, int n) {
    if (threadIdx.x == 0) {
        int mine = atomicAdd(&g_ticket, 1);
        while (*(volatile int *)&g_serving != mine)
            ;
        __threadfence();
        g_value += in[blockIdx.x];
        __threadfence();
        atomicAdd(&g_serving, 1);
    }
}
// RUN flag_between_blocks 2 64
__global__ void flag_between_blocks(int *out, const int *in, int n) {
    if (blockIdx.x == 0) {
        out[threadIdx.x] = in[threadIdx.x];
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0)
            g_flag = 1;
    } else {
        if (threadIdx.x == 0)
            while (!g_flag)
                ;
        __threadfence();
        __syncthreads();
        out[100 + threadIdx.x] = out[threadIdx.x];
    }
}
// RUN flag_without_fence 2 64
__global__ void flag_without_fence(int *out, const int *in, int n) {
    if (blockIdx.x == 0) {
        out[threadIdx.x] = in[threadIdx.x]; // EXPECT race.global
        __syncthreads();
        if (threadIdx.x == 0)
            g_flag = 1;
    } else {
        if (threadIdx.x == 0)
            while (!g_flag)
                ;
        __threadfence();
        __syncthreads();
        out[100 + threadIdx.x] = out[threadIdx.x];
    }
}
// RUN plain_flag 2 64
__global__ void plain_flag(int *out, const int *in, int n) {
    if (blockIdx.x == 0) {
        if (threadIdx.x == 0)
            out[200] = 1; // EXPECT race.global
    } else if (out[200]) {
        out[100 + threadIdx.x] = 2;
    }
}
// RUN release_acquire_asm 2 32
__global__ void release_acquire_asm(int *out, const int *in, int n) {
    if (threadIdx.x)
        return;
    if (blockIdx.x == 0) {
        out[0] = in[1];
        asm volatile("st.release.gpu.global.u32 [%0], 1;" :: "l"(out + 50) : "memory");
    } else {
        int f;
        do
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(f) : "l"(out + 50) : "memory");
        while (!f);
        out[1] = out[0];
    }
}
// RUN relaxed_asm 2 32
__global__ void relaxed_asm(int *out, const int *in, int n) {
    if (threadIdx.x)
        return;
    if (blockIdx.x == 0) {
        out[0] = in[1]; // EXPECT race.global
        asm volatile("st.relaxed.gpu.global.u32 [%0], 1;" :: "l"(out + 50) : "memory");
    } else {
        int f;
        do
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(f) : "l"(out + 50) : "memory");
        while (!f);
        out[1] = out[0];
    }
}
// RUN look_back_scan 16 64
__global__ void look_back_scan(int *out, const int *in, int n) {
    __shared__ int tile, before;
    if (threadIdx.x == 0) {
        tile = atomicAdd(&g_ticket, 1);
        before = 0;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        int sum = 0;
        for (int i = 0; i < 64; i++)
            sum += in[tile * 64 + i];
        g_sum[tile] = sum;
        __threadfence();
        atomicExch(&g_status[tile], 1);
        int all = 0;
        for (int t = tile - 1; t >= 0; t--) {
            while (atomicAdd(&g_status[t], 0) == 0)
                ;
            __threadfence();
            all += g_sum[t];
        }
        before = all;
    }
    __syncthreads();
    out[tile * 64 + threadIdx.x] = before;
}
// RUN chained_scan 16 64
__global__ void chained_scan(int *out, const int *in, int n) {
    __shared__ int tile, before;
    if (threadIdx.x == 0) {
        tile = atomicAdd(&g_ticket, 1);
        int b = 0;
        if (tile) {
            while (*(volatile int *)&g_status[tile - 1] == 0)
                ;
            __threadfence();
            b = g_sum[tile - 1] + g_sum[0];
        }
        before = b;
        g_sum[tile] = b + in[tile];
        __threadfence();
        *(volatile int *)&g_status[tile] = 1;
    }
    __syncthreads();
    out[tile * 64 + threadIdx.x] = before;
}
// RUN grid_barrier 4 64 coop
__global__ void grid_barrier(int *out, const int *in, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    out[i] = in[i];
    all_blocks();
    int v = out[255 - i];
    all_blocks();
    out[i] = v;
}
// RUN grid_barrier_missing 4 64 coop
__global__ void grid_barrier_missing(int *out, const int *in, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    out[i] = in[i];
    all_blocks();
    int v = out[255 - i]; // EXPECT race.global
    out[i] = v;
}
// RUN compare_exchange_float_add 4 64
__global__ void compare_exchange_float_add(int *out, const int *in, int n) {
    int old = atomicAdd(out, 0), seen;
    do {
        seen = old;
        old = atomicCAS(out, seen, __float_as_int(__int_as_float(seen) + 1.0f));
    } while (old != seen);
}
// RUN two_lanes_one_word 1 32
__global__ void two_lanes_one_word(int *out, const int *in, int n) {
    out[threadIdx.x >> 1] = in[threadIdx.x]; // EXPECT race.global
}
// RUN two_lanes_one_word_same_value 1 32
__global__ void two_lanes_one_word_same_value(int *out, const int *in, int n) {
    out[threadIdx.x >> 1] = in[threadIdx.x >> 1];
}
// RUN compaction 4 64
__global__ void compaction(int *out, const int *in, int n) {
    for (int i = blockIdx.x * 64 + threadIdx.x; i < 1024; i += 256)
        if (in[i] & 1)
            out[atomicAdd(&g_count, 1)] = in[i];
}
// More accesses than the detector keeps records of: it drops what no memory names any more, and still knows the rest.
// RUN found_after_many_accesses 2 64
__global__ void found_after_many_accesses(int *out, const int *in, int n) {
    for (int pass = 0; pass < (blockIdx.x ? 1 : 10000); pass++)
        for (int i = threadIdx.x; i < n; i += 64)
            out[i] = pass + blockIdx.x * 7 + i; // EXPECT race.global
}
// RUN many_accesses 2 64
__global__ void many_accesses(int *out, const int *in, int n) {
    for (int pass = 0; pass < 5000; pass++)
        for (int i = blockIdx.x * 64 + threadIdx.x; i < n; i += 128)
            out[i] += in[i] + pass;
}
// RUN broadcast_through_memory 2 256
__global__ void broadcast_through_memory(int *out, const int *in, int n) {
    for (int k = 0; k < 4; k++) {
        if (threadIdx.x == k)
            out[blockIdx.x] = in[k];
        __syncthreads();
        out[64 + blockIdx.x * 256 + threadIdx.x] += out[blockIdx.x];
        __syncthreads();
    }
}
}
