// async: which bytes of a block's shared memory asynchronous bulk copies are to fill. The copy itself is made when it is issued, which is legal
// because nothing may look at the bytes before the wait; to see that nothing does, they count as unwritten (in the initialisation shadow) from the
// issue until a thread of the block sees the phase of its mbarrier complete. Waiting is tracked per block, not per thread: who reads after another
// thread's wait is taken to have synchronised with it.
#ifndef HONE_VGPU_ASYNC_H
#define HONE_VGPU_ASYNC_H
#include "vgpu/warp.h"

typedef struct vg_async vg_async;
vg_async *vg_async_new(void);
void vg_async_free(vg_async *a);
void vg_async_clear(vg_async *a);                      // a new block
bool vg_async_any(const vg_async *a);
// [at, at+bytes) of b's shared memory will be there when the mbarrier at offset `mbarrier`, now in `phase` (a parity), completes it.
void vg_async_begin(vg_block *b, uint32_t mbarrier, uint32_t phase, uint64_t at, size_t bytes);
// A thread of b saw the mbarrier in another phase than `phase`: whatever was to complete in that phase is there.
void vg_async_waited(vg_block *b, uint32_t mbarrier, uint32_t phase);
bool vg_async_pending(const vg_async *a, uint64_t at, size_t bytes, uint32_t *mbarrier);
#endif
