// propose/rewrite_space: the data axes of a kernel, whether they come as thread axes (x, y, z) or as digits of one flattened index
// (i % T, i / T % H, i / (T*H)), so that tiling moves see one shape.
#ifndef HONE_PROPOSE_REWRITE_SPACE_H
#define HONE_PROPOSE_REWRITE_SPACE_H
#include "propose/rewrite.h"

enum { SPACE_AXES = 6 };
typedef struct space_axis {
    const char *name, *type;
    const char *extent, *launch_extent;      // in kernel terms, in launch terms
    const hone_node *decl;
} space_axis;
typedef struct space {
    rw_frame frame;
    bool flat;
    space_axis axis[SPACE_AXES]; size_t n;   // flat: fastest first; otherwise x, y, z as found
    const char *flat_name, *flat_value;      // flat: the index and how it is made of its digits
    const hone_node *inner[64]; size_t n_inner;   // the work, without the digits' declarations
} space;
bool rw_space_of(rw *r, const rw_unit *u, space *s);
// Whether e's value depends on `name`, through declared-once locals too. Other axes' declarations are not looked into.
bool rw_depends(const rw_unit *u, const space *s, const hone_node *e, const char *name);
// Declarations among s->inner (before `stop`) that e needs, in order. False when one cannot be repeated elsewhere (it is written later).
bool rw_slice(const rw_unit *u, const space *s, const hone_node *e, const hone_node *stop, const hone_node **out, size_t *n, size_t max);
#endif
