// bulk: cp.async.bulk, cp.async.bulk.tensor, cp.reduce.async.bulk and their prefetches. See bulk.c.
#ifndef HONE_VGPU_BULK_H
#define HONE_VGPU_BULK_H
#include "vgpu/warp.h"

bool vg_bind_bulk(vg_binder *b, const ptx_inst *in, vg_inst *out);
// tensormap_op.c: tensormap.*
bool vg_bind_tensormap(vg_binder *b, const ptx_inst *in, vg_inst *out);
// stack.c: alloca, stacksave, stackrestore
bool vg_bind_stack(vg_binder *b, const ptx_inst *in, vg_inst *out);
// async_store.c: st.async and red.async
bool vg_bind_async_store(vg_binder *b, const ptx_inst *in, vg_inst *out);
// bulk_reduce.c: combines `bytes` bytes of elements at `from` into those at `to`, element by element atomically. false at bind time: no such operation.
bool vg_bulk_can_reduce(ptx_atom op, ptx_type type);
void vg_bulk_reduce(ptx_atom op, ptx_type type, uint8_t *to, const uint8_t *from, size_t bytes);
ptx_type vg_bulk_tensor_type(unsigned tensor_type);   // of a tensor map's data type
#endif
