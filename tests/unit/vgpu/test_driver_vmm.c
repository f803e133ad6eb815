// Virtual memory management through the driver: chunks of memory behind one range of addresses, seen by copies, sets and kernels; the same memory at two places;
// what is not mapped or not opened belongs to nobody; and what misuse returns.
#include "driver_fixture.h"
#include <stdlib.h>

CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUallocProps *props, int option);
CUresult cuMemCreate(unsigned long long *handle, size_t bytes, const CUallocProps *props, unsigned long long flags);
CUresult cuMemRelease(unsigned long long handle);
CUresult cuMemAddressReserve(CUdeviceptr *out, size_t bytes, size_t align, CUdeviceptr hint, unsigned long long flags);
CUresult cuMemAddressFree(CUdeviceptr at, size_t bytes);
CUresult cuMemMap(CUdeviceptr at, size_t bytes, size_t offset, unsigned long long handle, unsigned long long flags);
CUresult cuMemUnmap(CUdeviceptr at, size_t bytes);
CUresult cuMemSetAccess(CUdeviceptr at, size_t bytes, const CUmemAccess *list, size_t n);
CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *where, CUdeviceptr at);
CUresult cuMemRetainAllocationHandle(unsigned long long *handle, void *at);
CUresult cuMemGetAllocationPropertiesFromHandle(CUallocProps *props, unsigned long long handle);
CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total);
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice d);
CUresult cuMemsetD32_v2(CUdeviceptr d, unsigned v, size_t n);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)
#define REFUSED(why, call) assert_int_equal(call, CUDA_ERROR_##why)
enum { G = 2 << 20 };
static const CUallocProps props = {.type = 1, .where = {1, 0}};
static const CUmemAccess all = {{1, 0}, 3}, none = {{1, 0}, 0};
// p[i] += 1 for n words from `at` on
static const char ptx[] = ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry inc(.param .u64 at, .param .u32 n)\n{\n.reg .pred %p;\n.reg .b32 %r<5>;\n"
                          ".reg .b64 %d<3>;\nld.param.u64 %d0, [at];\nld.param.u32 %r0, [n];\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"
                          "mad.lo.u32 %r1, %r1, %r2, %r3;\nsetp.ge.u32 %p, %r1, %r0;\n@%p ret;\nmul.wide.u32 %d1, %r1, 4;\nadd.u64 %d0, %d0, %d1;\nld.global.u32 %r4, [%d0];\n"
                          "add.u32 %r4, %r4, 1;\nst.global.u32 [%d0], %r4;\nret;\n}\n";

static CUresult inc(CUdeviceptr at, unsigned n) {
    void *params[] = {&at, &n};
    CUfunction f = load_kernel(ptx, "inc");
    CUresult r = cuLaunchKernel(f, (n + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, params, NULL);
    return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
}

static size_t free_bytes(void) {
    size_t left, total;
    OK(cuMemGetInfo_v2(&left, &total));
    return left;
}

// Two chunks behind one range, as an allocator that grows does.
static void neighbouring_chunks_are_one_range(void **state) {
    (void)state;
    CUdeviceptr at;
    unsigned long long h[2], flags = 9;
    size_t granule = 0, before = free_bytes();
    int supported = 0;
    OK(cuDeviceGetAttribute(&supported, 102, 0));
    assert_int_equal(supported, 1);
    OK(cuMemGetAllocationGranularity(&granule, &props, 0));
    assert_int_equal(granule, G);
    OK(cuMemAddressReserve(&at, 4 * (size_t)G, 0, 0, 0));
    assert_int_equal(free_bytes(), before);   // addresses cost nothing
    for (int i = 0; i < 2; i++) {
        OK(cuMemCreate(&h[i], G, &props, 0));
        OK(cuMemMap(at + (size_t)i * G, G, 0, h[i], 0));
    }
    assert_int_equal(free_bytes(), before - 2 * (size_t)G);
    REFUSED(INVALID_VALUE, cuMemsetD32_v2(at, 7, G / 4));   // not opened yet
    OK(cuMemSetAccess(at, 2 * (size_t)G, &all, 1));
    OK(cuMemsetD32_v2(at, 7, 2 * G / 4));
    uint32_t *host = calloc(2, G);
    assert_non_null(host);
    OK(inc(at + G - 1024, 512));   // across the border of the chunks
    OK(cuMemcpyDtoH_v2(host, at, 2 * (size_t)G));
    for (size_t i = 0; i < 2 * G / 4; i++)
        if (host[i] != (i >= (G - 1024) / 4 && i < (G + 1024) / 4 ? 8u : 7u))
            fail_msg("word %zu is %u", i, host[i]);
    REFUSED(INVALID_VALUE, cuMemcpyDtoH_v2(host, at + G, G + 4));   // beyond what is mapped
    OK(cuMemGetAccess(&flags, &all.where, at + G));
    assert_int_equal(flags, 3);
    REFUSED(INVALID_VALUE, cuMemGetAccess(&flags, &all.where, at + 2 * (size_t)G));
    OK(cuMemSetAccess(at + G, G, &none, 1));
    REFUSED(INVALID_VALUE, cuMemcpyDtoH_v2(host, at, 2 * (size_t)G));
    OK(cuMemcpyDtoH_v2(host, at, G));
    OK(cuMemUnmap(at, 2 * (size_t)G));
    assert_int_equal(free_bytes(), before - 2 * (size_t)G);   // the handles hold it
    OK(cuMemRelease(h[0]));
    OK(cuMemRelease(h[1]));
    assert_int_equal(free_bytes(), before);
    OK(cuMemAddressFree(at, 4 * (size_t)G));
    free(host);
}

// The same memory at two places, and again after it was mapped nowhere: its bytes stay, and count as written.
static void memory_outlives_its_places(void **state) {
    (void)state;
    CUdeviceptr at;
    unsigned long long h, again;
    uint32_t word[2] = {5, 6}, back[2] = {0};
    CUallocProps told = {0};
    size_t before = free_bytes();
    OK(cuMemAddressReserve(&at, 4 * (size_t)G, 4 * (size_t)G, 0, 0));
    assert_int_equal(at % (4 * (size_t)G), 0);
    OK(cuMemCreate(&h, 2 * (size_t)G, &props, 0));
    OK(cuMemMap(at, G, G, h, 0));                        // its second half
    OK(cuMemMap(at + 2 * (size_t)G, 2 * (size_t)G, 0, h, 0));
    OK(cuMemSetAccess(at, G, &all, 1));
    OK(cuMemSetAccess(at + 2 * (size_t)G, 2 * (size_t)G, &all, 1));
    OK(cuMemcpyHtoD_v2(at + 64, word, 8));
    OK(inc(at + 3 * (size_t)G + 64, 2));                 // through the other place
    OK(cuMemcpyDtoH_v2(back, at + 64, 8));
    assert_int_equal(back[0], 6);
    assert_int_equal(back[1], 7);
    OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(at + 8)));
    assert_true(again == h);
    OK(cuMemGetAllocationPropertiesFromHandle(&told, h));
    assert_int_equal(told.where.type, 1);
    OK(cuMemRelease(again));
    OK(cuMemUnmap(at, G));
    OK(cuMemUnmap(at + 2 * (size_t)G, 2 * (size_t)G));
    OK(cuMemMap(at, G, G, h, 0));
    OK(cuMemRelease(h));                                 // the mapping keeps it
    REFUSED(INVALID_VALUE, cuMemGetAllocationPropertiesFromHandle(&told, h));
    OK(cuMemSetAccess(at, G, &all, 1));
    OK(inc(at + 64, 2));
    OK(cuMemcpyDtoH_v2(back, at + 64, 8));
    assert_int_equal(back[0], 7);
    assert_true(free_bytes() < before);
    OK(cuMemUnmap(at, G));
    assert_int_equal(free_bytes(), before);
    OK(cuMemAddressFree(at, 4 * (size_t)G));
}

