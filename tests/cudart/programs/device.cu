// Devices: properties agree with attributes, occupancy, limits, versions, driver entry points.
#include "check.h"
#include <cstring>

__global__ void __launch_bounds__(256) bounded(float *x) { x[threadIdx.x] *= 2; }

int main() {
    int n = 0, value, version;
    CHECK(cudaGetDeviceCount(&n));
    EXPECT(n == 1);
    cudaDeviceProp p;
    memset(&p, 0xff, sizeof p);
    CHECK(cudaGetDeviceProperties(&p, 0));
    EXPECT(strstr(p.name, "virtual") != NULL);
    EXPECT(p.warpSize == 32 && p.maxThreadsPerBlock == 1024 && p.maxThreadsDim[2] == 64 && p.totalConstMem == 65536);
    EXPECT(p.totalGlobalMem > (size_t)1 << 30 && p.unifiedAddressing == 1 && p.cooperativeLaunch == 1);
    const struct { cudaDeviceAttr attribute; long long property; } same[] = {{cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
        {cudaDevAttrComputeCapabilityMajor, p.major}, {cudaDevAttrMaxSharedMemoryPerMultiprocessor, (long long)p.sharedMemPerMultiprocessor},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, (long long)p.sharedMemPerBlockOptin}, {cudaDevAttrL2CacheSize, p.l2CacheSize},
        {cudaDevAttrMaxRegistersPerMultiprocessor, p.regsPerMultiprocessor}, {cudaDevAttrMaxBlocksPerMultiprocessor, p.maxBlocksPerMultiProcessor},
        {cudaDevAttrClusterLaunch, p.clusterLaunch}, {cudaDevAttrGlobalMemoryBusWidth, p.memoryBusWidth}};
    for (const auto &s : same) {
        CHECK(cudaDeviceGetAttribute(&value, s.attribute, 0));
        EXPECT(value == s.property);
    }
    EXPECT(cudaGetDeviceProperties(&p, 1) == cudaErrorInvalidDevice);
    cudaFuncAttributes a;
    CHECK(cudaFuncGetAttributes(&a, bounded));
    EXPECT(a.maxThreadsPerBlock == 256 && a.ptxVersion >= 80);
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&value, bounded, 256, 0));
    EXPECT(value >= 1 && value * 256 <= p.maxThreadsPerMultiProcessor);
    int grid, block;
    CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, bounded, 0, 0));
    EXPECT(block == 256 && grid % p.multiProcessorCount == 0);
    size_t stack;
    CHECK(cudaDeviceSetLimit(cudaLimitStackSize, 4096));
    CHECK(cudaDeviceGetLimit(&stack, cudaLimitStackSize));
    EXPECT(stack == 4096);
    CHECK(cudaRuntimeGetVersion(&version));
    EXPECT(version / 1000 == CUDART_VERSION / 1000);
    CHECK(cudaDriverGetVersion(&version));
    EXPECT(version >= 12000);
    void *entry = NULL;
    cudaDriverEntryPointQueryResult found;
    CHECK(cudaGetDriverEntryPointByVersion("cuMemAlloc", &entry, 12000, cudaEnableDefault, &found));
    EXPECT(entry != NULL && found == cudaDriverEntryPointSuccess);
    char id[32];
    CHECK(cudaDeviceGetPCIBusId(id, sizeof id, 0));
    CHECK(cudaDeviceGetByPCIBusId(&value, id));
    EXPECT(value == 0);
    CHECK(cudaDeviceCanAccessPeer(&value, 0, 0));
    EXPECT(value == 0);
    cudaArray_t unsupported_or_not;
    const cudaChannelFormatDesc d = cudaCreateChannelDesc<float2>();
    EXPECT(d.x == 32 && d.y == 32 && d.z == 0 && d.f == cudaChannelFormatKindFloat);
    const cudaError_t r = cudaMallocArray(&unsupported_or_not, &d, 16);
    EXPECT(r == cudaSuccess || r == cudaErrorNotSupported);
    EXPECT(cudaIpcCloseMemHandle(NULL) == cudaErrorNotSupported);
    EXPECT(cudaGetLastError() == cudaErrorNotSupported);
    puts("the device is right");
}
