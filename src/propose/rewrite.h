// propose/rewrite: what the source-level moves share. A move reads a parsed candidate (task, one tree per kernel), writes text edits and
// emits; every emit is a complete task file. Moves live in rewrite_*.c, one file per group, listed in rewrite_moves.def.
// owns: everything made here lives in r->arena (the generation's), except the edit and output vectors, which rewrite.c frees.
#ifndef HONE_PROPOSE_REWRITE_H
#define HONE_PROPOSE_REWRITE_H
#include "cuda/ast.h"
#include "propose/propose.h"

typedef struct rw_unit {           // one kernel that is launched exactly once
    const hone_kernel *kernel;
    const hone_launch *launch;
    hone_ast ast;
    bool distinct_buffers;         // no buffer is passed to two parameters
} rw_unit;

typedef struct rw_edit { size_t at, end, order; const char *text; } rw_edit;
typedef struct rw {
    hone_arena *arena;
    const hone_task *task;         // the parent, parsed
    const hone_task *contract;     // the task being optimized
    const hone_candidate *parent;
    hone_rng *rng;
    rw_unit *unit; size_t n_units;
    HONE_VEC(rw_edit) edits;
    HONE_VEC(hone_proposal) out;
    HONE_VEC(char *) names;        // names given out by rw_fresh since the last emit
    size_t limit;                  // stop emitting after so many
    const char *move;
    bool oom;
} rw;
typedef void (*rw_move_fn)(rw *r);

// ---- edits (byte ranges of the parent's text; several insertions at one place keep their order) and emission
const char *rw_text(rw *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void rw_replace(rw *r, size_t at, size_t end, const char *text);
void rw_insert(rw *r, size_t at, const char *text);
void rw_replace_node(rw *r, const rw_unit *u, const hone_node *n, const char *text);
void rw_drop_edits(rw *r);
// Applies the edits, appends one proposal (unless nothing changed) and forgets them. tuning may be NULL: then the parent's carries over.
void rw_emit(rw *r, const hone_binding *tuning, size_t n_tuning, const char *note);
bool rw_full(const rw *r);
// A name that occurs nowhere in the text yet: base, base2, base3 …
const char *rw_fresh(rw *r, const char *base);
// The same within one kernel: a local name.
const char *rw_local(rw *r, const rw_unit *u, const char *base);
// Removes a statement and, when nothing else stands there, its line.
void rw_remove(rw *r, const rw_unit *u, const hone_node *n);
unsigned rw_line(const rw_unit *u, const hone_node *n);
// White space before the line that holds byte `at`.
const char *rw_indent(rw *r, size_t at);

// ---- rendering with substitution
typedef struct rw_subst { const hone_node *node; const char *name; const char *text; } rw_subst;   // by node, or by identifier
const char *rw_render(rw *r, const rw_unit *u, const hone_node *n, const rw_subst *s, size_t n_s);
const char *rw_render_range(rw *r, const rw_unit *u, const hone_node *const *stmts, size_t n_stmts, const rw_subst *s, size_t n_s,
                            const char *indent);
const char *rw_times(rw *r, const char *a, int64_t factor);          // "256", 4 → "1024"; "B", 4 → "B*4"

// ---- task file lines
typedef struct rw_grid { const char *grid[3], *block[3], *smem; } rw_grid;
rw_grid rw_grid_of(rw *r, const rw_unit *u);                         // as they are
void rw_set_launch(rw *r, const rw_unit *u, const rw_grid *g);       // edit: the launch line with these
void rw_set_launch_args(rw *r, const hone_launch *l, const char *from, const char *to);   // edit: arguments equal to `from` become `to`
void rw_add_lines(rw *r, const rw_unit *u, const char *lines);       // edit: "#pragma hone …\n" lines before the unit's launch line
void rw_add_before_kernel(rw *r, const rw_unit *u, const char *key, const char *text);   // unless `key` occurs in the text already
const char *rw_launch_expr(rw *r, const rw_unit *u, const hone_node *n);   // kernel expression → launch expression; NULL when impossible
const char *rw_arg_buffer(const rw_unit *u, const char *param);      // buffer passed to it, or NULL
const char *rw_arg_value(const rw_unit *u, const char *param);       // text of the value passed to it, or NULL
const hone_arg *rw_buffer(const rw *r, const char *name);
bool rw_literal(const char *text, int64_t *out);
bool rw_same_expr(const char *a, const char *b);                     // but for white space and outer parentheses
bool rw_block_size(const rw_unit *u, int64_t block[3]);              // literal block extents
// cdiv(X, B) → X when B is `block`; otherwise "(G)*(B)": how far the launch's threads reach along an axis.
const char *rw_reach(rw *r, const char *grid, const char *block);

// ---- the usual frame: global indices, a guard, inner statements
typedef struct rw_axis { bool found; const hone_node *decl; const char *name, *type; const hone_node *bound; } rw_axis;
typedef struct rw_frame {
    rw_axis axis[3];
    unsigned n_axes;
    const hone_node *guard;              // NULL when there is none
    bool early;                          // if (…) return; instead of if (…) { … }
    hone_node *const *inner; size_t n_inner;
} rw_frame;
// True when the body is: declarations of blockIdx.a*blockDim.a+threadIdx.a, a guard that bounds every axis, statements; and no other use
// of thread indices. Bounds are uniform values (no axis variable in them).
bool rw_frame_of(const rw_unit *u, rw_frame *f);
const char *rw_extent(rw *r, const rw_unit *u, const rw_frame *f, unsigned axis);   // launch expression that covers the axis
bool rw_has_kind(const hone_ast *ast, const hone_node *root, hone_node_kind kind);
bool rw_has_barrier(const hone_ast *ast, const hone_node *root);
bool rw_param_written(const rw_unit *u, const char *param);          // also when unsure
const char *rw_elem_type(const rw_unit *u, const char *param);       // "float"; NULL for no pointer
unsigned rw_elem_bytes(const char *type);                            // 0 when unknown
const char *rw_scalar_type(rw *r, const hone_ast *ast, const char *local);   // declared type without qualifiers; NULL when unknown
bool rw_is_float_type(const char *type);
bool rw_writes_match(const rw_unit *u, const hone_node *root);       // every store goes to a traced access

#define RW_MOVE(name, fn, does) void fn(rw *r);
#include "propose/rewrite_moves.def"
#undef RW_MOVE
#endif
