// Extra abilities of hone's virtual GPU (libhonegpu.so), beside the CUDA driver API that it implements. All of them are
// optional entry points, looked up by name (dlsym); a program that does not know them sees an ordinary driver.
// Functions return CUresult values (0 = success). threads: as the driver API.
#ifndef HONE_VGPU_H
#define HONE_VGPU_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

// Environment: HONE_VGPU_DEVICE=h200|h100|a100|l4|l40s|rtx4090|b200|a6000 or a path to a device file; HONE_VGPU_THREADS=n.

enum {
    HONE_VGPU_CHECK = 1,   // bounds, misalignment, uninitialised global reads, use after free, barrier errors → findings
    HONE_VGPU_RACE = 2,    // races on shared memory within a block; asynchronous copies read before their wait (slower)
    HONE_VGPU_COUNT = 4,   // counters, cache simulation and modelled time
    HONE_VGPU_SAMPLE = 8,  // execute only a sample of the blocks and extrapolate the counters; results are not meaningful
    HONE_VGPU_SERIAL = 16, // one host thread, deterministic order; implied by COUNT, SAMPLE, SHADOW and RACE_GLOBAL
    HONE_VGPU_SHADOW = 32, // carry a binary64 value beside every float: the run's own rounding error (honeVgpuShadowRead); several times slower
    HONE_VGPU_RACE_GLOBAL = 64,   // races on global memory, within and between blocks (slower)
    HONE_VGPU_INIT = 128,  // uninitialised local memory and registers
    HONE_VGPU_CLOCKS = 256 // reads of clocks and timers: results that depend on them depend on being measured
};
typedef struct honeVgpuOptions {
    uint32_t size;                // sizeof(honeVgpuOptions), for growth
    uint32_t flags;               // HONE_VGPU_*
    uint32_t threads;             // host threads; 0 = HONE_VGPU_THREADS or the number of cores
    uint32_t max_findings;        // kept per take; 0 = 64
    uint64_t schedule_seed;       // 0: natural order; else a seeded permutation of warps and blocks
    uint64_t max_warp_insts;      // per launch, 0 = none: a launch over it ends with CUDA_ERROR_LAUNCH_TIMEOUT and a finding
    uint64_t sample_warp_insts;   // with SAMPLE: about how much to execute per launch; 0 = 6 million
} honeVgpuOptions;
int honeVgpuSetOptions(const honeVgpuOptions *o);
int honeVgpuGetOptions(honeVgpuOptions *o);

typedef struct honeVgpuFinding {
    char kind[40];          // stable dotted name: "memory.out-of-bounds", "memory.uninitialized", "memory.misaligned", "barrier.divergent" …
    char kernel[96];
    char message[320];      // one sentence, complete in itself
    char file[128];         // source file as in .loc; empty when unknown
    uint32_t line;          // source line, 0 when unknown
    uint32_t ptx_line;
    uint32_t block[3], thread[3];
    uint64_t address;       // device address; 0 when it has none
    uint32_t size;          // bytes accessed
    uint32_t is_write;
    char allocation[48];    // name given by honeVgpuName, or "allocation #n"
    int64_t offset;         // of the access from the allocation's start, bytes
    uint64_t count;         // how often this (kind, kernel, instruction) occurred
    char other_access[16];  // races, asynchronous copies: the earlier access ("writes", "reads", "updates", "copies"); empty: none
    char other_file[128];
    uint32_t other_line, other_ptx_line, other_block[3], other_thread[3];
} honeVgpuFinding;
// Copies at most cap findings, oldest first, and forgets all of them; *n = how many there were.
int honeVgpuTakeFindings(honeVgpuFinding *out, uint32_t cap, uint32_t *n);

// Names an allocation (by any address in it) for findings.
int honeVgpuName(uint64_t dptr, const char *name);
// An input: writing it is a finding "memory.input-written" (the write happens). on: 0 ends that.
int honeVgpuProtect(uint64_t dptr, int on);
// Marks bytes as never written (so that reading them is a finding), without changing their contents.
int honeVgpuForget(uint64_t dptr, size_t bytes);
// How many bytes in [dptr, dptr+bytes) were never written since allocation or honeVgpuForget, and the offset of the first.
int honeVgpuUnwritten(uint64_t dptr, size_t bytes, uint64_t *count, uint64_t *first);

// How far counted launches (HONE_VGPU_COUNT) read and wrote an allocation: furthest byte offset + 1, 0 when never. Forgets it.
int honeVgpuObserved(uint64_t dptr, uint64_t *read_end, uint64_t *write_end);

