// The driver front's own data: what the opaque CUDA handles point to, and the helpers its files share. One file per part of the API:
//   state.c init, devices, contexts, errors · info.c attributes, names, cuGetProcAddress · module.c · memory.c · launch.c · stream.c · extension.c
// Exported functions are marked VG_API; everything else stays hidden. threads: a context has one lock; every call that touches it takes it.
// A launch runs to its end inside the call that issues it; errors of the kernel are kept and reported by the next call, as on hardware.
#ifndef HONE_VGPU_FRONT_H
#define HONE_VGPU_FRONT_H
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/driver/cuda_abi.h"
#include "vgpu/exec.h"
#include "vgpu/sample.h"
#include <pthread.h>

#define VG_API __attribute__((visibility("default")))
enum { VG_KEPT_LAUNCHES = 64, VG_PRINT_MAX = 1 << 20 /* bytes of device printf kept between synchronisations, as the hardware's FIFO */ };
enum { VG_MAGIC_CONTEXT = 0x48435458, VG_MAGIC_MODULE = 0x484d4f44, VG_MAGIC_FUNCTION = 0x4846554e, VG_MAGIC_STREAM = 0x48535452, VG_MAGIC_EVENT = 0x48455654 };

struct CUfunc_st {
    uint32_t magic;
    struct CUmod_st *module;
    const vg_code *code;
    uint32_t max_dynamic_shared;         // as cuFuncSetAttribute allows
    int carveout, non_portable_cluster;
    vg_resources resources;              // what ptxas says, when honeVgpuSetResources told
    struct CUfunc_st *next;
};
struct CUmod_st {
    uint32_t magic;
    struct CUctx_st *context;
    vg_module *vg;
    struct CUfunc_st *functions;         // handed out so far
    struct CUmod_st *next;
};
struct CUstream_st {
    uint32_t magic;
    struct CUctx_st *context;
    double clock_us;                     // modelled time at which its work so far ends
    unsigned flags;
    int priority;
    bool blocking;                       // waits for and holds up the default stream
    struct CUstream_st *next;
};
struct CUevent_st {
    uint32_t magic;
    struct CUctx_st *context;
    double at_us;
    bool recorded, timing;
    struct CUevent_st *next;
};
struct CUctx_st {
    uint32_t magic;
    pthread_mutex_t lock;
    vg_context *vg;
    int refused;                         // the sticky error, CUDA_SUCCESS while all is well
    struct CUmod_st *modules;
    struct CUstream_st *streams;         // without the default stream
    struct CUevent_st *events;
    struct CUstream_st null_stream;
    hone_str printed;
    honeVgpuLaunch launches[VG_KEPT_LAUNCHES];
    uint32_t n_launches, launches_there_were;
    honeVgpuLine *lines; uint32_t n_lines;
    size_t limits[CU_LIMIT_COUNT];
    unsigned flags;
    uint64_t id;
    struct CUctx_st *next;
};

// state.c
const vg_device *vg_front_device(void);              // the modelled device; NULL before cuInit
struct CUctx_st *vg_front_current(void);             // this thread's current context or NULL
// CUDA_SUCCESS with the current context locked; else the error to return. Refuses contexts with a sticky error.
CUresult vg_front_enter(struct CUctx_st **c);
CUresult vg_front_leave(struct CUctx_st *c, CUresult r);   // unlocks, returns r
CUresult vg_front_result(const hone_err *e);         // what a failed internal call means to a driver's caller
void vg_front_flush_print(struct CUctx_st *c);       // writes device printf text to stdout
honeVgpuOptions *vg_front_options(void);             // those of new contexts

// sanitize.c: the environment's wishes; what a context that ends has found; the report of the process
CUresult vg_sanitize_begin(honeVgpuOptions *defaults);
void vg_sanitize_collect(vg_context *c);
void vg_sanitize_end(void);

// stream.c
struct CUstream_st *vg_stream_of(struct CUctx_st *c, CUstream s);   // NULL when it is no stream of c
// Puts work of so many modelled microseconds on a stream, behind what the default stream's rules say.
void vg_stream_advance(struct CUctx_st *c, struct CUstream_st *s, double us);
void vg_stream_free_all(struct CUctx_st *c);
double vg_copy_us(const vg_device *d, size_t bytes, bool host);     // modelled time of a copy

// module.c
void vg_modules_free_all(struct CUctx_st *c);
bool vg_is_function(const struct CUfunc_st *f);

// launch.c
typedef struct vg_launch_request {
    struct CUfunc_st *f;
    uint32_t grid[3], block[3], cluster[3], shared_bytes;
    CUstream stream;
    void **params, **extra;
    bool cooperative;
} vg_launch_request;
CUresult vg_front_launch(const vg_launch_request *q);
uint32_t vg_registers_of(const struct CUfunc_st *f);
CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction f);
#endif
