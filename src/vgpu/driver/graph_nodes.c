// What graph nodes do: their parameters in the API's structures, to work and back. Every kind has one pair of functions here (work_of_…, …_of_work); the
// entry points that add, read and replace parameters are made from those.
#include "vgpu/driver/graph.h"
#include <string.h>

// ---- from parameters to work; owns: vg_work_release

static CUresult work_of_kernel(const CUkernelNode *p, vg_work *w) {
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    vg_launch_request q = {.f = vg_function_in(c, p->f), .shared_bytes = p->shared_bytes, .params = p->params, .extra = p->extra};
    memcpy(q.grid, p->grid, sizeof q.grid);
    memcpy(q.block, p->block, sizeof q.block);
    *w = (vg_work){.kind = VG_WORK_KERNEL};
    r = q.f ? vg_launch_check(&q) : CUDA_ERROR_INVALID_HANDLE;
    vg_work given = {.kind = VG_WORK_KERNEL, .kernel = {.q = q}};
    if (r == CUDA_SUCCESS)
        r = vg_launch_pack(&q, &given.kernel.bytes);
    if (r == CUDA_SUCCESS)
        r = vg_work_copy(w, &given);
    hone_free(given.kernel.bytes);
    return vg_front_leave(c, r);
}

static CUresult work_of_kernel2(const CUkernelNode2 *p, vg_work *w) {
    if (!p || (p->v1.f && p->kernel))
        return CUDA_ERROR_INVALID_VALUE;
    if (p->context && p->context != vg_front_current())
        return vg_handle_is(p->context, VG_CONTEXT) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
    CUkernelNode v1 = p->v1;
    v1.f = v1.f ? v1.f : (CUfunction)(void *)p->kernel;
    return work_of_kernel(&v1, w);
}

static CUresult work_of_copy(const CUmemcpy3D *p, vg_work *w) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!p)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *w = (vg_work){.kind = VG_WORK_COPY, .copy = *p};
    CUcopySide *sides[2] = {&w->copy.from, &w->copy.to};
    for (int i = 0; i < 2; i++) {
        sides[i]->pitch = sides[i]->pitch ? sides[i]->pitch : p->width_bytes;
        sides[i]->rows = sides[i]->rows ? sides[i]->rows : p->height;
    }
    return vg_front_leave(c, vg_copy_check(c, &w->copy));
}

static CUresult work_of_set(const CUmemsetNode *p, vg_work *w) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!p)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *w = (vg_work){.kind = VG_WORK_SET, .set = {p->to, p->pitch, p->value, p->element, p->width, p->height}};
    return vg_front_leave(c, vg_set_check(c, &w->set));
}

static CUresult work_of_host(const CUhostNode *p, vg_work *w) {
    if (!p || !p->fn)
        return CUDA_ERROR_INVALID_VALUE;
    *w = (vg_work){.kind = VG_WORK_HOST, .host = {.fn = p->fn, .user = p->user}};
    return CUDA_SUCCESS;
}

static bool has_memory_nodes(const struct CUgraph_st *g) {
    for (size_t i = 0; i < g->nodes.n; i++) {
        const vg_work *w = &g->nodes.v[i]->work;
        if (w->kind == VG_WORK_ALLOC || w->kind == VG_WORK_FREE || (w->kind == VG_WORK_GRAPH && has_memory_nodes(w->child.graph)))
            return true;
    }
    return false;
}

