// The driver's entry points: bytes become a sequence of calls with valid, destroyed and foreign handles, sizes of every kind and pieces of PTX. Host memory
// that a call reads or writes is always there; everything else may be wrong. Nothing may crash, leak or hang, and a context destroyed at the end gives all back.
// The device has 8 MiB of memory, so that no input can make the host fill more.
#include "hone_vgpu.h"
#include "vgpu/device.h"
#include "vgpu/driver/work.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define F(name, ...) CUresult name(__VA_ARGS__);
F(cuInit, unsigned) F(cuCtxCreate_v2, CUcontext *, unsigned, CUdevice) F(cuCtxDestroy_v2, CUcontext) F(cuCtxSynchronize, void) F(cuCtxSetCurrent, CUcontext)
F(cuCtxPopCurrent_v2, CUcontext *) F(cuModuleLoadDataEx, CUmodule *, const void *, unsigned, int *, void **) F(cuModuleUnload, CUmodule)
F(cuModuleGetFunction, CUfunction *, CUmodule, const char *) F(cuModuleGetGlobal_v2, CUdeviceptr *, size_t *, CUmodule, const char *)
F(cuLibraryLoadData, CUlibrary *, const void *, int *, void **, unsigned, int *, void **, unsigned) F(cuLibraryUnload, CUlibrary)
F(cuLibraryGetKernel, CUkernel *, CUlibrary, const char *) F(cuKernelGetFunction, CUfunction *, CUkernel) F(cuFuncSetAttribute, CUfunction, int, int)
F(cuLinkCreate_v2, unsigned, int *, void **, CUlinkState *) F(cuLinkAddData_v2, CUlinkState, int, void *, size_t, const char *, unsigned, int *, void **)
F(cuLinkComplete, CUlinkState, void **, size_t *) F(cuLinkDestroy, CUlinkState) F(cuMemAlloc_v2, CUdeviceptr *, size_t) F(cuMemFree_v2, CUdeviceptr)
F(cuMemAllocManaged, CUdeviceptr *, size_t, unsigned) F(cuMemAllocAsync, CUdeviceptr *, size_t, CUstream) F(cuMemFreeAsync, CUdeviceptr, CUstream)
F(cuMemHostAlloc, void **, size_t, unsigned) F(cuMemFreeHost, void *) F(cuMemHostRegister_v2, void *, size_t, unsigned) F(cuMemHostUnregister, void *)
F(cuMemcpyHtoDAsync_v2, CUdeviceptr, const void *, size_t, CUstream) F(cuMemcpyDtoHAsync_v2, void *, CUdeviceptr, size_t, CUstream)
F(cuMemcpyDtoDAsync_v2, CUdeviceptr, CUdeviceptr, size_t, CUstream) F(cuMemcpy3DAsync_v2, const CUmemcpy3D *, CUstream)
F(cuMemsetD2D8Async, CUdeviceptr, size_t, unsigned char, size_t, size_t, CUstream) F(cuMemsetD32Async, CUdeviceptr, unsigned, size_t, CUstream)
F(cuPointerGetAttribute, void *, int, CUdeviceptr) F(cuArray3DCreate_v2, CUarray *, const CUarray3DDesc *) F(cuArrayDestroy, CUarray)
F(cuMipmappedArrayCreate, CUmipmappedArray *, const CUarray3DDesc *, unsigned) F(cuMipmappedArrayDestroy, CUmipmappedArray)
F(cuMipmappedArrayGetLevel, CUarray *, CUmipmappedArray, unsigned) F(cuTexObjectDestroy, CUtexObject)
F(cuTexObjectCreate, CUtexObject *, const CUresourceDesc *, const CUtextureDesc *, const CUviewDesc *) F(cuSurfObjectCreate, CUsurfObject *, const CUresourceDesc *)
F(cuStreamCreateWithPriority, CUstream *, unsigned, int) F(cuStreamDestroy_v2, CUstream) F(cuStreamSynchronize, CUstream) F(cuStreamQuery, CUstream)
F(cuStreamWaitEvent, CUstream, CUevent, unsigned) F(cuStreamWaitValue32_v2, CUstream, CUdeviceptr, uint32_t, unsigned)
F(cuStreamWriteValue32_v2, CUstream, CUdeviceptr, uint32_t, unsigned) F(cuStreamBeginCapture_v2, CUstream, int) F(cuStreamEndCapture, CUstream, CUgraph *)
F(cuLaunchHostFunc, CUstream, void (*)(void *), void *) F(cuEventCreate, CUevent *, unsigned) F(cuEventDestroy_v2, CUevent)
F(cuEventRecordWithFlags, CUevent, CUstream, unsigned) F(cuEventQuery, CUevent) F(cuEventElapsedTime, float *, CUevent, CUevent)
F(cuGraphCreate, CUgraph *, unsigned) F(cuGraphDestroy, CUgraph) F(cuGraphClone, CUgraph *, CUgraph) F(cuGraphDestroyNode, CUgraphNode)
F(cuGraphAddNode, CUgraphNode *, CUgraph, const CUgraphNode *, size_t, CUgraphNodeParams *) F(cuGraphNodeSetParams, CUgraphNode, CUgraphNodeParams *)
F(cuGraphAddDependencies, CUgraph, const CUgraphNode *, const CUgraphNode *, size_t) F(cuGraphRemoveDependencies, CUgraph, const CUgraphNode *, const CUgraphNode *, size_t)
F(cuGraphGetNodes, CUgraph, CUgraphNode *, size_t *) F(cuGraphInstantiateWithFlags, CUgraphExec *, CUgraph, unsigned long long) F(cuGraphExecDestroy, CUgraphExec)
F(cuGraphExecUpdate_v2, CUgraphExec, CUgraph, CUgraphUpdateResult *) F(cuGraphExecNodeSetParams, CUgraphExec, CUgraphNode, CUgraphNodeParams *)
F(cuGraphLaunch, CUgraphExec, CUstream) F(cuLaunchKernel, CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **)
F(cuGetProcAddress_v2, const char *, void **, int, uint64_t, int *)

