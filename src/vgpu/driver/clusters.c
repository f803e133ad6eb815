// Cluster occupancy queries: how large a cluster may be, and how many fit the modelled device. A GPC's limits are not modelled: clusters are bounded
// by the blocks that all SMs hold together.
#include "vgpu/cluster.h"
#include "vgpu/driver/front.h"

// The blocks per SM of a launch described by `k`, and its cluster's size in *cluster.
static CUresult resident(const CUlaunchConfig *k, CUfunction f, int *per_sm, uint32_t *cluster) {
    uint32_t dims[3];
    for (int i = 0; i < 3; i++)
        dims[i] = f->code->func->cluster_dim[i];
    for (unsigned i = 0; i < k->n_attributes; i++)
        if (k->attributes[i].id == CU_ATTRIBUTE_CLUSTER && !dims[0]) {
            dims[0] = k->attributes[i].value.cluster.x;
            dims[1] = k->attributes[i].value.cluster.y;
            dims[2] = k->attributes[i].value.cluster.z;
        }
    *cluster = vg_cluster_size(dims);
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(per_sm, f, (int)(k->block[0] * k->block[1] * k->block[2]), k->shared_bytes);
}

static CUresult check(const int *out, CUfunction f, const CUlaunchConfig *k) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_is_function(f))
        return CUDA_ERROR_INVALID_HANDLE;
    return out && k && (k->attributes || !k->n_attributes) && k->block[0] && k->block[1] && k->block[2] ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuOccupancyMaxPotentialClusterSize(int *size, CUfunction f, const CUlaunchConfig *k) {
    int per_sm;
    uint32_t cluster;
    CUresult r = check(size, f, k);
    if (r == CUDA_SUCCESS)
        r = resident(k, f, &per_sm, &cluster);
    if (r != CUDA_SUCCESS)
        return r;
    const bool has = vg_dev(vg_front_device(), VG_DEV_CC_MAJOR) >= 9;
    *size = per_sm <= 0 ? 0 : !has ? 1 : f->non_portable_cluster ? VG_CLUSTER_MAX : VG_CLUSTER_MAX / 2;
    return CUDA_SUCCESS;
}

VG_API CUresult cuOccupancyMaxActiveClusters(int *n, CUfunction f, const CUlaunchConfig *k) {
    int per_sm;
    uint32_t cluster;
    CUresult r = check(n, f, k);
    if (r == CUDA_SUCCESS)
        r = resident(k, f, &per_sm, &cluster);
    if (r != CUDA_SUCCESS)
        return r;
    if (cluster > (uint32_t)(f->non_portable_cluster ? VG_CLUSTER_MAX : VG_CLUSTER_MAX / 2))
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
    *n = per_sm * (int)vg_dev(vg_front_device(), VG_DEV_SMS) / (int)cluster;
    return CUDA_SUCCESS;
}