static CUresult work_of_child(CUgraph child, vg_work *w) {
    if (!vg_is_graph(child) || !vg_graph_is_sound(child))
        return CUDA_ERROR_INVALID_VALUE;
    if (has_memory_nodes(child))
        return CUDA_ERROR_NOT_SUPPORTED;
    *w = (vg_work){.kind = VG_WORK_GRAPH, .child = {vg_graph_copy(child)}};
    return w->child.graph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult work_of_event(vg_work_kind kind, CUevent v, vg_work *w) {
    if (!vg_handle_is(v, VG_EVENT))
        return CUDA_ERROR_INVALID_VALUE;
    *w = (vg_work){.kind = kind, .event = v};
    return CUDA_SUCCESS;
}

static CUresult work_of_ops(const CUbatchNode *p, vg_work *w) {
    if (!p || !p->n || p->n > 256 || !p->ops || p->flags)
        return CUDA_ERROR_INVALID_VALUE;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    for (unsigned i = 0; i < p->n && r == CUDA_SUCCESS; i++) {
        int op = p->ops[i].operation;
        bool touches = op != CU_OP_FLUSH && op != CU_OP_BARRIER;
        size_t bytes = op == CU_OP_WAIT_64 || op == CU_OP_WRITE_64 ? 8 : 4;
        if (op < 1 || op > 6 || (touches && (p->ops[i].address % bytes || !vg_memory_find(c->vg->memory, p->ops[i].address, bytes))))
            r = CUDA_ERROR_INVALID_VALUE;
    }
    if (r == CUDA_SUCCESS)
        r = vg_work_copy(w, &(vg_work){.kind = VG_WORK_MEM_OPS, .mem_ops = {p->ops, p->n}});
    return vg_front_leave(c, r);
}

static CUresult work_of_alloc(CUallocNode *p, vg_work *w) {
    if (!p || !p->bytes || p->pool.type != 1 || p->pool.where.type != 1 || p->pool.where.id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    vg_graph_memory *m;
    r = vg_graph_memory_new(c, p->bytes, &m);
    if (r == CUDA_SUCCESS) {
        *w = (vg_work){.kind = VG_WORK_ALLOC, .memory = {m->at, p->bytes, m}};
        p->at = m->at;
    }
    return vg_front_leave(c, r);
}

static CUresult work_of_free(CUdeviceptr at, vg_work *w) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    const vg_alloc *a = vg_memory_find(c->vg->memory, at, 1);
    *w = (vg_work){.kind = VG_WORK_FREE, .memory = {.at = at}};
    return vg_front_leave(c, a && a->base == at && a->use == VG_USE_GRAPH ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

static CUresult work_of_params(CUgraphNodeParams *p, vg_work *w) {
    if (!p)
        return CUDA_ERROR_INVALID_VALUE;
    switch (p->type) {
    case VG_WORK_KERNEL: return work_of_kernel2(&p->kernel, w);
    case VG_WORK_COPY: return work_of_copy(&p->copy.copy, w);
    case VG_WORK_SET: return work_of_set(&p->set.v1, w);
    case VG_WORK_HOST: return work_of_host(&p->host, w);
    case VG_WORK_GRAPH: return work_of_child(p->child, w);
    case VG_WORK_EMPTY: *w = (vg_work){.kind = VG_WORK_EMPTY}; return CUDA_SUCCESS;
    case VG_WORK_WAIT: case VG_WORK_RECORD: return work_of_event((vg_work_kind)p->type, p->event, w);
    case VG_WORK_ALLOC: return work_of_alloc(&p->alloc, w);
    case VG_WORK_FREE: return work_of_free(p->free, w);
    case VG_WORK_MEM_OPS: return work_of_ops(&p->batch, w);
    default: return p->type < 0 || p->type > 13 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;   // external semaphores, conditional nodes
    }
}

// ---- adding

// With the work made, or the reason why it was not.
static CUresult add(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, CUresult made, vg_work *w) {
    CUresult r = made;
    if (r == CUDA_SUCCESS)
        r = vg_graph_add(g, deps, n, w, out);
    if (made == CUDA_SUCCESS)
        vg_work_release(w);
    return r;
}
static CUresult check(const CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || !vg_is_graph(g) || (n && !deps))
        return CUDA_ERROR_INVALID_VALUE;
    return g->owned ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}
#define ADD(name, parameters, made)                                                                        \
    VG_API CUresult name(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, parameters) {     \
        vg_work w;                                                                                         \
        CUresult r = check(out, g, deps, n);                                                               \
        return r == CUDA_SUCCESS ? add(out, g, deps, n, made, &w) : r;                                     \
    }
ADD(cuGraphAddKernelNode, const CUkernelNode *p, work_of_kernel(p, &w))
ADD(cuGraphAddKernelNode_v2, const CUkernelNode2 *p, work_of_kernel2(p, &w))
ADD(cuGraphAddHostNode, const CUhostNode *p, work_of_host(p, &w))
ADD(cuGraphAddChildGraphNode, CUgraph child, work_of_child(child, &w))
ADD(cuGraphAddEventRecordNode, CUevent v, work_of_event(VG_WORK_RECORD, v, &w))
ADD(cuGraphAddEventWaitNode, CUevent v, work_of_event(VG_WORK_WAIT, v, &w))
ADD(cuGraphAddMemAllocNode, CUallocNode *p, work_of_alloc(p, &w))
ADD(cuGraphAddMemFreeNode, CUdeviceptr p, work_of_free(p, &w))
ADD(cuGraphAddBatchMemOpNode, const CUbatchNode *p, work_of_ops(p, &w))
ADD(cuGraphAddNode, CUgraphNodeParams *p, work_of_params(p, &w))

// The context of a copy or set is the current one: no other shares its memory.
static CUresult is_current(CUcontext context) {
    if (!context || context == vg_front_current())
        return CUDA_SUCCESS;
    return vg_handle_is(context, VG_CONTEXT) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_CONTEXT;
}
VG_API CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, const CUmemcpy3D *p, CUcontext context) {
    vg_work w;
    CUresult r = check(out, g, deps, n);
    r = r == CUDA_SUCCESS ? is_current(context) : r;
    return r == CUDA_SUCCESS ? add(out, g, deps, n, work_of_copy(p, &w), &w) : r;
}
VG_API CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n, const CUmemsetNode *p, CUcontext context) {
    vg_work w;
    CUresult r = check(out, g, deps, n);
    r = r == CUDA_SUCCESS ? is_current(context) : r;
    return r == CUDA_SUCCESS ? add(out, g, deps, n, work_of_set(p, &w), &w) : r;
}
VG_API CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, size_t n) {
    vg_work w = {.kind = VG_WORK_EMPTY};
    CUresult r = check(out, g, deps, n);
    return r == CUDA_SUCCESS ? add(out, g, deps, n, r, &w) : r;
}
VG_API CUresult cuGraphAddNode_v2(CUgraphNode *out, CUgraph g, const CUgraphNode *deps, const CUgraphEdge *data, size_t n, CUgraphNodeParams *p) {
    static const CUgraphEdge plain;
    for (size_t i = 0; data && i < n; i++)
        if (memcmp(&data[i], &plain, sizeof plain))
            return CUDA_ERROR_NOT_SUPPORTED;   // programmatic dependencies
    return cuGraphAddNode(out, g, deps, n, p);
}