// ---- bytes to values

static const uint8_t *at, *end;
static unsigned u8(void) { return at < end ? *at++ : 0; }
static size_t size(void) {
    static const size_t sizes[] = {0, 1, 3, 4, 8, 16, 31, 32, 33, 64, 100, 255, 256, 4096, 65536, SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 40, (size_t)1 << 33};
    unsigned i = u8();
    return i < 0xc0 ? sizes[i % HONE_COUNT(sizes)] : u8();
}
static size_t small(void) { return size() & 0xffff; }   // for what host memory must hold

// ---- objects: the last few of every kind, also after they were destroyed

enum { KEPT = 6, KINDS = VG_PHYSICAL };
static void *kept[KINDS][KEPT];
static CUdeviceptr pointers[KEPT], textures[KEPT];
static uint64_t host[65536 / 8 + 16];
// What belongs to no context is destroyed when it is forgotten.
static void forget(int kind, void *p) {
    if (kind == VG_LIBRARY)
        cuLibraryUnload(p);
    else if (kind == VG_LINK)
        cuLinkDestroy(p);
    else if (kind == VG_GRAPH)
        cuGraphDestroy(p);
    else if (kind == VG_EXEC)
        cuGraphExecDestroy(p);
}
static void keep(int kind, void *p) {
    forget(kind, kept[kind][KEPT - 1]);
    memmove(&kept[kind][1], &kept[kind][0], (KEPT - 1) * sizeof kept[kind][0]);
    kept[kind][0] = p;
}
static void *get(int kind) {
    unsigned i = u8();
    return i < 0xf0 ? kept[kind][i % KEPT] : i < 0xf8 ? NULL : i == 0xf8 ? (void *)host : kept[i % KINDS][i % KEPT];
}
static CUstream stream(void) {
    unsigned i = u8();
    return i < 0x40 ? NULL : i < 0x48 ? CU_STREAM_PER_THREAD_HANDLE : i < 0x50 ? CU_STREAM_LEGACY_HANDLE : get(VG_STREAM);
}
static void keep_pointer(CUdeviceptr p) {
    memmove(&pointers[1], &pointers[0], (KEPT - 1) * sizeof pointers[0]);
    pointers[0] = p;
}
static CUdeviceptr pointer(void) {
    unsigned i = u8();
    return i < 0xe0 ? pointers[i % KEPT] + (i >= 0x80 ? u8() : 0) : i < 0xf0 ? 0 : VG_DEVICE_BASE + i * 4096u;
}

