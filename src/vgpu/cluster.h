// cluster: the blocks of a cluster. They run on one host thread, in turn, and are resident together from the first instruction to the exit of the
// last of them. Every launch has clusters; without the attribute they are of one block.
//
// A shared::cluster address names the shared memory of one block: below VG_CLUSTER_STEP it is the own block's (a shared::cta address is a
// shared::cluster address, PTX ISA 5.1.6), from there on that of rank r at (r + 1) * VG_CLUSTER_STEP. Generic addresses are the same behind
// VG_SHARED_WINDOW.
#ifndef HONE_VGPU_CLUSTER_H
#define HONE_VGPU_CLUSTER_H
#include "vgpu/warp.h"

enum { VG_CLUSTER_MAX = 16 };
#define VG_CLUSTER_STEP VG_WINDOW_BYTES

typedef struct vg_cluster {
    vg_block *blocks[VG_CLUSTER_MAX];  // by rank
    uint32_t n;
    uint32_t live, arrived;            // threads that have not exited; of them, those that arrived at the barrier's current phase
    uint32_t phase;                    // cluster barriers completed
    uint32_t exited, waiting;          // ranks whose threads have all returned; whose last round could only wait for the others
} vg_cluster;

static inline uint32_t vg_cluster_size(const uint32_t dims[3]) { return (dims[0] ? dims[0] : 1) * (dims[1] ? dims[1] : 1) * (dims[2] ? dims[2] : 1); }
static inline uint32_t vg_cluster_dim(const vg_launch *l, unsigned axis) { return l->cluster[axis] ? l->cluster[axis] : 1; }
void vg_cluster_begin(vg_cluster *c, uint32_t n);
void vg_cluster_join(vg_cluster *c, vg_block *b, uint32_t rank, uint32_t threads);

// Which block an address means: *rank. The address becomes an offset in that block's shared memory. false: no such rank.
bool vg_cluster_split(const vg_block *b, uint64_t *address, uint32_t *rank);
// One lane's access of another block's shared memory (or its own, through a cluster address). As vg_lane_bytes of access.h.
uint8_t *vg_cluster_access(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind);

// barrier.cluster: PTX ISA 9.7.13.4.
void vg_cluster_arrive(vg_warp *w, const vg_inst *in, uint32_t mask);
bool vg_cluster_passed(vg_warp *w, const vg_inst *in, uint32_t mask);    // may the lanes in mask pass barrier.cluster.wait? Then they have.
void vg_cluster_lanes_exit(vg_warp *w, uint32_t mask);

// mapa, getctarank, mov of %is_explicit_cluster
bool vg_bind_cluster(vg_binder *b, const ptx_inst *in, vg_inst *out);
#endif
