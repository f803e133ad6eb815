// Graphs: nodes are pieces of work with the nodes they depend on. An instantiated graph is a copy whose nodes stand in an order that respects every
// dependency; a child graph is a copy owned by its node.
#ifndef HONE_VGPU_GRAPH_H
#define HONE_VGPU_GRAPH_H
#include "vgpu/driver/work.h"

struct CUgraphNode_st {
    struct CUgraph_st *graph;
    vg_work work;
    HONE_VEC(CUgraphNode) deps;
    CUgraphNode origin;                  // of a copied node: what it was copied from (may be gone: compare only)
    CUgraphNode copy;                    // scratch of vg_graph_copy
    unsigned index;                      // order of creation
    bool disabled;
    CUlaunchAttributeValue attribute[17];
    double end_us;                       // modelled, of the last run
};
typedef struct vg_object_use { CUuserObject object; unsigned count; } vg_object_use;
struct CUgraph_st {
    HONE_VEC(CUgraphNode) nodes;
    HONE_VEC(vg_object_use) objects;
    unsigned next_index;
    bool owned;                          // a child's, an executable's or a capture's: not the caller's to destroy
};
struct CUgraphExec_st {
    struct CUgraph_st *graph;
    uint64_t flags;
    unsigned running;
    bool dead;
};

struct CUgraph_st *vg_graph_new(void);
bool vg_is_graph(CUgraph g);
bool vg_is_node(CUgraphNode n, int kind);   // VG_ANY_KIND: any
enum { VG_ANY_KIND = -1 };
// Adds a node with a copy of the work.
CUresult vg_graph_add(struct CUgraph_st *g, const CUgraphNode *deps, size_t n, const vg_work *w, CUgraphNode *out);
bool vg_graph_depends(CUgraphNode n, CUgraphNode on);   // directly
// False when the graph (or a child) has a cycle.
bool vg_graph_is_sound(const struct CUgraph_st *g);
bool vg_node_in(const struct CUgraph_st *g, CUgraphNode n);
// graph_nodes.c: replaces the work of a node by that of parameters of the same kind.
CUresult vg_node_replace(CUgraphNode n, const vg_work *w);
#endif