static const char *const texts[] = {
    ".version 8.0\n.target sm_80\n.address_size 64\n.visible .global .u32 g = 3;\n.visible .entry k(.param .u64 p)\n{\n.reg .b64 %p;\n.reg .b32 %v;\n"
    "ld.param.u64 %p, [p];\nmov.u32 %v, 7;\nst.global.u32 [%p], %v;\nret;\n}\n",
    ".version 8.0\n.target sm_80\n.address_size 64\n.extern .global .u32 g;\n.weak .func f()\n{\nret;\n}\n.visible .entry k2(.param .u32 a, .param .u64 b)\n{\nret;\n}\n",
    ".version 8.0\n.target sm_80\n.address_size 64\n.global .u32 g = 1;\n.visible .entry k(.param .u64 p)\n{\nbar.sync 0;\ntrap;\n}\n",
    ".version 8.0\n.target sm_80\n", "", ".visible .entry {{{", "\x7f" "ELF", ".version 8.0\n.target sm_80\n.address_size 64\n.weak .func f()\n{\nret;\n}\n/* \" */ .file 1 \"x\"\n"};
static const char *text(void) { return texts[u8() % HONE_COUNT(texts)]; }
static const char *name(void) {
    static const char *const names[] = {"k", "k2", "g", "f", "", "nothing"};
    return names[u8() % HONE_COUNT(names)];
}

static void nothing(void *user) { (void)user; }
static CUarray3DDesc shape(void) {
    static const int formats[] = {1, 2, 3, 8, 9, 10, 16, 32, 0, 0x91};
    CUarray3DDesc d = {size() & 0xfff, size() & 0xff, size() & 0xf, formats[u8() % HONE_COUNT(formats)], u8() % 6, u8() % 18};
    return d;
}
static CUcopySide side(size_t *room) {
    CUcopySide s = {size(), size(), size(), u8() == 0, 1 + (int)(u8() % 4), host, pointer(), get(VG_ARRAY), NULL, size(), size()};
    if (s.type == CU_MEMORY_HOST) {   // must lie within `host`
        s = (CUcopySide){.type = CU_MEMORY_HOST, .host = host, .pitch = small() & 0xff, .rows = 1 + small() % 8};
        *room = 1;
    } else if (s.type == CU_MEMORY_UNIFIED && (s.device < VG_DEVICE_BASE || s.device - VG_DEVICE_BASE >= VG_DEVICE_SPAN)) {
        s.type = CU_MEMORY_DEVICE;
    } else if (s.type == CU_MEMORY_UNIFIED) {   // an offset could lead out of the device's addresses
        s.x = s.y = s.z = 0;
    }
    return s;
}
static CUmemcpy3D box(void) {
    size_t tight = 0;
    CUmemcpy3D p = {side(&tight), side(&tight), size(), size(), size()};
    if (tight) {
        p.width_bytes &= 0xff;
        p.height = p.height % 8;
        p.depth = p.depth % 4;
    }
    return p;
}
static void *params[2];
static CUdeviceptr argument;
static CUgraphNodeParams node(void) {
    static CUmemOp op;
    CUgraphNodeParams p = {.type = (int)(u8() % 15) - 1};
    switch (p.type) {
    case VG_WORK_KERNEL:
        argument = pointer();
        p.kernel.v1 = (CUkernelNode){get(u8() & 1 ? VG_FUNCTION : VG_KERNEL), {1 + u8() % 3, 1, 1}, {u8() % 65, 1, 1}, u8(), params, NULL};
        break;
    case VG_WORK_COPY: p.copy.copy = box(); break;
    case VG_WORK_SET: p.set.v1 = (CUmemsetNode){pointer(), size(), u8(), 1u << u8() % 4, size(), size()}; break;
    case VG_WORK_HOST: p.host = (CUhostNode){u8() ? nothing : NULL, NULL}; break;
    case VG_WORK_GRAPH: p.child = get(VG_GRAPH); break;
    case VG_WORK_WAIT: case VG_WORK_RECORD: p.event = get(VG_EVENT); break;
    case VG_WORK_ALLOC: p.alloc = (CUallocNode){.pool = {.type = 1, .where = {1, 0}}, .bytes = size()}; break;
    case VG_WORK_FREE: p.free = pointer(); break;
    case VG_WORK_MEM_OPS:
        op = (CUmemOp){(int)u8() % 8, pointer(), u8(), u8() % 4, 0, 0};
        p.batch = (CUbatchNode){NULL, u8() % 2, &op, 0};
        break;
    default: break;
    }
    return p;
}

