// Several copies, prefetches and discards in one call, and memory pools by location: the entry points of CUDA 12.8 and 13.
#include "check.h"
#include <cstring>
#include <vector>
#if CUDART_VERSION < 13000
int main() {
    printf("batches: needs CUDA 13\n");
    return 77;
}
#else
static cudaMemcpyAttributes in_order() {
    cudaMemcpyAttributes a = {};
    a.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    return a;
}

static void copies(cudaStream_t stream) {
    int *a, *b, host[64], back[64];
    CHECK(cudaMalloc(&a, sizeof host));
    CHECK(cudaMalloc(&b, sizeof host));
    for (int i = 0; i < 64; i++)
        host[i] = i * 3;
    const void *to[] = {a, b, back}, *from[] = {host, a, b};   // each needs the one before: a batch may run in any order, so in three
    const size_t bytes[] = {sizeof host, sizeof host, sizeof host};
    size_t first = 0;
    cudaMemcpyAttributes how = in_order();
    for (int i = 0; i < 3; i++)
        CHECK(cudaMemcpyBatchAsync(&to[i], &from[i], &bytes[i], 1, &how, &first, 1, stream));
    CHECK(cudaStreamSynchronize(stream));
    EXPECT(!memcmp(host, back, sizeof host));
    const void *parts_to[] = {back + 32, back}, *parts_from[] = {a, a + 32};
    const size_t halves[] = {128, 128};
    CHECK(cudaMemcpyBatchAsync(parts_to, parts_from, halves, 2, &how, &first, 1, stream));
    CHECK(cudaStreamSynchronize(stream));
    for (int i = 0; i < 64; i++)
        EXPECT(back[i] == host[(i + 32) % 64]);
    EXPECT(cudaMemcpyBatchAsync(parts_to, parts_from, halves, 2, &how, &first, 1, nullptr) == cudaErrorInvalidValue);   // the legacy stream takes none
    EXPECT(cudaMemcpyBatchAsync(parts_to, parts_from, halves, 0, &how, &first, 1, stream) == cudaErrorInvalidValue);
    first = 1;
    EXPECT(cudaMemcpyBatchAsync(parts_to, parts_from, halves, 2, &how, &first, 1, stream) == cudaErrorInvalidValue);    // attributes must begin with copy 0
    CHECK(cudaFree(a));
    CHECK(cudaFree(b));
}

static void managed(cudaStream_t stream) {
    int *p[2];
    size_t bytes[2] = {4096, 8192}, first = 0;
    cudaMemLocation device = {cudaMemLocationTypeDevice, 0}, wrong = {cudaMemLocationTypeDevice, 7};
    for (int i = 0; i < 2; i++)
        CHECK(cudaMallocManaged(&p[i], bytes[i]));
    p[0][5] = 55;
    CHECK(cudaMemPrefetchBatchAsync((void **)p, bytes, 2, &device, &first, 1, 0, stream));
    CHECK(cudaStreamSynchronize(stream));
    EXPECT(p[0][5] == 55);
    int last, mostly, by[3];
    CHECK(cudaMemRangeGetAttribute(&last, sizeof last, cudaMemRangeAttributeLastPrefetchLocation, p[1], bytes[1]));
    EXPECT(last == 0);
    CHECK(cudaMemAdvise(p[1], bytes[1], cudaMemAdviseSetReadMostly, device));
    CHECK(cudaMemAdvise(p[1], bytes[1], cudaMemAdviseSetAccessedBy, device));
    void *out[] = {&mostly, by};
    size_t sizes[] = {sizeof mostly, sizeof by};
    cudaMemRangeAttribute asked[] = {cudaMemRangeAttributeReadMostly, cudaMemRangeAttributeAccessedBy};
    CHECK(cudaMemRangeGetAttributes(out, sizes, asked, 2, p[1], bytes[1]));
    EXPECT(mostly == 1 && by[0] == 0 && by[1] == cudaInvalidDeviceId && by[2] == cudaInvalidDeviceId);
    CHECK(cudaMemRangeGetAttribute(&last, sizeof last, cudaMemRangeAttributePreferredLocation, p[1], bytes[1]));
    EXPECT(last == cudaInvalidDeviceId);
    EXPECT(cudaMemPrefetchBatchAsync((void **)p, bytes, 2, &wrong, &first, 1, 0, stream) != cudaSuccess);
    CHECK(cudaMemDiscardBatchAsync((void **)p, bytes, 2, 0, stream));
    CHECK(cudaMemDiscardAndPrefetchBatchAsync((void **)p, bytes, 2, &device, &first, 1, 0, stream));
    CHECK(cudaStreamSynchronize(stream));
    bytes[1] = 9000;   // more than there is
    EXPECT(cudaMemPrefetchBatchAsync((void **)p, bytes, 2, &device, &first, 1, 0, stream) == cudaErrorInvalidValue);
    for (int *x : p)
        CHECK(cudaFree(x));
}

static void pools(cudaStream_t stream) {
    cudaMemLocation device = {cudaMemLocationTypeDevice, 0};
    cudaMemPool_t by_location, by_device, now;
    CHECK(cudaMemGetDefaultMemPool(&by_location, &device, cudaMemAllocationTypePinned));
    CHECK(cudaDeviceGetDefaultMemPool(&by_device, 0));
    EXPECT(by_location == by_device);
    CHECK(cudaMemSetMemPool(&device, cudaMemAllocationTypePinned, by_location));
    CHECK(cudaMemGetMemPool(&now, &device, cudaMemAllocationTypePinned));
    EXPECT(now == by_location);
    void *p;
    CHECK(cudaMallocFromPoolAsync(&p, 1000, now, stream));
    CHECK(cudaFreeAsync(p, stream));
    device.id = 3;
    EXPECT(cudaMemGetMemPool(&now, &device, cudaMemAllocationTypePinned) == cudaErrorInvalidDevice);
}

int main() {
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    copies(stream);
    managed(stream);
    pools(stream);
    CHECK(cudaStreamDestroy(stream));
    printf("batches are right\n");
}
#endif
