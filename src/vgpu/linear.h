// linear: integer rows known to be linear in the lane, base + lane * stride. Addresses and loop counters mostly are; such a row is kept as two
// numbers and its 32 values are written only when something needs them, so that address arithmetic costs a few scalar instructions and a load
// knows the shape of its addresses without looking at them.
//
//   … [ tag: 64 bytes ][ row: 32 × u32 or 32 × u64 ] …        rows of tracked registers, constants and special registers have a tag in front
//
// Which registers are tracked is decided once per function (linear.c): those that addresses and integer comparisons depend on, and that only
// instructions with a form below write. Handlers of those instructions (op_linear.c) work on tags; every other instruction that reads a tracked
// register is wrapped, so that the values are there when it looks. Partial masks always work on values.
#ifndef HONE_VGPU_LINEAR_H
#define HONE_VGPU_LINEAR_H
#include "vgpu/warp.h"

enum { VG_TAG_BYTES = 64, VG_LINEAR = 1 /* base and stride hold for all 32 lanes */, VG_STALE = 2 /* the row's values are older than the tag */,
       VG_PLANE = 4 /* instead of LINEAR: lane l holds base + l % width * stride + l / width * jump, as in blocks narrower than a warp */,
       VG_EXTENT = 8 /* low, high and bits hold for the row's values, which are up to date */ };
typedef struct vg_tag {
    uint64_t base, stride;             // of a 32-bit row modulo 2^32
    uint32_t flags;                    // 0: only the row's values count
    uint32_t width;                    // PLANE: 8 or 16
    uint64_t jump;                     // PLANE
    uint64_t low, high, bits;          // EXTENT: the least and the greatest value as signed numbers, and all values or-ed
} vg_tag;

// What belongs to an instruction that has to do with tracked registers; vg_code.linear[index].
typedef struct vg_linear {
    vg_handler full, masked;           // on values
    const uint32_t *rows;              // tracked rows and special registers it reads; bit 0: 64-bit row
    uint8_t n_rows;
    bool tracked;                      // its destination is a tracked row (in->d), …
    bool wide;                         // … a 64-bit one
} vg_linear;

_Static_assert(sizeof(vg_tag) <= VG_TAG_BYTES, "a tag fits in front of its row");
static inline vg_tag *vg_tag_at(uint8_t *file, uint32_t row) { return (vg_tag *)(void *)(file + row - VG_TAG_BYTES); }
static inline vg_tag *vg_tag_of(vg_warp *w, uint32_t row) { return vg_tag_at(w->file, row); }

// Writes the values of a row whose tag is ahead of them; the tag stays valid. wide: a 64-bit row.
void vg_linear_spill(uint8_t *file, uint32_t row, bool wide);
// Sets the tag of a row from its values: linear or not.
void vg_linear_detect(uint8_t *file, uint32_t row, bool wide);

// For the families' bind functions: is the register (REG, or the base of an ADDR) tracked, and may the operand's tag be read: a tracked register,
// a constant, a special register.
bool vg_bind_tracked(const vg_binder *b, const ptx_operand *o);
bool vg_bind_tagged(const vg_binder *b, const ptx_operand *o);
// Bits of vg_inst.flags. Source operand k (1 … 4) has no tag; its values are looked at. The handler of a load or store reads its address row's tag.
#define VG_UNTAGGED(k) (1u << ((k) - 1))
enum { VG_TAGGED_ADDRESS = 128 };
#endif