// ---- one call

static void code(unsigned which) {
    CUmodule m;
    CUfunction f;
    CUlibrary l;
    CUkernel k;
    CUlinkState s;
    CUdeviceptr p;
    void *image;
    size_t n;
    const char *t;
    switch (which) {
    case 0: if (cuModuleLoadDataEx(&m, text(), 0, NULL, NULL) == 0) keep(VG_MODULE, m); break;
    case 1: cuModuleUnload(get(VG_MODULE)); break;
    case 2: if (cuModuleGetFunction(&f, get(VG_MODULE), name()) == 0) keep(VG_FUNCTION, f); break;
    case 3: if (cuModuleGetGlobal_v2(&p, &n, get(VG_MODULE), name()) == 0) keep_pointer(p); break;
    case 4: if (cuLibraryLoadData(&l, text(), NULL, NULL, 0, NULL, NULL, 0) == 0) keep(VG_LIBRARY, l); break;
    case 5: cuLibraryUnload(get(VG_LIBRARY)); break;
    case 6: if (cuLibraryGetKernel(&k, get(VG_LIBRARY), name()) == 0) keep(VG_KERNEL, k); break;
    case 7: if (cuKernelGetFunction(&f, get(VG_KERNEL)) == 0) keep(VG_FUNCTION, f); break;
    case 8: cuFuncSetAttribute(get(VG_FUNCTION), (int)u8() % 17, (int)size()); break;
    case 9: if (cuLinkCreate_v2(0, NULL, NULL, &s) == 0) keep(VG_LINK, s); break;
    case 10: t = text(); cuLinkAddData_v2(get(VG_LINK), 1, (void *)(uintptr_t)t, strlen(t) + (u8() & 1), "t", 0, NULL, NULL); break;
    case 11: if (cuLinkComplete(get(VG_LINK), &image, &n) == 0 && cuModuleLoadDataEx(&m, image, 0, NULL, NULL) == 0) keep(VG_MODULE, m); break;
    case 12: cuLinkDestroy(get(VG_LINK)); break;
    case 13: cuGetProcAddress_v2(name(), &image, (int)size(), u8(), NULL); break;
    default:
        argument = pointer();
        cuLaunchKernel(get(u8() & 1 ? VG_FUNCTION : VG_KERNEL), 1 + u8() % 3, 1, 1, u8() % 65, 1, 1, u8(), stream(), params, NULL);
    }
}