// The binary64 shadow of launches with HONE_VGPU_SHADOW. Results, control flow and findings are those of a launch without it.
enum { HONE_VGPU_F32, HONE_VGPU_F16, HONE_VGPU_BF16, HONE_VGPU_F64 };   // element types
// What count elements from dptr would be had every rounding on their way been left out; the value itself where a host copy or an instruction
// that computes no floats wrote it last. A written shadow (an input that is not exactly representable) is used by later launches until
// the element changes; in = NULL forgets the shadows there.
int honeVgpuShadowRead(uint64_t dptr, size_t count, int type, double *out);
int honeVgpuShadowWrite(uint64_t dptr, size_t count, int type, const double *in);
typedef struct honeVgpuShadowStats {
    uint32_t size;                // sizeof(honeVgpuShadowStats)
    uint32_t ptx_line;            // of the first lost result; 0: none
    uint64_t results;             // floating-point results of lanes that were followed
    uint64_t lost;                // results whose shadow was given up: the operation in binary64 does not explain the value within its rounding
    uint64_t rederived;           // inexact floats whose bits integer instructions took apart: their value starts again as exact
    char kernel[96];              // of the first lost result
} honeVgpuShadowStats;
int honeVgpuTakeShadowStats(honeVgpuShadowStats *out);   // since the last call; starts again from zero

// Resources that ptxas found for a kernel (the virtual GPU estimates them from PTX otherwise): they decide occupancy.
int honeVgpuSetResources(void *cufunction, uint32_t registers, uint32_t spill_store_bytes, uint32_t spill_load_bytes);

// Counters of one launch. Extrapolated to the whole grid when sampled. Warp-level unless said otherwise.
typedef struct honeVgpuCounters {
    double warps, blocks;                       // launched
    double warp_insts, thread_insts;            // executed; thread_insts / (32*warp_insts) = active-lane fraction
    double pipe_int, pipe_fp32, pipe_fp64, pipe_fp16, pipe_sfu, pipe_lsu, pipe_tensor, pipe_control, pipe_other;
    double branches, divergent_branches;
    double barriers;                            // warp arrivals at block barriers
    double global_requests, global_sectors, global_sectors_ideal, global_lines;   // loads and stores; 32 B sectors, 128 B lines
    double global_load_bytes, global_store_bytes;                                 // as requested by active lanes
    double l1_hit_sectors, l2_hit_sectors, dram_sectors_read, dram_sectors_written;
    double local_requests, local_sectors;
    double shared_requests, shared_wavefronts, shared_wavefronts_ideal;
    double atomic_requests, atomic_lane_ops, atomic_serial_max;                   // serial_max: largest number of ops on one address
    double flops_fp32, flops_fp64, flops_fp16, flops_tensor;                      // fma = 2; tensor: of the warps' matrix products
    double compulsory_bytes;                    // distinct bytes touched in global memory
    double sampled_fraction;                    // of the blocks; 1 when all ran
    double critical_path_cycles;                // longest dependent chain of a representative warp, unloaded latencies
    double atomic_warp_serial;                  // summed over atomic requests, the most lanes on one address; / atomic_requests = contention within a warp
    double barrier_wait_insts;                  // what the busiest warp of a block executed before a barrier less its own, summed over arrivals
} honeVgpuCounters;

typedef struct honeVgpuModel {                  // how the modelled time came about
    double time_us, cycles, clock_mhz, launch_us;
    double occupancy, waves, tail_fraction;     // achieved warps / maximum; number of waves; share of time in the last partial wave
    uint32_t blocks_per_sm, registers, shared_bytes;
    char limiter[24];                           // what limits occupancy: "registers", "shared", "warps", "blocks", "grid"
    char bottleneck[24];                        // "dram", "l2", "l1", "shared", "issue", "fp32", "sfu", "latency", "atomics", "block launch", "launch" …
    double share_issue, share_pipe, share_l1, share_shared, share_l2, share_dram, share_latency, share_atomic, share_blocks;   // of cycles, each ≤ 1
    double error_band;                          // relative, e.g. 0.25
} honeVgpuModel;
typedef struct honeVgpuLaunch {
    char kernel[96];
    uint32_t grid[3], block[3], dynamic_shared;
    honeVgpuCounters counters;
    honeVgpuModel model;
} honeVgpuLaunch;
// The launches since the last call (at most the newest 64), oldest first; forgets them.
int honeVgpuTakeLaunches(honeVgpuLaunch *out, uint32_t cap, uint32_t *n);

typedef struct honeVgpuLine {                   // counters per source line of the kernel launched last
    char file[128];
    uint32_t line, ptx_line;
    double warp_insts, thread_insts, global_sectors, global_sectors_ideal, global_requests, shared_wavefronts, shared_wavefronts_ideal;
    double share;                               // of the launch's instructions
    double time_share;                          // of the launch's modelled cycles: what the resources that bound it spend on this line
    double pipe_int, pipe_fp32, pipe_fp64, pipe_fp16, pipe_sfu, pipe_lsu, pipe_tensor, pipe_control, pipe_other;   // warp instructions
    double divergent_branches;
    double barrier_wait_insts;
    double l1_hit_sectors, l2_sectors, dram_sectors;                            // l2: that L1 passed on; dram: estimate from one SM's share of L2
    double local_sectors;
    double atomic_lane_ops, atomic_warp_serial, atomic_requests;
    double flops;                               // of any type
    char bound[16];                             // the resource that most of its time goes to: names as honeVgpuModel.bottleneck; "" without time
} honeVgpuLine;
int honeVgpuTakeLines(honeVgpuLine *out, uint32_t cap, uint32_t *n);

// The modelled device as text ("key value # source" lines), and the library's version.
const char *honeVgpuDeviceText(void);
const char *honeVgpuVersion(void);
#ifdef __cplusplus
}
#endif
#endif
