// Graphs as structures: creation, copies, edges, questions about them, user objects. What nodes do: graph_nodes.c; running them: graph_exec.c.
#include "vgpu/driver/graph.h"
#include <stdio.h>
#include <string.h>

bool vg_is_graph(CUgraph g) { return vg_handle_is(g, VG_GRAPH); }
bool vg_is_node(CUgraphNode n, int kind) { return vg_handle_is(n, VG_NODE) && (kind == VG_ANY_KIND || (int)n->work.kind == kind); }

struct CUgraph_st *vg_graph_new(void) {
    struct CUgraph_st *g = hone_calloc(1, sizeof *g);
    if (g && !vg_handle_add(g, VG_GRAPH)) {
        hone_free(g);
        g = NULL;
    }
    return g;
}

static void node_free(CUgraphNode n) {
    vg_handle_drop(n);
    vg_work_release(&n->work);
    hone_vec_free(&n->deps);
    hone_free(n);
}

// ---- user objects

struct CUuserObject_st { void *data; void (*destroy)(void *); unsigned refs; };

static void object_keep(CUuserObject o, unsigned n) { __atomic_add_fetch(&o->refs, n, __ATOMIC_RELAXED); }
static void object_drop(CUuserObject o, unsigned n) {
    if (__atomic_sub_fetch(&o->refs, n, __ATOMIC_ACQ_REL))
        return;
    vg_handle_drop(o);
    o->destroy(o->data);
    hone_free(o);
}

