// propose/rewrite_product: matrix-product loops, acc += a(row, k) * b(k, col), as the tiling moves see them, and the text that all of them write: the
// axes that are no tile axes, the loop's bound, what stands around the loop for one output. Operands and everything around the loop are kept as
// written, evaluated for another row and column; so strides, types, conversions, batches, masks and epilogues need no special cases.
#ifndef HONE_PROPOSE_REWRITE_PRODUCT_H
#define HONE_PROPOSE_REWRITE_PRODUCT_H
#include "propose/rewrite_space.h"

enum { RW_SLICE = 16 };
typedef struct rw_operand {
    const hone_node *e;
    bool k_fastest;
    const hone_node *slice[RW_SLICE];
    size_t n_slice;
} rw_operand;
typedef struct rw_product {
    space s;
    hone_loop loop;
    const char *acc, *type;   // accumulator and its type
    const hone_node *acc_decl;
    size_t row, col;   // axes
    rw_operand a, b;   // a depends on row, b on col
    bool ragged_row;   // the loop's bound grows with the row
    const hone_node *bound_slice[RW_SLICE];
    size_t n_bound_slice;
} rw_product;
typedef struct rw_product_names {   // local names that every tiling uses
    const char *bm, *bn, *bk;        // tune parameters: rows, columns and depth of a block's tile
    const char *as, *bs, *k0, *row0, *col0, *tid, *e, *limit, *last;
} rw_product_names;
bool rw_product_of(rw *r, const rw_unit *u, rw_product *p);
rw_product_names rw_product_names_for(rw *r, const rw_unit *u);
const char *rw_statements(rw *r, const rw_unit *u, const hone_node *const *v, size_t n, const char *in);
// Declarations of the axes that are not tiled, from blockIdx.z; *launch: the grid's extent along z.
const char *rw_product_batch(rw *r, const rw_product *p, const char **launch);
// Declares names->limit: where the loop over k ends for the whole tile.
const char *rw_product_limit(rw *r, const rw_unit *u, const rw_product *p, const rw_product_names *t);
// The bound for one element of an operand, in the scope of its row.
const char *rw_product_bound(const rw_unit *u, const rw_product *p, const rw_product_names *t, bool is_a);
// Everything but the loop, for one output whose sum is `sum`; a `return` leaves this output only (continue).
const char *rw_product_epilogue(rw *r, const rw_unit *u, const rw_product *p, const char *sum);
// Launch line and tune lines: blocks of bm × bn outputs with `threads` threads; emits with the values of `shape` for `names`.
void rw_product_emit(rw *r, const rw_unit *u, const rw_product *p, const rw_product_names *t, const char *threads, const char *launch_z, const char *lines,
                     const char *const *names, const int64_t *shape, size_t n, const char *note);
#endif
