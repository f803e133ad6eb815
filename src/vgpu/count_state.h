// Shared by count_access.c (per access, hot) and counters.c (per set and per launch).
#ifndef HONE_VGPU_COUNT_STATE_H
#define HONE_VGPU_COUNT_STATE_H
#include "vgpu/cachesim.h"
#include "vgpu/sample.h"

// Which 32-byte sectors were touched: a directory of chunks, each 2 MiB of device memory as 8 KiB of bits, made when first touched.
enum { FP_CHUNK_SHIFT = 21, FP_CHUNK_BYTES = 8192 };
#define FP_CHUNKS (VG_DEVICE_SPAN >> FP_CHUNK_SHIFT)
typedef struct vg_footprint {
    uint8_t **chunks;              // FP_CHUNKS pointers
    HONE_VEC(uint32_t) touched;    // chunk numbers, for clearing
} vg_footprint;

typedef struct vg_hot_address { uint64_t addr, count; } vg_hot_address;
enum { HOT_SLOTS = 4096 };

typedef struct vg_merge {          // loads of shared memory that ptxas joins into one (merge.c)
    uint32_t leader;               // the instruction that counts for all
    uint8_t n;                     // how many; 0 or 1: not joined
    uint8_t before;                // bytes of the joined load before this one's
} vg_merge;
vg_merge *vg_merge_shared_loads(const vg_code *code);

typedef struct vg_alloc_sum {      // distinct sectors of one allocation
    const vg_alloc *alloc;
    double probe, first, last, all;   // in the probe block; summed over groups after their first and last set; union of all
    double span;                        // from the first to the last sector, summed over groups
} vg_alloc_sum;
enum { MAX_SUMS = 64 };

typedef struct vg_count_state {
    const vg_device *device;
    const vg_memory *memory;
    const vg_code *code;
    uint64_t n_blocks;
    uint32_t resident, active_sms; // blocks that share an SM; SMs that get any
    size_t l1_bytes, l2_share;     // for a full SM
    vg_merge *merge;               // per instruction
    vg_cache *l2;                  // the SM's share of L2
    vg_footprint all, group;
    vg_hot_address *hot, *hot_slice;   // heavy hitters among atomics' addresses, and among their 512-byte neighbourhoods (one L2 slice)
    vg_alloc_sum sums[MAX_SUMS]; size_t n_sums;
    size_t scanned;                // of all.touched: chunks whose allocations are in sums
    uint32_t group_id, groups, sets_in_group;
    uint64_t group_blocks, first_blocks, last_blocks, blocks, sets;
    uint64_t l1_misses, dram_reads, dram_writes, stores_l2;      // sectors, in executed blocks
    uint64_t atomic_requests, atomic_ops, atomic_sectors, partial_store_lines;
    uint64_t local_requests, local_sectors;
    uint64_t load_bytes, store_bytes;
    bool failed;                   // out of memory somewhere
} vg_count_state;

void vg_footprint_mark(vg_footprint *f, uint64_t line, unsigned sectors, bool *failed);
#endif