VG_API CUresult cuUserObjectCreate(CUuserObject *out, void *data, void (*destroy)(void *), unsigned refs, unsigned flags) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || !destroy || !refs || refs > INT32_MAX || flags != 1)   // the only flag, and required
        return CUDA_ERROR_INVALID_VALUE;
    CUuserObject o = hone_calloc(1, sizeof *o);
    if (!o || !vg_handle_add(o, VG_USER_OBJECT)) {
        hone_free(o);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *o = (struct CUuserObject_st){data, destroy, refs};
    *out = o;
    return CUDA_SUCCESS;
}
VG_API CUresult cuUserObjectRetain(CUuserObject o, unsigned n) {
    if (!vg_handle_is(o, VG_USER_OBJECT) || !n || n > INT32_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    object_keep(o, n);
    return CUDA_SUCCESS;
}
VG_API CUresult cuUserObjectRelease(CUuserObject o, unsigned n) {
    if (!vg_handle_is(o, VG_USER_OBJECT) || !n || n > o->refs)
        return CUDA_ERROR_INVALID_VALUE;
    object_drop(o, n);
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphRetainUserObject(CUgraph g, CUuserObject o, unsigned n, unsigned flags) {
    if (!vg_is_graph(g) || !vg_handle_is(o, VG_USER_OBJECT) || !n || n > INT32_MAX || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    vg_object_use use = {o, n};
    if (!hone_vec_push(&g->objects, use))
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (!flags)   // else the caller's references move to the graph
        object_keep(o, n);
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphReleaseUserObject(CUgraph g, CUuserObject o, unsigned n) {
    if (!vg_is_graph(g) || !vg_handle_is(o, VG_USER_OBJECT) || !n)
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < g->objects.n; i++)
        if (g->objects.v[i].object == o && g->objects.v[i].count >= n) {
            g->objects.v[i].count -= n;
            if (!g->objects.v[i].count)
                g->objects.v[i] = g->objects.v[--g->objects.n];
            object_drop(o, n);
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_VALUE;
}

void vg_graph_free(struct CUgraph_st *g) {
    if (!g)
        return;
    vg_handle_drop(g);
    for (size_t i = 0; i < g->nodes.n; i++)
        node_free(g->nodes.v[i]);
    for (size_t i = 0; i < g->objects.n; i++)
        object_drop(g->objects.v[i].object, g->objects.v[i].count);
    hone_vec_free(&g->nodes);
    hone_vec_free(&g->objects);
    hone_free(g);
}

VG_API CUresult cuGraphCreate(CUgraph *out, unsigned flags) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!out || flags)
        return CUDA_ERROR_INVALID_VALUE;
    *out = vg_graph_new();
    return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
VG_API CUresult cuGraphDestroy(CUgraph g) {
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!vg_is_graph(g) || g->owned)
        return CUDA_ERROR_INVALID_VALUE;
    vg_graph_free(g);
    return CUDA_SUCCESS;
}

// ---- nodes

bool vg_node_in(const struct CUgraph_st *g, CUgraphNode n) { return vg_handle_is(n, VG_NODE) && n->graph == g; }

bool vg_graph_depends(CUgraphNode n, CUgraphNode on) {
    for (size_t i = 0; i < n->deps.n; i++)
        if (n->deps.v[i] == on)
            return true;
    return false;
}

static CUresult note_events(const vg_work *w) {
    if (w->kind == VG_WORK_WAIT || w->kind == VG_WORK_RECORD) {
        if (!vg_handle_is(w->event, VG_EVENT))
            return CUDA_ERROR_INVALID_HANDLE;
        w->event->in_graphs = true;
    }
    return CUDA_SUCCESS;
}

CUresult vg_graph_add(struct CUgraph_st *g, const CUgraphNode *deps, size_t n, const vg_work *w, CUgraphNode *out) {
    CUresult r = note_events(w);
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
        r = vg_node_in(g, deps[i]) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        for (size_t k = 0; k < i && r == CUDA_SUCCESS; k++)
            r = deps[k] == deps[i] ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;   // twice the same
    }
    CUgraphNode node = r == CUDA_SUCCESS ? hone_calloc(1, sizeof *node) : NULL;
    if (!node)
        return r == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : r;
    r = vg_work_copy(&node->work, w);
    if (r != CUDA_SUCCESS) {
        hone_free(node);
        return r;
    }
    node->graph = g;
    node->index = g->next_index++;
    bool fine = vg_handle_add(node, VG_NODE);
    for (size_t i = 0; i < n && fine; i++)
        fine = hone_vec_push(&node->deps, deps[i]);
    if (!fine || !hone_vec_push(&g->nodes, node)) {
        node_free(node);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = node;
    return CUDA_SUCCESS;
}

VG_API CUresult cuGraphDestroyNode(CUgraphNode n) {
    if (!vg_is_node(n, VG_ANY_KIND))
        return CUDA_ERROR_INVALID_VALUE;
    struct CUgraph_st *g = n->graph;
    if (g->owned)
        return CUDA_ERROR_NOT_SUPPORTED;
    for (size_t i = 0, to = 0; i < g->nodes.n; i++)
        g->nodes.v[to] = g->nodes.v[i], to += g->nodes.v[i] != n;
    g->nodes.n--;
    for (size_t i = 0; i < g->nodes.n; i++) {
        CUgraphNode other = g->nodes.v[i];
        for (size_t k = 0; k < other->deps.n; k++)
            if (other->deps.v[k] == n)
                other->deps.v[k--] = other->deps.v[--other->deps.n];
    }
    node_free(n);
    return CUDA_SUCCESS;
}

// ---- order and copies

// Appends n after what it depends on. `copy` is the mark: NULL not seen, n itself in progress, anything else done. False for a cycle.
static bool visit(CUgraphNode n, CUgraphNode *order, size_t *count) {
    if (n->copy)
        return n->copy != n;
    n->copy = n;
    for (size_t i = 0; i < n->deps.n; i++)
        if (!visit(n->deps.v[i], order, count))
            return false;
    n->copy = (CUgraphNode)(uintptr_t)1;
    order[(*count)++] = n;
    return true;
}

// The nodes in an order that respects dependencies. NULL when there is a cycle or no memory (*cycle tells). owns: hone_free
static CUgraphNode *ordered(const struct CUgraph_st *g, bool *cycle) {
    CUgraphNode *order = hone_calloc(g->nodes.n + 1, sizeof(CUgraphNode));
    size_t count = 0;
    *cycle = false;
    for (size_t i = 0; i < g->nodes.n; i++)
        g->nodes.v[i]->copy = NULL;
    for (size_t i = 0; order && i < g->nodes.n && !*cycle; i++)
        *cycle = !visit(g->nodes.v[i], order, &count);
    if (*cycle) {
        hone_free(order);
        return NULL;
    }
    return order;
}

bool vg_graph_is_sound(const struct CUgraph_st *g) {
    bool cycle;
    hone_free(ordered(g, &cycle));
    return !cycle;
}

static CUgraphNode copy_node(struct CUgraph_st *g, CUgraphNode from) {
    CUgraphNode deps[64], *all = from->deps.n <= 64 ? deps : hone_calloc(from->deps.n, sizeof *all), n = NULL;
    for (size_t i = 0; all && i < from->deps.n; i++)
        all[i] = from->deps.v[i]->copy;
    if (all && vg_graph_add(g, all, from->deps.n, &from->work, &n) == CUDA_SUCCESS) {
        n->origin = from;
        n->disabled = from->disabled;
        n->index = from->index;
        memcpy(n->attribute, from->attribute, sizeof n->attribute);
    }
    if (all != deps)
        hone_free(all);
    return n;
}

struct CUgraph_st *vg_graph_copy(const struct CUgraph_st *g) {
    bool cycle, fine;
    CUgraphNode *order = ordered(g, &cycle);
    struct CUgraph_st *to = order ? vg_graph_new() : NULL;
    fine = to != NULL;
    for (size_t i = 0; fine && i < g->nodes.n; i++)
        fine = (order[i]->copy = copy_node(to, order[i])) != NULL;
    for (size_t i = 0; fine && i < g->objects.n; i++) {
        fine = hone_vec_push(&to->objects, g->objects.v[i]);
        if (fine)
            object_keep(g->objects.v[i].object, g->objects.v[i].count);
    }
    hone_free(order);
    if (!fine) {
        vg_graph_free(to);
        return NULL;
    }
    to->owned = true;
    to->next_index = g->next_index;
    return to;
}

VG_API CUresult cuGraphClone(CUgraph *out, CUgraph from) {
    if (!out || !vg_is_graph(from))
        return CUDA_ERROR_INVALID_VALUE;
    struct CUgraph_st *g = vg_graph_copy(from);
    if (!g)
        return CUDA_ERROR_OUT_OF_MEMORY;
    g->owned = false;
    *out = g;
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphNodeFindInClone(CUgraphNode *out, CUgraphNode original, CUgraph clone) {
    if (!out || !vg_is_node(original, VG_ANY_KIND) || !vg_is_graph(clone))
        return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < clone->nodes.n; i++)
        if (clone->nodes.v[i]->origin == original)
            return *out = clone->nodes.v[i], CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

// ---- questions. Lists are given as the API gives them: without an array only the count, with one at most *n, the rest NULL.

typedef struct list { CUgraphNode *from, *to; size_t cap, n; } list;
static void put(list *l, CUgraphNode a, CUgraphNode b) {
    if (l->n < l->cap) {
        if (l->from)
            l->from[l->n] = a;
        if (l->to)
            l->to[l->n] = b;
    }
    l->n++;
}
static CUresult close_list(list *l, size_t *n) {
    if (!l->from && !l->to) {
        *n = l->n;
        return CUDA_SUCCESS;
    }
    for (size_t i = l->n; i < l->cap; i++) {
        if (l->from)
            l->from[i] = NULL;
        if (l->to)
            l->to[i] = NULL;
    }
    *n = l->n < l->cap ? l->n : l->cap;
    return CUDA_SUCCESS;
}

VG_API CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *n) {
    if (!vg_is_graph(g) || !n)
        return CUDA_ERROR_INVALID_VALUE;
    list l = {.from = nodes, .cap = *n};
    for (size_t i = 0; i < g->nodes.n; i++)
        put(&l, g->nodes.v[i], NULL);
    return close_list(&l, n);
}
VG_API CUresult cuGraphGetRootNodes(CUgraph g, CUgraphNode *nodes, size_t *n) {
    if (!vg_is_graph(g) || !n)
        return CUDA_ERROR_INVALID_VALUE;
    list l = {.from = nodes, .cap = *n};
    for (size_t i = 0; i < g->nodes.n; i++)
        if (!g->nodes.v[i]->deps.n)
            put(&l, g->nodes.v[i], NULL);
    return close_list(&l, n);
}
VG_API CUresult cuGraphGetEdges(CUgraph g, CUgraphNode *from, CUgraphNode *to, size_t *n) {
    if (!vg_is_graph(g) || !n || !from != !to)
        return CUDA_ERROR_INVALID_VALUE;
    list l = {from, to, *n, 0};
    for (size_t i = 0; i < g->nodes.n; i++)
        for (size_t k = 0; k < g->nodes.v[i]->deps.n; k++)
            put(&l, g->nodes.v[i]->deps.v[k], g->nodes.v[i]);
    return close_list(&l, n);
}
VG_API CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *deps, size_t *n) {
    if (!vg_is_node(node, VG_ANY_KIND) || !n)
        return CUDA_ERROR_INVALID_VALUE;
    list l = {.from = deps, .cap = *n};
    for (size_t i = 0; i < node->deps.n; i++)
        put(&l, node->deps.v[i], NULL);
    return close_list(&l, n);
}
VG_API CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *n) {
    if (!vg_is_node(node, VG_ANY_KIND) || !n)
        return CUDA_ERROR_INVALID_VALUE;
    list l = {.from = nodes, .cap = *n};
    for (size_t i = 0; i < node->graph->nodes.n; i++)
        if (vg_graph_depends(node->graph->nodes.v[i], node))
            put(&l, node->graph->nodes.v[i], NULL);
    return close_list(&l, n);
}
// The forms with edge data: every edge is a plain one, all zeros.
static void plain_edges(CUgraphEdge *data, const size_t *n) {
    if (data && n)
        memset(data, 0, *n * sizeof *data);
}
VG_API CUresult cuGraphGetEdges_v2(CUgraph g, CUgraphNode *from, CUgraphNode *to, CUgraphEdge *data, size_t *n) {
    CUresult r = cuGraphGetEdges(g, from, to, n);
    if (r == CUDA_SUCCESS && from)
        plain_edges(data, n);
    return r;
}
VG_API CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *deps, CUgraphEdge *data, size_t *n) {
    CUresult r = cuGraphNodeGetDependencies(node, deps, n);
    if (r == CUDA_SUCCESS && deps)
        plain_edges(data, n);
    return r;
}
VG_API CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes, CUgraphEdge *data, size_t *n) {
    CUresult r = cuGraphNodeGetDependentNodes(node, nodes, n);
    if (r == CUDA_SUCCESS && nodes)
        plain_edges(data, n);
    return r;
}

