// propose/rewrite_row: what row_to_warp, row_to_block, row_scan and reduction share: dealt loops, and the reduction helpers
// put before a kernel.
#ifndef HONE_PROPOSE_REWRITE_ROW_H
#define HONE_PROPOSE_REWRITE_ROW_H
#include "propose/rewrite.h"

typedef struct row_acc { const char *name, *kind; const hone_node *update[8]; size_t n_updates; } row_acc;   // kind: "sum" "max" "min"
typedef struct row_loop { hone_loop loop; row_acc acc[8]; size_t n_acc; } row_loop;
typedef struct row_kernel { rw_frame frame; row_loop loop[12]; size_t n_loops; } row_kernel;
typedef struct row_names { const char *lane, *lanes, *scope; } row_names;   // "lane", "32" or "blockDim.x", "warp" or "block"
extern const char *rw_warp_key, *rw_warp_helpers, *rw_block_key, *rw_block_helpers;
// A counted loop whose iterations are independent but for accumulators; stores are judged by row_kernel_of.
bool row_loop_of(rw *r, const rw_unit *u, const hone_node *stmt, row_loop *l);
bool row_kernel_of(rw *r, const rw_unit *u, row_kernel *k);
void row_edits(rw *r, const rw_unit *u, const row_kernel *k, const row_names *names);
void row_to_warp_frame(rw *r, const rw_unit *u, const rw_frame *f, row_names *names);
#endif