// ---- reading

VG_API CUresult cuGraphNodeGetType(CUgraphNode n, int *type) {
    if (!vg_is_node(n, VG_ANY_KIND) || !type)
        return CUDA_ERROR_INVALID_VALUE;
    *type = n->work.kind;
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphKernelNodeGetParams(CUgraphNode n, CUkernelNode *p) {
    if (!vg_is_node(n, VG_WORK_KERNEL) || !p)
        return CUDA_ERROR_INVALID_VALUE;
    const vg_launch_request *q = &n->work.kernel.q;
    *p = (CUkernelNode){.f = q->f, .shared_bytes = q->shared_bytes, .params = q->params};
    memcpy(p->grid, q->grid, sizeof p->grid);
    memcpy(p->block, q->block, sizeof p->block);
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode n, CUkernelNode2 *p) {
    CUresult r = p ? cuGraphKernelNodeGetParams(n, &p->v1) : CUDA_ERROR_INVALID_VALUE;
    if (r == CUDA_SUCCESS) {
        p->kernel = NULL;
        p->context = vg_is_function(p->v1.f) ? p->v1.f->module->context : NULL;
    }
    return r;
}
VG_API CUresult cuGraphMemcpyNodeGetParams(CUgraphNode n, CUmemcpy3D *p) {
    return vg_is_node(n, VG_WORK_COPY) && p ? (*p = n->work.copy, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphMemsetNodeGetParams(CUgraphNode n, CUmemsetNode *p) {
    if (!vg_is_node(n, VG_WORK_SET) || !p)
        return CUDA_ERROR_INVALID_VALUE;
    const vg_set *s = &n->work.set;
    *p = (CUmemsetNode){s->to, s->pitch, s->value, s->element, s->width, s->height};
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphHostNodeGetParams(CUgraphNode n, CUhostNode *p) {
    return vg_is_node(n, VG_WORK_HOST) && p ? (*p = (CUhostNode){n->work.host.fn, n->work.host.user}, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode n, CUgraph *out) {
    return vg_is_node(n, VG_WORK_GRAPH) && out ? (*out = n->work.child.graph, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode n, CUevent *out) {
    return vg_is_node(n, VG_WORK_RECORD) && out ? (*out = n->work.event, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode n, CUevent *out) {
    return vg_is_node(n, VG_WORK_WAIT) && out ? (*out = n->work.event, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphMemAllocNodeGetParams(CUgraphNode n, CUallocNode *p) {
    if (!vg_is_node(n, VG_WORK_ALLOC) || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = (CUallocNode){.pool = {.type = 1, .where = {1, 0}}, .bytes = n->work.memory.bytes, .at = n->work.memory.at};
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphMemFreeNodeGetParams(CUgraphNode n, CUdeviceptr *p) {
    return vg_is_node(n, VG_WORK_FREE) && p ? (*p = n->work.memory.at, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode n, CUbatchNode *p) {
    if (!vg_is_node(n, VG_WORK_MEM_OPS) || !p)
        return CUDA_ERROR_INVALID_VALUE;
    *p = (CUbatchNode){vg_front_current(), n->work.mem_ops.n, n->work.mem_ops.ops, 0};
    return CUDA_SUCCESS;
}

// ---- replacing, in a graph and in an executable one

CUresult vg_node_replace(CUgraphNode n, const vg_work *w) {
    vg_work fresh;
    if (w->kind == VG_WORK_WAIT || w->kind == VG_WORK_RECORD)
        w->event->in_graphs = true;
    CUresult r = vg_work_copy(&fresh, w);
    if (r != CUDA_SUCCESS)
        return r;
    if (fresh.kind == VG_WORK_KERNEL) {   // attributes are the node's, not the parameters'
        fresh.kernel.q.cooperative = n->work.kernel.q.cooperative;
        memcpy(fresh.kernel.q.cluster, n->work.kernel.q.cluster, sizeof fresh.kernel.q.cluster);
    }
    vg_work_release(&n->work);
    n->work = fresh;
    return CUDA_SUCCESS;
}

static CUgraphNode node_in_exec(CUgraphExec e, CUgraphNode n) {
    if (!vg_handle_is(e, VG_EXEC) || !vg_is_node(n, VG_ANY_KIND))
        return NULL;
    for (size_t i = 0; i < e->graph->nodes.n; i++)
        if (e->graph->nodes.v[i]->origin == n)
            return e->graph->nodes.v[i];
    return NULL;
}

static CUresult replace(CUgraphNode n, CUresult made, vg_work *w) {
    CUresult r = made;
    if (r == CUDA_SUCCESS)
        r = n->work.kind == w->kind ? vg_node_replace(n, w) : CUDA_ERROR_INVALID_VALUE;
    if (made == CUDA_SUCCESS)
        vg_work_release(w);
    return r;
}
#define SET(name, exec_name, node_kind, parameters, made)                                   \
    VG_API CUresult name(CUgraphNode n, parameters) {                                              \
        vg_work w;                                                                                 \
        return vg_is_node(n, node_kind) ? replace(n, made, &w) : CUDA_ERROR_INVALID_VALUE;         \
    }                                                                                              \
    VG_API CUresult exec_name(CUgraphExec e, CUgraphNode node, parameters) {                       \
        vg_work w;                                                                                 \
        CUgraphNode n = node_in_exec(e, node);                                                     \
        return n && n->work.kind == node_kind ? replace(n, made, &w) : CUDA_ERROR_INVALID_VALUE;   \
    }
SET(cuGraphKernelNodeSetParams, cuGraphExecKernelNodeSetParams, VG_WORK_KERNEL, const CUkernelNode *p, work_of_kernel(p, &w))
SET(cuGraphKernelNodeSetParams_v2, cuGraphExecKernelNodeSetParams_v2, VG_WORK_KERNEL, const CUkernelNode2 *p, work_of_kernel2(p, &w))
SET(cuGraphHostNodeSetParams, cuGraphExecHostNodeSetParams, VG_WORK_HOST, const CUhostNode *p, work_of_host(p, &w))
SET(cuGraphEventRecordNodeSetEvent, cuGraphExecEventRecordNodeSetEvent, VG_WORK_RECORD, CUevent v, work_of_event(VG_WORK_RECORD, v, &w))
SET(cuGraphEventWaitNodeSetEvent, cuGraphExecEventWaitNodeSetEvent, VG_WORK_WAIT, CUevent v, work_of_event(VG_WORK_WAIT, v, &w))
SET(cuGraphBatchMemOpNodeSetParams, cuGraphExecBatchMemOpNodeSetParams, VG_WORK_MEM_OPS, const CUbatchNode *p, work_of_ops(p, &w))

VG_API CUresult cuGraphMemcpyNodeSetParams(CUgraphNode n, const CUmemcpy3D *p) {
    vg_work w;
    return vg_is_node(n, VG_WORK_COPY) ? replace(n, work_of_copy(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphMemsetNodeSetParams(CUgraphNode n, const CUmemsetNode *p) {
    vg_work w;
    return vg_is_node(n, VG_WORK_SET) ? replace(n, work_of_set(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec e, CUgraphNode node, const CUmemcpy3D *p, CUcontext context) {
    vg_work w;
    CUgraphNode n = node_in_exec(e, node);
    CUresult r = is_current(context);
    return r != CUDA_SUCCESS ? r : n && n->work.kind == VG_WORK_COPY ? replace(n, work_of_copy(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec e, CUgraphNode node, const CUmemsetNode *p, CUcontext context) {
    vg_work w;
    CUgraphNode n = node_in_exec(e, node);
    CUresult r = is_current(context);
    return r != CUDA_SUCCESS ? r : n && n->work.kind == VG_WORK_SET ? replace(n, work_of_set(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec e, CUgraphNode node, CUgraph child) {
    vg_work w;
    CUgraphNode n = node_in_exec(e, node);
    return n && n->work.kind == VG_WORK_GRAPH ? replace(n, work_of_child(child, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
static bool may_replace(CUgraphNode n, const CUgraphNodeParams *p) {
    return n && p && (int)n->work.kind == p->type && p->type != VG_WORK_ALLOC && p->type != VG_WORK_FREE;
}
VG_API CUresult cuGraphNodeSetParams(CUgraphNode n, CUgraphNodeParams *p) {
    vg_work w;
    return vg_is_node(n, VG_ANY_KIND) && may_replace(n, p) ? replace(n, work_of_params(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphExecNodeSetParams(CUgraphExec e, CUgraphNode node, CUgraphNodeParams *p) {
    vg_work w;
    CUgraphNode n = node_in_exec(e, node);
    return may_replace(n, p) ? replace(n, work_of_params(p, &w), &w) : CUDA_ERROR_INVALID_VALUE;
}

// ---- whether a node of an executable graph runs

static bool can_be_disabled(CUgraphNode n) { return n && (n->work.kind == VG_WORK_KERNEL || n->work.kind == VG_WORK_COPY || n->work.kind == VG_WORK_SET); }
VG_API CUresult cuGraphNodeSetEnabled(CUgraphExec e, CUgraphNode node, unsigned enabled) {
    CUgraphNode n = node_in_exec(e, node);
    return can_be_disabled(n) ? (n->disabled = !enabled, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuGraphNodeGetEnabled(CUgraphExec e, CUgraphNode node, unsigned *enabled) {
    CUgraphNode n = node_in_exec(e, node);
    return can_be_disabled(n) && enabled ? (*enabled = !n->disabled, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
}

// ---- attributes of kernel nodes: cooperative launch and cluster size take effect, the others are hints that read back as set

static bool is_attribute(int id) { return id >= 1 && id <= 14 && id != 12 && id != 13 && id != 7; }
VG_API CUresult cuGraphKernelNodeGetAttribute(CUgraphNode n, int id, CUlaunchAttributeValue *out) {
    if (!vg_is_node(n, VG_WORK_KERNEL) || !is_attribute(id) || !out)
        return CUDA_ERROR_INVALID_VALUE;
    *out = n->attribute[id];
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphKernelNodeSetAttribute(CUgraphNode n, int id, const CUlaunchAttributeValue *value) {
    if (!vg_is_node(n, VG_WORK_KERNEL) || !is_attribute(id) || !value)
        return CUDA_ERROR_INVALID_VALUE;
    vg_launch_request *q = &n->work.kernel.q;
    if (id == CU_ATTRIBUTE_COOPERATIVE)
        q->cooperative = value->cooperative != 0;
    else if (id == CU_ATTRIBUTE_CLUSTER)
        memcpy(q->cluster, value, sizeof q->cluster);
    n->attribute[id] = *value;
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from) {
    if (!vg_is_node(to, VG_WORK_KERNEL) || !vg_is_node(from, VG_WORK_KERNEL))
        return CUDA_ERROR_INVALID_VALUE;
    memmove(to->attribute, from->attribute, sizeof to->attribute);
    to->work.kernel.q.cooperative = from->work.kernel.q.cooperative;
    memcpy(to->work.kernel.q.cluster, from->work.kernel.q.cluster, sizeof to->work.kernel.q.cluster);
    return CUDA_SUCCESS;
}