static void memory(unsigned which) {
    CUdeviceptr p;
    CUarray a;
    CUmipmappedArray mip;
    CUarray3DDesc d;
    CUmemcpy3D b;
    void *h;
    uint64_t out[2];
    switch (which) {
    case 0: if (cuMemAlloc_v2(&p, size()) == 0) keep_pointer(p); break;
    case 1: cuMemFree_v2(pointer()); break;
    case 2: if (cuMemAllocManaged(&p, size(), u8() % 3) == 0) keep_pointer(p); break;
    case 3: if (cuMemAllocAsync(&p, size(), stream()) == 0) keep_pointer(p); break;
    case 4: cuMemFreeAsync(pointer(), stream()); break;
    case 5: if (cuMemHostAlloc(&h, small(), u8() % 9) == 0) keep_pointer((CUdeviceptr)(uintptr_t)h); break;
    case 6: cuMemFreeHost((void *)(uintptr_t)pointer()); break;
    case 7: cuMemHostRegister_v2((uint8_t *)host + u8(), small() & 0x7fff, u8() % 17); break;
    case 8: cuMemHostUnregister((uint8_t *)host + u8()); break;
    case 9: cuMemcpyHtoDAsync_v2(pointer(), host, small(), stream()); break;
    case 10: cuMemcpyDtoHAsync_v2(host, pointer(), small(), stream()); break;
    case 11: cuMemcpyDtoDAsync_v2(pointer(), pointer(), size(), stream()); break;
    case 12: b = box(); cuMemcpy3DAsync_v2(&b, stream()); break;
    case 13: cuMemsetD2D8Async(pointer(), size(), (unsigned char)u8(), size(), size(), stream()); break;
    case 14: cuMemsetD32Async(pointer(), u8(), size(), stream()); break;
    case 15: cuPointerGetAttribute(out, (int)u8() % 24, pointer()); break;
    case 16: d = shape(); if (cuArray3DCreate_v2(&a, &d) == 0) keep(VG_ARRAY, a); break;
    case 17: cuArrayDestroy(get(VG_ARRAY)); break;
    case 18: d = shape(); if (cuMipmappedArrayCreate(&mip, &d, u8() % 20) == 0) keep(VG_MIPMAPPED, mip); break;
    case 19: cuMipmappedArrayDestroy(get(VG_MIPMAPPED)); break;
    case 20: if (cuMipmappedArrayGetLevel(&a, get(VG_MIPMAPPED), u8() % 8) == 0) keep(VG_ARRAY, a); break;
    case 21: cuTexObjectDestroy(textures[u8() % KEPT]); break;
    default: {
        CUresourceDesc r = {.type = (int)u8() % 5};
        CUtextureDesc t = {.address = {(int)u8() % 5, 1, 1}, .filter = (int)u8() % 3, .flags = u8() % 4};
        if (r.type == 0)
            r.array = get(VG_ARRAY);
        else if (r.type == 1)
            r.mipmapped = get(VG_MIPMAPPED);
        else if (r.type == 2)
            r.linear.at = pointer(), r.linear.format = 0x20, r.linear.channels = u8() % 5, r.linear.bytes = size();
        else
            r.pitch2d.at = pointer(), r.pitch2d.format = 1, r.pitch2d.channels = 1, r.pitch2d.width = size(), r.pitch2d.height = size(), r.pitch2d.pitch = size();
        CUresult made = u8() & 1 ? cuTexObjectCreate(&textures[u8() % KEPT], &r, &t, NULL) : cuSurfObjectCreate(&textures[u8() % KEPT], &r);
        (void)made;
    }
    }
}

static void streams(unsigned which) {
    CUstream s;
    CUevent v;
    CUgraph g;
    float ms;
    switch (which) {
    case 0: if (cuStreamCreateWithPriority(&s, u8() % 3, (int)u8() - 8) == 0) keep(VG_STREAM, s); break;
    case 1: cuStreamDestroy_v2(stream()); break;
    case 2: cuStreamSynchronize(stream()); break;
    case 3: cuStreamQuery(stream()); break;
    case 4: cuStreamWaitEvent(stream(), get(VG_EVENT), u8() % 3); break;
    case 5: cuStreamWaitValue32_v2(stream(), pointer(), u8(), u8() % 5); break;
    case 6: cuStreamWriteValue32_v2(stream(), pointer(), u8(), u8() % 3); break;
    case 7: cuStreamBeginCapture_v2(stream(), (int)u8() % 4); break;
    case 8: if (cuStreamEndCapture(stream(), &g) == 0) keep(VG_GRAPH, g); break;
    case 9: cuLaunchHostFunc(stream(), u8() ? nothing : NULL, NULL); break;
    case 10: if (cuEventCreate(&v, u8() % 9) == 0) keep(VG_EVENT, v); break;
    case 11: cuEventDestroy_v2(get(VG_EVENT)); break;
    case 12: cuEventRecordWithFlags(get(VG_EVENT), stream(), u8() % 3); break;
    case 13: cuEventQuery(get(VG_EVENT)); break;
    case 14: cuEventElapsedTime(&ms, get(VG_EVENT), get(VG_EVENT)); break;
    default: cuCtxSynchronize();
    }
}