// ---- edges

static CUresult check_edges(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, size_t n) {
    if (!vg_is_graph(g) || (n && (!from || !to)))
        return CUDA_ERROR_INVALID_VALUE;
    if (g->owned)
        return CUDA_ERROR_NOT_SUPPORTED;
    for (size_t i = 0; i < n; i++)
        if (!vg_node_in(g, from[i]) || !vg_node_in(g, to[i]) || from[i] == to[i])
            return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
VG_API CUresult cuGraphAddDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, size_t n) {
    CUresult r = check_edges(g, from, to, n);
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        if (vg_graph_depends(to[i], from[i]))
            r = CUDA_ERROR_INVALID_VALUE;   // there already
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        r = hone_vec_push(&to[i]->deps, from[i]) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    return r;
}
VG_API CUresult cuGraphRemoveDependencies(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, size_t n) {
    CUresult r = check_edges(g, from, to, n);
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        if (!vg_graph_depends(to[i], from[i]))
            r = CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++)
        for (size_t k = 0; k < to[i]->deps.n; k++)
            if (to[i]->deps.v[k] == from[i])
                to[i]->deps.v[k--] = to[i]->deps.v[--to[i]->deps.n];
    return r;
}
static bool are_plain(const CUgraphEdge *data, size_t n) {
    static const CUgraphEdge plain;
    for (size_t i = 0; data && i < n; i++)
        if (memcmp(&data[i], &plain, sizeof plain))
            return false;
    return true;
}
VG_API CUresult cuGraphAddDependencies_v2(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdge *data, size_t n) {
    return are_plain(data, n) ? cuGraphAddDependencies(g, from, to, n) : CUDA_ERROR_NOT_SUPPORTED;
}
VG_API CUresult cuGraphRemoveDependencies_v2(CUgraph g, const CUgraphNode *from, const CUgraphNode *to, const CUgraphEdge *data, size_t n) {
    return are_plain(data, n) ? cuGraphRemoveDependencies(g, from, to, n) : CUDA_ERROR_NOT_SUPPORTED;
}

