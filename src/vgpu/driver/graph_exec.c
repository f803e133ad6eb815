// Executable graphs: instantiation, launch, update. A launch runs the nodes one after another in an order that respects their dependencies; the modelled
// time is that of the longest path, since independent nodes could run side by side.
#include "vgpu/driver/graph.h"
#include <stdlib.h>
#include <string.h>

enum { AUTO_FREE = 1, UPLOAD = 2, DEVICE_LAUNCH = 4, NODE_PRIORITY = 8 };
enum { UPDATE_FINE = 0, UPDATE_ERROR = 1, UPDATE_TOPOLOGY = 2, UPDATE_TYPE = 3, UPDATE_NOT_SUPPORTED = 6 };

static double later(double a, double b) { return a > b ? a : b; }

static CUresult run_node(struct CUctx_st *c, CUgraphNode n, double start_us) {
    for (size_t i = 0; i < n->deps.n; i++)
        start_us = later(start_us, n->deps.v[i]->end_us);
    struct CUstream_st lane = {.context = c, .clock_us = start_us};
    CUresult r = n->disabled ? CUDA_SUCCESS : vg_work_run(c, &lane, &n->work);
    n->end_us = lane.clock_us;
    return r;
}

CUresult vg_graph_run_all(struct CUctx_st *c, struct CUstream_st *s, const struct CUgraph_st *g) {
    vg_stream_advance(c, s, 0);
    double start = s->clock_us, end = start;
    for (size_t i = 0; i < g->nodes.n; i++) {
        CUresult r = run_node(c, g->nodes.v[i], start);
        if (r != CUDA_SUCCESS)
            return r;
        if (c->refused)
            break;   // a kernel faulted: the next call reports it
        end = later(end, g->nodes.v[i]->end_us);
    }
    s->clock_us = later(s->clock_us, end);
    return CUDA_SUCCESS;
}

// ---- instantiation

static CUresult instantiate(CUgraphExec *out, CUgraph g, uint64_t flags) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || !vg_is_graph(g) || (flags & ~(uint64_t)(AUTO_FREE | UPLOAD | DEVICE_LAUNCH | NODE_PRIORITY)) || !vg_graph_is_sound(g))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & DEVICE_LAUNCH)
        return CUDA_ERROR_NOT_SUPPORTED;
    CUgraphExec e = hone_calloc(1, sizeof *e);
    struct CUgraph_st *copy = e ? vg_graph_copy(g) : NULL;
    if (!copy || !vg_handle_add(e, VG_EXEC)) {
        vg_graph_free(copy);
        hone_free(e);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *e = (struct CUgraphExec_st){.graph = copy, .flags = flags};
    *out = e;
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph g, unsigned long long flags) { return instantiate(out, g, flags); }
VG_API CUresult cuGraphInstantiate_v2(CUgraphExec *out, CUgraph g, CUgraphNode *error_node, char *log, size_t log_bytes) {
    if (error_node)
        *error_node = NULL;
    if (log && log_bytes)
        log[0] = 0;
    return instantiate(out, g, 0);
}
VG_API CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph g, CUgraphNode *error_node, char *log, size_t log_bytes) {
    return cuGraphInstantiate_v2(out, g, error_node, log, log_bytes);
}
VG_API CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph g, CUgraphInstantiateParams *p) {
    enum { INSTANTIATED = 0, FAILED = 1, INVALID_STRUCTURE = 2, NODE_NOT_SUPPORTED = 3 };
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = instantiate(out, g, p->flags);
    p->error_node = NULL;
    p->result = r == CUDA_SUCCESS ? INSTANTIATED : r == CUDA_ERROR_NOT_SUPPORTED ? NODE_NOT_SUPPORTED : r == CUDA_ERROR_INVALID_VALUE ? INVALID_STRUCTURE : FAILED;
    return r;
}

static void exec_free(CUgraphExec e) {
    vg_graph_free(e->graph);
    hone_free(e);
}