static void a_kernel_that_leaves_the_mapped_part_faults(void **state) {
    (void)state;
    CUdeviceptr at;
    unsigned long long h;
    OK(cuMemAddressReserve(&at, 2 * (size_t)G, 0, 0, 0));
    OK(cuMemCreate(&h, G, &props, 0));
    OK(cuMemMap(at, G, 0, h, 0));
    OK(cuMemSetAccess(at, G, &all, 1));
    REFUSED(ILLEGAL_ADDRESS, inc(at + G, 32));
    honeVgpuFinding f[4];
    uint32_t n;
    assert_int_equal(honeVgpuTakeFindings(f, 4, &n), 0);
    assert_true(n > 0);
    assert_string_equal(f[0].kind, "memory.out-of-bounds");   // the load, then the store
}

static void misuse_is_refused(void **state) {
    (void)state;
    CUdeviceptr at, plain;
    unsigned long long h;
    CUallocProps host = props, shared = props;
    host.where.type = 2;
    shared.handle_types = 1;
    REFUSED(NOT_SUPPORTED, cuMemCreate(&h, G, &host, 0));
    REFUSED(NOT_SUPPORTED, cuMemCreate(&h, G, &shared, 0));
    REFUSED(INVALID_VALUE, cuMemCreate(&h, G + 1, &props, 0));
    REFUSED(OUT_OF_MEMORY, cuMemCreate(&h, (size_t)1 << 40, &props, 0));
    REFUSED(INVALID_VALUE, cuMemAddressReserve(&at, 100, 0, 0, 0));
    REFUSED(INVALID_VALUE, cuMemRelease(12345));
    OK(cuMemCreate(&h, 2 * (size_t)G, &props, 0));
    OK(cuMemAlloc_v2(&plain, G));
    OK(cuMemAddressReserve(&at, 2 * (size_t)G, 0, 0, 0));
    REFUSED(INVALID_VALUE, cuMemMap(plain, G, 0, h, 0));                      // not reserved
    REFUSED(INVALID_VALUE, cuMemMap(at, G, 2 * (size_t)G, h, 0));             // beyond the memory
    REFUSED(INVALID_VALUE, cuMemMap(at + 4096, G, 0, h, 0));
    REFUSED(INVALID_VALUE, cuMemSetAccess(at, G, &all, 1));                   // nothing there
    OK(cuMemMap(at, 2 * (size_t)G, 0, h, 0));
    REFUSED(INVALID_VALUE, cuMemMap(at + G, G, 0, h, 0));                     // something there
    REFUSED(INVALID_VALUE, cuMemUnmap(at, G));                                // half of a mapping
    REFUSED(NOT_SUPPORTED, cuMemSetAccess(at, 2 * (size_t)G, &(CUmemAccess){{1, 0}, 1}, 1));
    REFUSED(INVALID_VALUE, cuMemFree_v2(at));
    REFUSED(INVALID_VALUE, cuMemAddressFree(at, 2 * (size_t)G));              // mapped
    OK(cuMemUnmap(at, 2 * (size_t)G));
    REFUSED(INVALID_VALUE, cuMemAddressFree(at, G));
    OK(cuMemAddressFree(at, 2 * (size_t)G));
    OK(cuMemRelease(h));
    REFUSED(INVALID_VALUE, cuMemRelease(h));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbouring_chunks_are_one_range, open_context, close_context),
        cmocka_unit_test_setup_teardown(memory_outlives_its_places, open_context, close_context),
        cmocka_unit_test_setup_teardown(misuse_is_refused, open_context, close_context),
        cmocka_unit_test_setup_teardown(a_kernel_that_leaves_the_mapped_part_faults, open_context, close_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
