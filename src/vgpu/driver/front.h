// The driver front's own data: what the opaque CUDA handles point to, and the helpers its files share. One file per part of the API:
//   state.c init, devices, contexts, errors · info.c attributes, names · api.c entry points by name · module.c library.c link.c fatbin.c code ·
//   memory.c hostmem.c pool.c array.c vmm.c memory · copy.c copies and sets · launch.c · stream.c work.c capture.c graph*.c order · texture.c · extension.c
// Exported functions are marked VG_API; everything else stays hidden. threads: a context has one lock; every call that touches it takes it.
// A launch runs to its end inside the call that issues it; errors of the kernel are kept and reported by the next call, as on hardware.
#ifndef HONE_VGPU_FRONT_H
#define HONE_VGPU_FRONT_H
#include "vgpu/context.h"
#include "vgpu/device.h"
#include "vgpu/driver/cuda_abi.h"
#include "vgpu/driver/handles.h"
#include "vgpu/exec.h"
#include "vgpu/sample.h"
#include <pthread.h>

#define VG_API __attribute__((visibility("default")))
enum { VG_KEPT_LAUNCHES = 64, VG_PRINT_MAX = 1 << 20 /* bytes of device printf kept between synchronisations, as the hardware's FIFO */ };
// Kinds of handles (handles.h).
enum { VG_CONTEXT = 1, VG_MODULE, VG_FUNCTION, VG_STREAM, VG_EVENT, VG_LIBRARY, VG_KERNEL, VG_LINK, VG_GRAPH, VG_NODE, VG_EXEC, VG_USER_OBJECT, VG_ARRAY,
       VG_MIPMAPPED, VG_POOL, VG_PHYSICAL };

typedef HONE_VEC(CUgraphNode) vg_node_vec;
// vg_alloc.use
enum { VG_USE_PLAIN, VG_USE_LOCKED /* page-locked host memory */, VG_USE_REGISTERED, VG_USE_POOL, VG_USE_GRAPH, VG_USE_ARRAY, VG_USE_VMM };

struct CUfunc_st {
    struct CUmod_st *module;
    const vg_code *code;
    uint32_t max_dynamic_shared;         // as cuFuncSetAttribute allows
    int carveout, non_portable_cluster;
    bool kernel_attributes_set;          // those of the CUkernel it was made for
    vg_resources resources;              // what ptxas says, when honeVgpuSetResources told
    struct CUfunc_st *next;
};
struct CUmod_st {
    struct CUctx_st *context;
    vg_module *vg;
    bool of_library;                     // unloaded with its library only
    struct CUfunc_st *functions;         // handed out so far
    struct CUmod_st *next;
};
struct CUstream_st {
    struct CUctx_st *context;
    double clock_us;                     // modelled time at which its work so far ends
    unsigned flags;
    int priority;
    bool blocking;                       // waits for and holds up the default stream
    bool dead;                           // destroyed, kept for work that is held back
    uint64_t id, thread;                 // thread: whose per-thread default stream it is, 0: none
    CUlaunchAttributeValue attribute[11];
    struct vg_capture *capture;          // of the graph that its work becomes part of, or NULL
    vg_node_vec tail;          // what the next captured piece depends on
    struct CUstream_st *next;
};
struct CUevent_st {
    struct CUctx_st *context;
    double at_us;
    bool recorded, timing, dead;
    bool in_graphs;                      // a graph may name it: kept until the context ends
    uint64_t capture_id;                 // of the capture it was last recorded in (0: none); `tail` is what a wait depends on
    vg_node_vec tail;
    struct CUevent_st *next;
};
struct CUctx_st {
    pthread_mutex_t lock;
    vg_context *vg;
    int refused;                         // the sticky error, CUDA_SUCCESS while all is well
    struct CUmod_st *modules;
    struct CUstream_st *streams;         // without the default stream
    struct CUevent_st *events;
    struct CUstream_st null_stream;
    uint64_t next_stream_id;
    struct vg_held *held;                // work that waits, in order of issue (work.c)
    struct vg_capture *captures;         // in progress (capture.c)
    HONE_VEC(vg_alloc *) registered;     // host memory of the caller's that has a device address (hostmem.c)
    struct CUarray_st *arrays;
    struct CUmipmappedArray_st *mipmapped;
    struct vg_vmm *vmm;
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
unsigned vg_compute_capability(void);                // of the modelled device: 90
void vg_vmm_free(void);                             // vmm.c: what is left when the library goes
bool vg_front_is_alive(const struct CUctx_st *c, uint64_t id);
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
bool vg_is_event(struct CUctx_st *c, const struct CUevent_st *v);   // a live event of this context
CUresult vg_event_wait_run(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v);
CUresult vg_event_record_run(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v);
extern _Thread_local bool vg_default_is_per_thread;   // set while a _ptsz or _ptds entry point runs: stream 0 is the thread's own
double vg_copy_us(const vg_device *d, size_t bytes, bool host);     // modelled time of a copy

// module.c
void vg_modules_free_all(struct CUctx_st *c);
bool vg_is_function(const struct CUfunc_st *f);
struct CUmod_st *vg_module_new(struct CUctx_st *c, const char *text, size_t len, hone_err *e);   // into the (locked) context
void vg_module_drop(struct CUctx_st *c, struct CUmod_st *m);
struct CUfunc_st *vg_module_function(struct CUmod_st *m, const char *name);   // NULL: none of that name, or no memory
// Fills the log buffers among JIT options with an error's texts (empty: success).
void vg_write_jit_logs(unsigned n, const int *options, void **values, const char *message, const char *hint);
CUresult vg_text_of(const void *image, const char **text, size_t *len, char **owned, hone_err *e);

// library.c: a CUfunction is also what a CUkernel is in a context, loading its library there when needed.
struct CUfunc_st *vg_function_in(struct CUctx_st *c, CUfunction f);           // NULL: no function of this context
struct CUfunc_st *vg_function_here(CUfunction f);                             // of any context, or of the current one
void vg_libraries_context_gone(struct CUctx_st *c);

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
CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned flags);
CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction f);
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction f, int block, size_t shared);
#endif
