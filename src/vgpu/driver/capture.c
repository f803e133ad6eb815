// Stream capture: while a stream captures, what is issued to it becomes nodes of a graph. A capture spreads to other streams through events: waiting in
// another stream for an event recorded in a capturing one makes that stream part of it, until it is joined back before the end.
#include "vgpu/driver/graph.h"
#include <string.h>

enum { MODE_GLOBAL = 0, MODE_THREAD = 1, MODE_RELAXED = 2, STATUS_NONE = 0, STATUS_ACTIVE = 1, STATUS_INVALID = 2 };
struct vg_capture {
    uint64_t id;
    struct CUgraph_st *graph;
    bool foreign_graph;                  // the caller's (cuStreamBeginCaptureToGraph)
    int mode;
    const void *thread;                  // that began it
    struct CUstream_st *origin;
    bool invalid;
    struct vg_capture *next;
};
static _Thread_local int thread_mode;    // its address tells threads apart

// ---- sets of nodes

static bool add_once(vg_node_vec *v, CUgraphNode n) {
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i] == n)
            return true;
    return hone_vec_push(v, n);
}
static bool add_all(vg_node_vec *to, const vg_node_vec *from) {
    for (size_t i = 0; i < from->n; i++)
        if (!add_once(to, from->v[i]))
            return false;
    return true;
}

// ---- what is capturing

static struct vg_capture *find(struct CUctx_st *c, uint64_t id) {
    for (struct vg_capture *k = c->captures; k; k = k->next)
        if (k->id == id)
            return k;
    return NULL;
}

static CUresult invalidate(struct vg_capture *k, CUresult why) {
    k->invalid = true;
    return why;
}

