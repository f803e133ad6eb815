// A runtime-API program as nvcc makes it, by hand: it registers a fat binary with PTX, launches from it, reads symbols and properties. Compiled without
// a toolkit; the library comes by name, so that both major versions are tried. Usage: runtime_smoke LIBCUDART MAJOR.
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dim3 { unsigned x, y, z; } dim3;
typedef struct wrapper { int magic, version; const void *data; void *units; } wrapper;

static const char ptx[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".visible .global .align 4 .u32 offset = 100;\n"
    ".visible .entry ramp(.param .u64 out)\n{\n.reg .b32 %r<4>; .reg .b64 %rd<4>;\n"
    "ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd1, %rd1; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;\n"
    "ld.global.u32 %r2, [offset]; add.u32 %r2, %r2, %r1; st.global.u32 [%rd1], %r2; ret;\n}\n";

static void *library;
static void *find(const char *name) {
    void *p = dlsym(library, name);
    if (!p) {
        printf("no %s\n", name);
        exit(1);
    }
    return p;
}
#define CALL(type, name, ...) ((type)(uintptr_t)find(name))(__VA_ARGS__)
#define EXPECT(c)                                                                 \
    do {                                                                          \
        if (!(c)) {                                                               \
            printf("%s:%d: expected %s\n", __FILE__, __LINE__, #c);               \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

// A container with one unpacked PTX entry.
static const void *fat_binary(void) {
    static uint64_t image[512];
    uint8_t *p = (uint8_t *)image;
    const uint64_t payload = (sizeof ptx + 7) / 8 * 8, all = 64 + payload, flags = 0x11;
    const uint32_t magic = 0xba55ed50, header = 64, arch = 80;
    p[4] = 1, p[6] = 16, p[16] = 1, p[18] = 1, p[19] = 1;
    memcpy(p, &magic, 4);
    memcpy(p + 8, &all, 8);
    memcpy(p + 20, &header, 4);
    memcpy(p + 24, &payload, 8);
    memcpy(p + 44, &arch, 4);
    memcpy(p + 56, &flags, 8);
    memcpy(p + 80, ptx, sizeof ptx);
    return image;
}

static char ramp_stub, offset_shadow;   // their addresses are what the program knows a kernel and a variable by

static void launch(void) {
    unsigned *d = NULL, out[32], more = 7;
    size_t bytes = 0;
    EXPECT(CALL(int (*)(void **, size_t), "cudaMalloc", (void **)&d, sizeof out) == 0);
    void *args[] = {&d};
    EXPECT(CALL(int (*)(const void *, dim3, dim3, void **, size_t, void *), "cudaLaunchKernel", &ramp_stub, ((dim3){1, 1, 1}), ((dim3){32, 1, 1}), args, 0, NULL) == 0);
    EXPECT(CALL(int (*)(void *, const void *, size_t, int), "cudaMemcpy", out, d, sizeof out, 2) == 0);
    EXPECT(out[0] == 100 && out[31] == 131);
    EXPECT(CALL(int (*)(const void *, const void *, size_t, size_t, int), "cudaMemcpyToSymbol", &offset_shadow, &more, sizeof more, 0, 1) == 0);
    EXPECT(CALL(int (*)(size_t *, const void *), "cudaGetSymbolSize", &bytes, &offset_shadow) == 0 && bytes == 4);
    EXPECT(CALL(unsigned (*)(dim3, dim3, size_t, void *), "__cudaPushCallConfiguration", ((dim3){1, 1, 1}), ((dim3){32, 1, 1}), 0, NULL) == 0);
    dim3 grid, block;
    size_t shared;
    void *stream;
    EXPECT(CALL(int (*)(dim3 *, dim3 *, size_t *, void *), "__cudaPopCallConfiguration", &grid, &block, &shared, &stream) == 0 && block.x == 32);
    EXPECT(CALL(int (*)(const void *, dim3, dim3, void **, size_t, void *), "cudaLaunchKernel", &ramp_stub, grid, block, args, shared, stream) == 0);
    EXPECT(CALL(int (*)(void *, const void *, size_t, int), "cudaMemcpy", out, d, sizeof out, 2) == 0);
    EXPECT(out[0] == 7 && out[31] == 38);
    EXPECT(CALL(int (*)(void *), "cudaFree", d) == 0);
}

// Where the headers of 12.9 and 13.0 have name and multiProcessorCount.
static void properties(int major) {
    static union { char name[256]; uint8_t bytes[2048]; } p;
    int sms = 0, count;
    EXPECT(CALL(int (*)(void *, int), major >= 13 ? "cudaGetDeviceProperties" : "cudaGetDeviceProperties_v2", &p, 0) == 0);
    EXPECT(strstr(p.name, "virtual") != NULL);
    EXPECT(CALL(int (*)(int *, int, int), "cudaDeviceGetAttribute", &sms, 16, 0) == 0 && sms > 0);
    memcpy(&count, p.bytes + (major >= 13 ? 384 : 388), sizeof count);
    EXPECT(count == sms);
    const size_t end = major >= 13 ? 1008 : 1032;
    for (size_t i = end; i < sizeof p; i++)
        EXPECT(p.bytes[i] == 0);
}

int main(int argc, char **argv) {
    const int major = argc > 2 ? atoi(argv[2]) : 13;
    static wrapper w = {.magic = 0x466243b1, .version = 1};
    int version = 0;
    library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) {
        printf("%s\n", argc > 1 ? dlerror() : "usage: runtime_smoke LIBCUDART MAJOR");
        return 1;
    }
    w.data = fat_binary();
    void **handle = CALL(void **(*)(void *), "__cudaRegisterFatBinary", &w);
    CALL(void (*)(void **, const char *, char *, const char *, int, void *, void *, void *, void *, int *), "__cudaRegisterFunction", handle, &ramp_stub, &ramp_stub,
         "ramp", -1, NULL, NULL, NULL, NULL, NULL);
    CALL(void (*)(void **, char *, char *, const char *, int, size_t, int, int), "__cudaRegisterVar", handle, &offset_shadow, &offset_shadow, "offset", 0, 4, 0, 0);
    CALL(void (*)(void **), "__cudaRegisterFatBinaryEnd", handle);
    EXPECT(CALL(int (*)(int *), "cudaRuntimeGetVersion", &version) == 0 && version / 1000 == major);
    launch();
    properties(major);
    EXPECT(CALL(int (*)(void), "cudaGetLastError") == 0);
    EXPECT(CALL(int (*)(void), "cudaDeviceReset") == 0);
    CALL(void (*)(void **), "__cudaUnregisterFatBinary", handle);
    printf("runtime %d is right\n", version);
    return 0;
}