VG_API CUresult cuGraphExecDestroy(CUgraphExec e) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_handle_is(e, VG_EXEC))
        return CUDA_ERROR_INVALID_VALUE;
    vg_handle_drop(e);
    if (e->running)
        e->dead = true;   // another thread launches it: freed when that ends
    else
        exec_free(e);
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphExecGetFlags(CUgraphExec e, uint64_t *flags) {
    return vg_handle_is(e, VG_EXEC) && flags ? (*flags = e->flags, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}

// ---- launch

VG_API CUresult cuGraphLaunch(CUgraphExec e, CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct CUstream_st *s = vg_stream_of(c, q);
    if (!s || !vg_handle_is(e, VG_EXEC))
        return vg_front_leave(c, s ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    e->running++;
    r = vg_work_submit(c, s, &(vg_work){.kind = VG_WORK_GRAPH, .child = {e->graph}});
    if (--e->running == 0 && e->dead)
        exec_free(e);
    return vg_front_leave(c, r);
}
VG_API CUresult cuGraphUpload(CUgraphExec e, CUstream q) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    bool known = vg_stream_of(c, q) != NULL;
    return vg_front_leave(c, !known ? CUDA_ERROR_INVALID_HANDLE : vg_handle_is(e, VG_EXEC) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

// ---- update: the same nodes with the same dependencies, other parameters

static int by_creation(const void *a, const void *b) {
    CUgraphNode x = *(const CUgraphNode *)a, y = *(const CUgraphNode *)b;
    return x->index < y->index ? -1 : x->index > y->index;
}
// owns: hone_free
static CUgraphNode *in_order_of_creation(const struct CUgraph_st *g) {
    CUgraphNode *v = hone_calloc(g->nodes.n + 1, sizeof(CUgraphNode));
    if (v && g->nodes.n) {
        memcpy(v, g->nodes.v, g->nodes.n * sizeof(CUgraphNode));
        qsort(v, g->nodes.n, sizeof(CUgraphNode), by_creation);
    }
    return v;
}

// `copy` of every node of the executable graph is its partner.
static int compare(CUgraphNode to, CUgraphNode from) {
    if (to->work.kind != from->work.kind)
        return UPDATE_TYPE;
    if (to->deps.n != from->deps.n)
        return UPDATE_TOPOLOGY;
    for (size_t i = 0; i < to->deps.n; i++)
        if (!vg_graph_depends(from, to->deps.v[i]->copy))
            return UPDATE_TOPOLOGY;
    return to->work.kind == VG_WORK_ALLOC || to->work.kind == VG_WORK_FREE ? UPDATE_NOT_SUPPORTED : UPDATE_FINE;
}

static void update(CUgraphNode *to, CUgraphNode *from, size_t n, CUgraphUpdateResult *result) {
    for (size_t i = 0; i < n; i++)
        to[i]->copy = from[i];
    for (size_t i = 0; i < n && result->result == UPDATE_FINE; i++)
        if ((result->result = compare(to[i], from[i])) != UPDATE_FINE)
            result->node = from[i];
    for (size_t i = 0; i < n && result->result == UPDATE_FINE; i++)
        if (vg_node_replace(to[i], &from[i]->work) != CUDA_SUCCESS)
            *result = (CUgraphUpdateResult){UPDATE_ERROR, from[i], NULL};
}

VG_API CUresult cuGraphExecUpdate_v2(CUgraphExec e, CUgraph g, CUgraphUpdateResult *result) {
    if (!vg_handle_is(e, VG_EXEC) || !vg_is_graph(g) || !result)
        return CUDA_ERROR_INVALID_VALUE;
    CUgraphNode *to = in_order_of_creation(e->graph), *from = in_order_of_creation(g);
    *result = (CUgraphUpdateResult){e->graph->nodes.n == g->nodes.n ? UPDATE_FINE : UPDATE_TOPOLOGY, NULL, NULL};
    if (to && from && result->result == UPDATE_FINE)
        update(to, from, g->nodes.n, result);
    CUresult r = !to || !from ? CUDA_ERROR_OUT_OF_MEMORY : result->result == UPDATE_FINE ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    hone_free(to);
    hone_free(from);
    return r;
}
VG_API CUresult cuGraphExecUpdate(CUgraphExec e, CUgraph g, CUgraphNode *error_node, int *result) {
    CUgraphUpdateResult all;
    if (!error_node || !result)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult r = cuGraphExecUpdate_v2(e, g, &all);
    if (r == CUDA_SUCCESS || r == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE) {
        *error_node = all.node;
        *result = all.result;
    }
    return r;
}
