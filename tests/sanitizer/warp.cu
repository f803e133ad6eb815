// Within a warp: __syncwarp, shuffles, votes, warp-synchronous code, independent thread scheduling, cooperative groups tiles. Labels: see run.c.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" {
// RUN warp_reduce_synced 2 64
__global__ void warp_reduce_synced(int *out, const int *in, int n) {
    __shared__ int s[64];
    int *mine = s + (threadIdx.x & 32), lane = threadIdx.x & 31;
    mine[lane] = in[threadIdx.x];
    for (int d = 16; d; d >>= 1) {
        __syncwarp();
        int v = lane < d ? mine[lane + d] : 0;
        __syncwarp();
        mine[lane] += v;
    }
    if (lane == 0)
        out[blockIdx.x * 2 + threadIdx.x / 32] = mine[0];
}
// RUN warp_reduce_volatile 2 64
__global__ void warp_reduce_volatile(int *out, const int *in, int n) {
    __shared__ int s[64];
    volatile int *mine = s + (threadIdx.x & 32);
    int lane = threadIdx.x & 31;
    mine[lane] = in[threadIdx.x];
    for (int d = 16; d; d >>= 1)
        if (lane < d)
            mine[lane] += mine[lane + d]; // EXPECT race.shared
    if (lane == 0)
        out[blockIdx.x * 2 + threadIdx.x / 32] = mine[0];
}
// RUN warp_reduce_one_sync 2 64
__global__ void warp_reduce_one_sync(int *out, const int *in, int n) {
    __shared__ int s[64];
    int *mine = s + (threadIdx.x & 32), lane = threadIdx.x & 31;
    mine[lane] = in[threadIdx.x];
    __syncwarp();
    int left = mine[(lane + 31) & 31];
    mine[lane] = left; // EXPECT race.shared
    __syncwarp();
    out[threadIdx.x] = mine[lane];
}
// RUN shuffle_reduce 2 256
__global__ void shuffle_reduce(int *out, const int *in, int n) {
    __shared__ int s[8];
    int v = in[blockIdx.x * 256 + threadIdx.x];
    for (int d = 16; d; d >>= 1)
        v += __shfl_down_sync(~0u, v, d);
    if ((threadIdx.x & 31) == 0)
        s[threadIdx.x >> 5] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = threadIdx.x < 8 ? s[threadIdx.x] : 0;
        for (int d = 4; d; d >>= 1)
            v += __shfl_xor_sync(~0u, v, d);
        if (threadIdx.x == 0)
            out[blockIdx.x] = v;
    }
}
// RUN shuffle_scan 2 64
__global__ void shuffle_scan(int *out, const int *in, int n) {
    int v = in[threadIdx.x], lane = threadIdx.x & 31;
    for (int d = 1; d < 32; d <<= 1) {
        int x = __shfl_up_sync(~0u, v, d);
        v += lane >= d ? x : 0;
    }
    out[blockIdx.x * 64 + threadIdx.x] = v;
}
// RUN shuffle_in_half 1 32
__global__ void shuffle_in_half(int *out, const int *in, int n) {
    int v = in[threadIdx.x];
    if (threadIdx.x < 16)
        v += __shfl_xor_sync(0xffffu, v, 1);
    else
        v -= __shfl_xor_sync(0xffff0000u, v, 1);
    out[threadIdx.x] = v;
}
// RUN shuffle_mask_too_wide 1 32
__global__ void shuffle_mask_too_wide(int *out, const int *in, int n) {
    int v = in[threadIdx.x];
    if (threadIdx.x < 16) {
        v += __shfl_xor_sync(~0u, v, 1); // EXPECT warp.sync-divergent
        out[100 + threadIdx.x] = v;
    }
    __syncthreads(); // EXPECT barrier.divergent
    out[threadIdx.x] = v;
}
// RUN shuffle_not_in_mask 1 32
__global__ void shuffle_not_in_mask(int *out, const int *in, int n) {
    int v = in[threadIdx.x];
    out[threadIdx.x] = __shfl_xor_sync(0xffu, v, 1); // EXPECT warp.not-in-mask
}
// RUN ballot_compaction 2 64
__global__ void ballot_compaction(int *out, const int *in, int n) {
    __shared__ int base[2];
    int v = in[threadIdx.x], lane = threadIdx.x & 31;
    unsigned keep = __ballot_sync(~0u, v & 1);
    if (lane == 0)
        base[threadIdx.x / 32] = __popc(keep);
    __syncthreads();
    int at = (threadIdx.x < 32 ? 0 : base[0]) + __popc(keep & ((1u << lane) - 1));
    if (v & 1)
        out[blockIdx.x * 64 + at] = v;
}
// RUN vote_orders_memory 1 32
__global__ void vote_orders_memory(int *out, const int *in, int n) {
    __shared__ int s[32];
    s[threadIdx.x] = in[threadIdx.x];
    __any_sync(~0u, 1);
    __syncwarp();
    out[threadIdx.x] = s[31 - threadIdx.x];
}
// RUN divergent_halves_of_memory 1 32
__global__ void divergent_halves_of_memory(int *out, const int *in, int n) {
    __shared__ int s[32];
    s[threadIdx.x] = in[threadIdx.x];
    if (threadIdx.x < 16) {
        __syncwarp(0xffff);
        out[threadIdx.x] = s[15 - threadIdx.x];
    } else {
        __syncwarp(0xffff0000);
        out[threadIdx.x] = s[47 - threadIdx.x];
    }
}
// RUN divergent_halves_crossing 1 32
__global__ void divergent_halves_crossing(int *out, const int *in, int n) {
    __shared__ int s[32];
    s[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
    if (threadIdx.x < 16) {
        __syncwarp(0xffff);
        out[threadIdx.x] = s[31 - threadIdx.x];
    } else {
        __syncwarp(0xffff0000);
        out[threadIdx.x] = s[31 - threadIdx.x];
    }
}
// RUN lanes_spin_on_lock 1 32
__global__ void lanes_spin_on_lock(int *out, const int *in, int n) {
    __shared__ int lock;
    if (threadIdx.x == 0)
        lock = 0;
    __syncwarp();
    for (bool done = false; !done;)
        if (atomicCAS(&lock, 0, 1) == 0) {
            __threadfence_block();
            out[0] += in[threadIdx.x];
            __threadfence_block();
            atomicExch(&lock, 0);
            done = true;
        }
}
// RUN lane_waits_for_lane 1 32
__global__ void lane_waits_for_lane(int *out, const int *in, int n) {
    __shared__ int value;
    __shared__ volatile int ready;
    if (threadIdx.x == 0)
        ready = 0;
    __syncwarp();
    if (threadIdx.x == 31) {
        value = in[5];
        __threadfence_block();
        ready = 1;
    } else {
        while (!ready)
            ;
        __threadfence_block();
        out[threadIdx.x] = value;
    }
}
// RUN lane_waits_without_fence 1 32
__global__ void lane_waits_without_fence(int *out, const int *in, int n) {
    __shared__ int value;
    __shared__ int ready;
    if (threadIdx.x == 0)
        ready = 0;
    __syncwarp();
    if (threadIdx.x == 31) {
        value = in[5]; // EXPECT race.shared
        atomicExch(&ready, 1);
    } else {
        while (!atomicAdd(&ready, 0))
            ;
        out[threadIdx.x] = value;
    }
}
// RUN leader_writes_all_read 2 64
__global__ void leader_writes_all_read(int *out, const int *in, int n) {
    __shared__ int s[2];
    int w = threadIdx.x / 32;
    if ((threadIdx.x & 31) == 0)
        s[w] = in[w];
    __syncwarp();
    out[blockIdx.x * 64 + threadIdx.x] = s[w];
}
// RUN leader_writes_no_sync 2 64
__global__ void leader_writes_no_sync(int *out, const int *in, int n) {
    __shared__ int s[2];
    int w = threadIdx.x / 32;
    if (threadIdx.x < 2)
        s[threadIdx.x] = 0;
    __syncthreads();
    if ((threadIdx.x & 31) == 0)
        s[w] = in[w]; // EXPECT race.shared
    out[blockIdx.x * 64 + threadIdx.x] = s[w];
}
// RUN tile_groups 2 64
__global__ void tile_groups(int *out, const int *in, int n) {
    __shared__ int s[64];
    auto tile = cg::tiled_partition<8>(cg::this_thread_block());
    s[threadIdx.x] = in[threadIdx.x];
    tile.sync();
    int v = s[(threadIdx.x & ~7) + 7 - tile.thread_rank()];
    for (int d = 4; d; d >>= 1)
        v += tile.shfl_down(v, d);
    tile.sync();
    if (tile.thread_rank() == 0)
        s[threadIdx.x] = v;
    cg::this_thread_block().sync();
    out[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x & ~7];
}
// RUN tile_groups_cross 2 64
__global__ void tile_groups_cross(int *out, const int *in, int n) {
    __shared__ int s[64];
    auto tile = cg::tiled_partition<8>(cg::this_thread_block());
    s[threadIdx.x] = in[threadIdx.x]; // EXPECT race.shared
    tile.sync();
    out[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x ^ 8];
}
// RUN coalesced_group 1 64
__global__ void coalesced_group(int *out, const int *in, int n) {
    if (in[threadIdx.x] & 1) {
        auto active = cg::coalesced_threads();
        int first = 0;
        if (active.thread_rank() == 0)
            first = atomicAdd(&out[0], (int)active.size());
        first = active.shfl(first, 0);
        out[100 + first + active.thread_rank()] = in[threadIdx.x];
    }
}
// RUN match_groups 1 32
__global__ void match_groups(int *out, const int *in, int n) {
    int key = in[threadIdx.x] & 3;
    unsigned same = __match_any_sync(~0u, key);
    if ((int)threadIdx.x == __ffs(same) - 1)
        out[key] += __popc(same);
}
// RUN reduce_sync_max 1 64
__global__ void reduce_sync_max(int *out, const int *in, int n) {
    out[threadIdx.x] = __reduce_max_sync(~0u, in[threadIdx.x]);
}
// RUN warp_private_queue 1 64
__global__ void warp_private_queue(int *out, const int *in, int n) {
    __shared__ int queue[2][32], size[2];
    int w = threadIdx.x / 32, lane = threadIdx.x & 31;
    if (lane == 0)
        size[w] = 0;
    __syncwarp();
    if (in[threadIdx.x] & 1)
        queue[w][atomicAdd(&size[w], 1)] = in[threadIdx.x];
    __syncwarp();
    if (lane < size[w])
        out[w * 32 + lane] = queue[w][lane];
}
}