CUresult vg_capture_add(struct CUctx_st *c, struct CUstream_st *s, const vg_work *w) {
    struct vg_capture *k = s->capture;
    CUgraphNode n;
    (void)c;
    if (k->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    CUresult r = vg_graph_add(k->graph, s->tail.v, s->tail.n, w, &n);
    if (r != CUDA_SUCCESS)
        return invalidate(k, r);
    s->tail.n = 0;
    return hone_vec_push(&s->tail, n) ? CUDA_SUCCESS : invalidate(k, CUDA_ERROR_OUT_OF_MEMORY);
}

// The legacy default stream waits for every blocking stream, so that it cannot be used while one captures.
static CUresult implicit(struct CUctx_st *c, const struct CUstream_st *s, bool ends_captures) {
    CUresult r = CUDA_SUCCESS;
    for (struct CUstream_st *p = c->captures && s == &c->null_stream ? c->streams : NULL; p; p = p->next)
        if (p->capture && p->blocking) {
            r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
            if (ends_captures)
                invalidate(p->capture, r);
        }
    return r;
}
CUresult vg_capture_forbids(struct CUctx_st *c, const struct CUstream_st *s) { return implicit(c, s, true); }

CUresult vg_capture_unsafe(struct CUctx_st *c) {
    CUresult r = CUDA_SUCCESS;
    for (struct vg_capture *k = c->captures; k && thread_mode != MODE_RELAXED; k = k->next) {
        bool mine = k->thread == &thread_mode && k->mode != MODE_RELAXED, others = thread_mode == MODE_GLOBAL && k->mode == MODE_GLOBAL;
        if (mine || others)
            r = invalidate(k, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    return r;
}

CUresult vg_capture_no_wait(struct CUctx_st *c, struct CUstream_st *s) {
    return s->capture ? invalidate(s->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED) : vg_capture_forbids(c, s);
}

CUresult vg_capture_record(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v) {
    (void)c;
    if (s->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    v->tail.n = 0;
    v->capture_id = s->capture->id;
    v->recorded = false;
    return add_all(&v->tail, &s->tail) ? CUDA_SUCCESS : invalidate(s->capture, CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult vg_capture_wait(struct CUctx_st *c, struct CUstream_st *s, struct CUevent_st *v) {
    struct vg_capture *k = find(c, v->capture_id);
    if (!k)   // recorded outside, or in a capture that has ended
        return s->capture ? invalidate(s->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION) : CUDA_ERROR_CAPTURED_EVENT;
    if (k->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (s->capture && s->capture != k) {
        invalidate(s->capture, 0);
        return invalidate(k, CUDA_ERROR_STREAM_CAPTURE_MERGE);
    }
    if (s == &c->null_stream)
        return invalidate(k, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    s->capture = k;
    return add_all(&s->tail, &v->tail) ? CUDA_SUCCESS : invalidate(k, CUDA_ERROR_OUT_OF_MEMORY);
}

static void leave(struct CUctx_st *c, struct vg_capture *k) {
    for (struct CUstream_st *p = c->streams; p; p = p->next)
        if (p->capture == k) {
            p->capture = NULL;
            p->tail.n = 0;
        }
    struct vg_capture **at = &c->captures;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    if (!k->foreign_graph)
        vg_graph_free(k->graph);
    hone_free(k);
}

void vg_capture_stream_gone(struct CUctx_st *c, struct CUstream_st *s) {
    struct vg_capture *k = s->capture;
    if (k && k->origin == s)
        leave(c, k);
    else if (k)
        invalidate(k, 0);
}

void vg_captures_free_all(struct CUctx_st *c) {
    while (c->captures)
        leave(c, c->captures);
}

// ---- begin and end

static CUresult begin(CUstream q, int mode, CUgraph graph, const CUgraphNode *deps, size_t n) {
    static uint64_t last_id;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (s == &c->null_stream)
        return vg_front_leave(c, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (mode < MODE_GLOBAL || mode > MODE_RELAXED)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (s->capture)
        return vg_front_leave(c, CUDA_ERROR_ILLEGAL_STATE);
    for (size_t i = 0; i < n; i++)
        if (!vg_node_in(graph, deps[i]))
            return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    struct vg_capture *k = hone_calloc(1, sizeof *k);
    struct CUgraph_st *g = graph ? graph : vg_graph_new();
    bool fine = k && g;
    s->tail.n = 0;
    for (size_t i = 0; i < n && fine; i++)
        fine = add_once(&s->tail, deps[i]);
    if (!fine) {
        if (!graph)
            vg_graph_free(g);
        hone_free(k);
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    }
    g->owned = graph ? g->owned : true;   // while it is captured nobody may destroy it
    *k = (struct vg_capture){.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED), .graph = g, .foreign_graph = graph != NULL, .mode = mode,
                             .thread = &thread_mode, .origin = s, .next = c->captures};
    c->captures = k;
    s->capture = k;
    return vg_front_leave(c, CUDA_SUCCESS);
}
VG_API CUresult cuStreamBeginCapture_v2(CUstream q, int mode) { return begin(q, mode, NULL, NULL, 0); }
VG_API CUresult cuStreamBeginCapture(CUstream q) { return begin(q, MODE_GLOBAL, NULL, NULL, 0); }
VG_API CUresult cuStreamBeginCaptureToGraph(CUstream q, CUgraph g, const CUgraphNode *deps, const CUgraphEdge *data, size_t n, int mode) {
    static const CUgraphEdge plain;
    if (!vg_is_graph(g) || g->owned || (n && !deps))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; data && i < n; i++)
        if (memcmp(&data[i], &plain, sizeof plain))
            return CUDA_ERROR_NOT_SUPPORTED;
    return begin(q, mode, g, deps, n);
}

// Marks (through `copy`) everything that n needs, n included.
static void mark(CUgraphNode n) {
    if (n->copy == n)
        return;
    n->copy = n;
    for (size_t i = 0; i < n->deps.n; i++)
        mark(n->deps.v[i]);
}

// Whether all work of the other streams comes before the end of the origin's.
static bool is_joined(struct CUctx_st *c, const struct vg_capture *k) {
    for (size_t i = 0; i < k->graph->nodes.n; i++)
        k->graph->nodes.v[i]->copy = NULL;
    for (size_t i = 0; i < k->origin->tail.n; i++)
        mark(k->origin->tail.v[i]);
    for (const struct CUstream_st *p = c->streams; p; p = p->next)
        for (size_t i = 0; p->capture == k && i < p->tail.n; i++)
            if (p->tail.v[i]->copy != p->tail.v[i])
                return false;
    return true;
}

VG_API CUresult cuStreamEndCapture(CUstream q, CUgraph *out) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    struct vg_capture *k = s ? s->capture : NULL;
    if (!s || !out)
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    *out = NULL;
    if (!k)
        return vg_front_leave(c, CUDA_ERROR_ILLEGAL_STATE);
    if (k->mode != MODE_RELAXED && k->thread != &thread_mode)
        return vg_front_leave(c, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    if (k->origin != s)
        return vg_front_leave(c, invalidate(k, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED));
    r = k->invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : is_joined(c, k) ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    if (r == CUDA_SUCCESS) {
        *out = k->graph;
        if (!k->foreign_graph)
            k->graph->owned = false;
        k->foreign_graph = true;   // the caller's from now on
    }
    leave(c, k);
    return vg_front_leave(c, r);
}

// ---- questions

VG_API CUresult cuStreamGetCaptureInfo_v2(CUstream q, int *status, uint64_t *id, CUgraph *graph, const CUgraphNode **deps, size_t *n) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || !status)
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    r = implicit(c, s, false);
    *status = !s->capture ? STATUS_NONE : s->capture->invalid ? STATUS_INVALID : STATUS_ACTIVE;
    if (*status == STATUS_ACTIVE) {
        if (id)
            *id = s->capture->id;
        if (graph)
            *graph = s->capture->graph;
        if (deps)
            *deps = s->tail.v;
        if (n)
            *n = s->tail.n;
    }
    return vg_front_leave(c, r);
}
VG_API CUresult cuStreamGetCaptureInfo(CUstream q, int *status, uint64_t *id) { return cuStreamGetCaptureInfo_v2(q, status, id, NULL, NULL, NULL); }
VG_API CUresult cuStreamGetCaptureInfo_v3(CUstream q, int *status, uint64_t *id, CUgraph *graph, const CUgraphNode **deps, const CUgraphEdge **data, size_t *n) {
    if (data)
        *data = NULL;   // all edges are plain
    return cuStreamGetCaptureInfo_v2(q, status, id, graph, deps, n);
}
VG_API CUresult cuStreamIsCapturing(CUstream q, int *status) { return cuStreamGetCaptureInfo_v2(q, status, NULL, NULL, NULL, NULL); }

VG_API CUresult cuStreamUpdateCaptureDependencies(CUstream q, CUgraphNode *deps, size_t n, unsigned flags) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || flags > 1 || (n && !deps))
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    if (!s->capture || s->capture->invalid)
        return vg_front_leave(c, s->capture ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_ILLEGAL_STATE);
    for (size_t i = 0; i < n; i++)
        if (!vg_node_in(s->capture->graph, deps[i]))
            return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    if (flags)
        s->tail.n = 0;
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        r = add_once(&s->tail, deps[i]) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    return vg_front_leave(c, r);
}
VG_API CUresult cuStreamUpdateCaptureDependencies_v2(CUstream q, CUgraphNode *deps, const CUgraphEdge *data, size_t n, unsigned flags) {
    static const CUgraphEdge plain;
    for (size_t i = 0; data && i < n; i++)
        if (memcmp(&data[i], &plain, sizeof plain))
            return CUDA_ERROR_NOT_SUPPORTED;
    return cuStreamUpdateCaptureDependencies(q, deps, n, flags);
}

VG_API CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    if (!mode || *mode < MODE_GLOBAL || *mode > MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    int old = thread_mode;
    thread_mode = *mode;
    *mode = old;
    return CUDA_SUCCESS;
}