VG_API CUresult cuGraphDebugDotPrint(CUgraph g, const char *path, unsigned flags) {
    static const char *const kinds[] = {"KERNEL", "MEMCPY", "MEMSET", "HOST", "GRAPH", "EMPTY", "EVENT_WAIT", "EVENT_RECORD", "", "", "MEM_ALLOC", "MEM_FREE", "BATCH_MEM_OP"};
    (void)flags;
    if (!vg_is_graph(g) || !path)
        return CUDA_ERROR_INVALID_VALUE;
    FILE *f = fopen(path, "w");
    if (!f)
        return CUDA_ERROR_OPERATING_SYSTEM;
    fprintf(f, "digraph dot {\n");
    for (size_t i = 0; i < g->nodes.n; i++) {
        CUgraphNode n = g->nodes.v[i];
        fprintf(f, "\"n%u\" [label=\"%u %s%s\"];\n", n->index, n->index, kinds[n->work.kind],
                n->work.kind == VG_WORK_KERNEL && vg_is_function(n->work.kernel.q.f) ? n->work.kernel.q.f->code->func->name : "");
        for (size_t k = 0; k < n->deps.n; k++)
            fprintf(f, "\"n%u\" -> \"n%u\";\n", n->deps.v[k]->index, n->index);
    }
    fprintf(f, "}\n");
    return fclose(f) ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}