static void graphs(unsigned which) {
    CUgraph g;
    CUgraphExec e;
    CUgraphNode n, list[4] = {NULL}, more[2];
    CUgraphNodeParams p;
    CUgraphUpdateResult result;
    size_t count = 4;
    switch (which) {
    case 0: if (cuGraphCreate(&g, 0) == 0) keep(VG_GRAPH, g); break;
    case 1: cuGraphDestroy(get(VG_GRAPH)); break;
    case 2: if (cuGraphClone(&g, get(VG_GRAPH)) == 0) keep(VG_GRAPH, g); break;
    case 3: cuGraphDestroyNode(get(VG_NODE)); break;
    case 4: list[0] = get(VG_NODE); list[1] = get(VG_NODE); cuGraphAddDependencies(get(VG_GRAPH), &list[0], &list[1], 1); break;
    case 5: list[0] = get(VG_NODE); list[1] = get(VG_NODE); cuGraphRemoveDependencies(get(VG_GRAPH), &list[0], &list[1], 1); break;
    case 6: if (cuGraphGetNodes(get(VG_GRAPH), list, &count) == 0 && list[0]) keep(VG_NODE, list[u8() % 4] ? list[0] : list[0]); break;
    case 7: if (cuGraphInstantiateWithFlags(&e, get(VG_GRAPH), u8() % 17) == 0) keep(VG_EXEC, e); break;
    case 8: cuGraphExecDestroy(get(VG_EXEC)); break;
    case 9: cuGraphExecUpdate_v2(get(VG_EXEC), get(VG_GRAPH), &result); break;
    case 10: p = node(); cuGraphExecNodeSetParams(get(VG_EXEC), get(VG_NODE), &p); break;
    case 11: p = node(); cuGraphNodeSetParams(get(VG_NODE), &p); break;
    case 12: cuGraphLaunch(get(VG_EXEC), stream()); break;
    default:
        p = node();
        more[0] = get(VG_NODE);
        more[1] = get(VG_NODE);
        if (cuGraphAddNode(&n, get(VG_GRAPH), more, u8() % 3, &p) == 0) {
            keep(VG_NODE, n);
            if (p.type == VG_WORK_ALLOC)
                keep_pointer(p.alloc.at);
        }
    }
}

// What outlives a context is destroyed by its own calls; a graph being captured dies with its stream.
static void clean_up(CUcontext c) {
    CUcontext old;
    while (cuCtxPopCurrent_v2(&old) == 0) {
    }
    cuCtxDestroy_v2(c);
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < KEPT; i++)
            forget(kind, kept[kind][i]);
    memset(kept, 0, sizeof kept);
    memset(pointers, 0, sizeof pointers);
}

// A device file like the H100's but for its memory.
enum { MEMORY_BYTES = 8 << 20 };
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    vg_device d;
    hone_err e = {0};
    char path[64], line[64];
    const int fd = memfd_create("small.gpu", 0);
    if (fd < 0 || vg_device_load("h100", &d, &e) != HONE_OK)
        return 1;
    const char *memory = strstr(d.text, "\nmemory_bytes "), *rest = memory ? strchr(memory + 1, '\n') : NULL;
    const int n = snprintf(line, sizeof line, "\nmemory_bytes %d", MEMORY_BYTES);
    if (!rest || write(fd, d.text, (size_t)(memory - d.text)) < 0 || write(fd, line, (size_t)n) != n || write(fd, rest, strlen(rest)) < 0)
        return 1;
    vg_device_free(&d);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return setenv("HONE_VGPU_DEVICE", path, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static void (*const parts[])(unsigned) = {code, memory, streams, graphs};
    static const unsigned calls[] = {17, 25, 17, 18};
    CUcontext c;
    honeVgpuOptions o = {.size = sizeof o, .flags = HONE_VGPU_CHECK | HONE_VGPU_SERIAL, .threads = 1, .max_warp_insts = 10000};
    cuInit(0);
    if (n > 1000 || cuCtxCreate_v2(&c, 0, 0) != 0)
        return 0;
    honeVgpuSetOptions(&o);
    vg_wait_max_ms = 0;
    params[0] = params[1] = &argument;
    at = data;
    end = data + n;
    while (at < end) {
        unsigned part = u8() % 4;
        parts[part](u8() % calls[part]);
    }
    clean_up(c);
    return 0;
}
