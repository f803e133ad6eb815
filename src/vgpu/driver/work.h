// What streams carry: one piece of work is a kernel, a copy, a set, a host function … with everything it needs to run later. The same pieces are the
// nodes of graphs (their kinds are numbered as CUgraphNodeType).
//
//   vg_work_submit ─┬─ the stream is capturing: a node of the captured graph (capture.c)
//                   ├─ it must wait (behind an unsatisfied cuStreamWaitValue, directly or through events): held back, in order
//                   └─ else it runs to its end at once (vg_work_run)
#ifndef HONE_VGPU_WORK_H
#define HONE_VGPU_WORK_H
#include "vgpu/driver/front.h"

typedef enum vg_work_kind {
    VG_WORK_KERNEL = 0, VG_WORK_COPY = 1, VG_WORK_SET = 2, VG_WORK_HOST = 3, VG_WORK_GRAPH = 4, VG_WORK_EMPTY = 5, VG_WORK_WAIT = 6, VG_WORK_RECORD = 7,
    VG_WORK_ALLOC = 10, VG_WORK_FREE = 11, VG_WORK_MEM_OPS = 12
} vg_work_kind;

typedef struct vg_set { CUdeviceptr to; size_t pitch; uint32_t value, element; size_t width, height; } vg_set;   // width in elements
typedef struct vg_host { void (*fn)(void *); void (*callback)(CUstream, CUresult, void *); CUstream stream; void *user; } vg_host;
typedef struct vg_kernel {
    vg_launch_request q;                 // q.params points to `pointers` once the work is kept
    uint8_t *bytes;                      // packed parameters
    void **pointers;                     // one per parameter, into bytes; NULL until kept
    uint32_t registered;                 // identity of the function: its module may be unloaded before a graph runs
} vg_kernel;
typedef struct vg_graph_run { struct CUgraph_st *graph; } vg_graph_run;   // owned by the work
typedef struct vg_mem_ops { CUmemOp *ops; unsigned n; } vg_mem_ops;
typedef struct vg_pool_op { CUdeviceptr at; size_t bytes; struct vg_graph_memory *memory; } vg_pool_op;   // memory: of an allocation inside a graph

typedef struct vg_work {
    vg_work_kind kind;
    union {
        vg_kernel kernel;
        CUmemcpy3D copy;
        vg_set set;
        vg_host host;
        vg_graph_run child;
        struct CUevent_st *event;
        vg_mem_ops mem_ops;
        vg_pool_op memory;
    };
} vg_work;

// All with the context locked; run unlocks it around host functions. The work stays the caller's: what is kept is a copy.
CUresult vg_work_submit(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w);
CUresult vg_work_run(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w);
CUresult vg_work_copy(vg_work *to, const vg_work *from);     // a deep copy
void vg_work_release(vg_work *w);
// Whether stream s has work that could not start yet; runs whatever has become ready first.
bool vg_work_pending(struct CUctx_st *c, const struct CUstream_st *s);
bool vg_event_pending(struct CUctx_st *c, const struct CUevent_st *v);
void vg_work_progress(struct CUctx_st *c);
// Waits until nothing of the stream (all streams: NULL) is held back. CUDA_ERROR_LAUNCH_TIMEOUT after vg_wait_max_ms: nobody writes the value.
CUresult vg_work_drain(struct CUctx_st *c, const struct CUstream_st *s);
void vg_work_drop_all(struct CUctx_st *c);
extern unsigned vg_wait_max_ms;
bool vg_in_host_function(void);          // this thread runs one: it must not call the driver

// copy.c
CUresult vg_copy_check(struct CUctx_st *c, const CUmemcpy3D *p);
CUresult vg_copy_run(struct CUctx_st *c, struct CUstream_st *s, const CUmemcpy3D *p);
CUresult vg_set_check(struct CUctx_st *c, const vg_set *p);
CUresult vg_set_run(struct CUctx_st *c, struct CUstream_st *s, const vg_set *p);
// pool.c
typedef struct vg_graph_memory { unsigned refs; struct CUctx_st *context; uint64_t context_id; CUdeviceptr at; size_t bytes; bool live; } vg_graph_memory;
void vg_graph_memory_keep(vg_graph_memory *m);
void vg_graph_memory_drop(vg_graph_memory *m);
CUresult vg_graph_memory_new(struct CUctx_st *c, size_t bytes, vg_graph_memory **out);
CUresult vg_pool_release(struct CUctx_st *c, CUdeviceptr p);
CUresult vg_pool_run(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w);
// launch.c: parameters already checked and packed
CUresult vg_launch_packed(struct CUctx_st *c, const vg_launch_request *q, const uint8_t *params, struct CUstream_st *s);
CUresult vg_launch_check(vg_launch_request *q);
CUresult vg_launch_pack(const vg_launch_request *q, uint8_t **bytes);   // owns: hone_free(*bytes)
// graph.c
struct CUgraph_st *vg_graph_copy(const struct CUgraph_st *g);
void vg_graph_free(struct CUgraph_st *g);
CUresult vg_graph_run_all(struct CUctx_st *c, struct CUstream_st *s, const struct CUgraph_st *g);
// capture.c
CUresult vg_capture_add(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w);
CUresult vg_capture_forbids(struct CUctx_st *c, const struct CUstream_st *s);   // a legacy stream call while a blocking stream captures
// A call that may not be made while this thread's captures are in progress (cuMemAlloc …): CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED and the captures end invalid.
CUresult vg_capture_unsafe(struct CUctx_st *c);
CUresult vg_capture_no_wait(struct CUctx_st *c, struct CUstream_st *s);          // waiting for a capturing stream ends its capture
CUresult vg_capture_wait(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v);
CUresult vg_capture_record(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v);
void vg_capture_stream_gone(struct CUctx_st *c, struct CUstream_st *s);
void vg_captures_free_all(struct CUctx_st *c);
#endif
