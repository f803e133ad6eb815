// mbarrier objects in shared memory: a 64-bit word that counts arrivals and transferred bytes and flips its phase when both are complete. The word's
// layout is opaque to programs (PTX ISA 9.7.13.15.1); ours:
//
//   bit 63 phase | bits 40-60 bytes still expected (biased) | bits 20-39 arrivals per phase | bits 0-19 arrivals still missing
//
// Shared memory of a cluster belongs to one host thread at a time, so updates are plain. Waiting is polling: a failed wait counts as a spin.
// Counts out of range are findings: barrier.mbarrier-count.
#include "vgpu/mbarrier.h"
#include "vgpu/access.h"
#include "vgpu/async.h"
#include "vgpu/op.h"
#include "vgpu/race.h"

enum { TX_BIAS = 1 << 20, COUNT_MAX = (1 << 20) - 1 };
typedef struct state { uint32_t missing, expected; int32_t tx; uint32_t phase; } state;

static state unpack(uint64_t x) {
    return (state){(uint32_t)(x & COUNT_MAX), (uint32_t)(x >> 20 & COUNT_MAX), (int32_t)(x >> 40 & 0x1fffff) - TX_BIAS, (uint32_t)(x >> 63)};
}
static uint64_t pack(state s) {
    return (uint64_t)(s.missing & COUNT_MAX) | (uint64_t)(s.expected & COUNT_MAX) << 20 | (uint64_t)((uint32_t)(s.tx + TX_BIAS) & 0x1fffff) << 40 |
           (uint64_t)s.phase << 63;
}
static state completed(state s) {
    if (s.missing || s.tx)
        return s;
    return (state){s.expected, s.expected, 0, s.phase ^ 1};
}

// vg_inst use: a = address row, b = count, token or parity row, d = destination row or predicate; aux = operation; aux2: bit 0 wide address,
// bit 1 generic address, bit 2 has a destination, bit 3 the wait is by parity; imm = address offset.
enum { A_WIDE = 1, A_GENERIC = 2, A_DEST = 4, A_PARITY = 8 };

static uint64_t *word_of(vg_warp *w, const vg_inst *in, unsigned lane, char kind) {
    uint64_t at = (in->aux2 & A_WIDE ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane]) + (uint64_t)in->imm;
    return (uint64_t *)(void *)vg_lane_access(w, in, lane, in->aux2 & A_GENERIC ? VG_IN_GENERIC : VG_IN_SHARED, at, 8, kind);
}

static uint32_t count_of(vg_warp *w, const vg_inst *in, unsigned lane, uint32_t otherwise) { return in->b == VG_NO_ROW ? otherwise : vg_u32(w, in->b)[lane]; }

static state change(state s, unsigned sub, uint32_t n) {
    switch (sub) {
    case PTX_MB_INIT: return (state){n, n, 0, 0};
    case PTX_MB_ARRIVE: s.missing -= n; return completed(s);
    case PTX_MB_ARRIVE_DROP: s.missing -= n; s.expected -= n; return completed(s);
    case PTX_MB_ARRIVE_EXPECT_TX: s.tx += (int32_t)n; s.missing -= 1; return completed(s);
    case PTX_MB_ARRIVE_DROP_EXPECT_TX: s.tx += (int32_t)n; s.missing -= 1; s.expected -= 1; return completed(s);
    case PTX_MB_EXPECT_TX: s.tx += (int32_t)n; return s;
    case PTX_MB_COMPLETE_TX: s.tx -= (int32_t)n; return completed(s);
    default: return s;
    }
}

// Race detection: arriving publishes what the thread did, a completed wait observes it.
static void order(vg_warp *w, const uint64_t *word, unsigned lane, bool arrives) {
    const size_t offset = (size_t)((const uint8_t *)(const void *)word - w->block->shared);
    if (offset >= w->block->shared_bytes)
        return;   // a generic address outside shared memory: undefined for mbarriers
    if (arrives)
        vg_race_publish(w, offset);
    else
        vg_race_observe(w, offset, 1u << lane);
}

// PTX ISA 9.7.13.15.6: pending and expected arrivals are 0 … 2^20 - 1 (init: from 1), the tx-count is -(2^20 - 1) … 2^20 - 1. NULL: all is well.
static const char *what_is_wrong(const vg_inst *in, state s, uint32_t n) {
    const bool arrives = in->aux == PTX_MB_ARRIVE || in->aux == PTX_MB_ARRIVE_DROP, both = in->aux == PTX_MB_ARRIVE_EXPECT_TX || in->aux == PTX_MB_ARRIVE_DROP_EXPECT_TX;
    const bool expects = both || in->aux == PTX_MB_EXPECT_TX;
    const int64_t tx = (int64_t)s.tx + (expects ? (int64_t)n : in->aux == PTX_MB_COMPLETE_TX ? -(int64_t)n : 0);
    if (in->aux == PTX_MB_INIT)
        return n == 0 || n > COUNT_MAX ? "initialises an mbarrier with a count of" : NULL;
    if ((arrives && n > s.missing) || (both && s.missing == 0))
        return "more arrivals than the mbarrier's phase expects: count";
    if (tx > COUNT_MAX || tx < -COUNT_MAX)
        return "more bytes than the tx-count of an mbarrier can hold: count";
    if (arrives && in->src->mods2 & PTX_M2_NO_COMPLETE && n == s.missing && s.tx == 0)
        return "an arrival with .noComplete completes the phase: count";
    return NULL;
}

static bool is_wrong(vg_warp *w, const vg_inst *in, unsigned lane, state s, uint32_t n) {
    const char *what = vg_tolerant(w) ? NULL : what_is_wrong(in, s, n);
    if (!what)
        return false;
    vg_report(w, in, lane, "barrier.mbarrier-count", 0, 0, false, "%s %u", what, n);
    return true;
}

VG_HANDLER(update_word) {
    if (w->block->race && in->src->op == PTX_OP_CP)
        vg_async_wait(w, mask, UINT32_MAX);   // cp.async.mbarrier.arrive: who waits for the mbarrier waits for the copies
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t *word = word_of(w, in, lane, in->aux == PTX_MB_INIT ? 's' : 'a');
        if (!word)
            continue;
        if (w->block->race)
            order(w, word, lane, true);
        uint64_t old = *word;
        const uint32_t n = count_of(w, in, lane, 1);
        if (!is_wrong(w, in, lane, unpack(old), n))
            *word = pack(change(unpack(old), in->aux, n));
        if (in->aux2 & A_DEST)
            vg_u64(w, in->d)[lane] = old;
    }
}

VG_HANDLER(wait_word) {
    vg_block *b = w->block;
    uint32_t done = 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        const uint64_t *word = word_of(w, in, lane, 'l');
        uint32_t phase = in->aux2 & A_PARITY ? vg_u32(w, in->b)[lane] & 1 : (uint32_t)(vg_u64(w, in->b)[lane] >> 63);
        if (!word || unpack(*word).phase == phase)
            continue;
        done |= 1u << lane;
        if (b->race)
            order(w, word, lane, false);
        if (vg_async_any(b->async))
            vg_async_waited(b, (uint32_t)((const uint8_t *)(const void *)word - b->shared), phase);
    }
    vg_pred_write(w, in->d, done, mask);
    if (done != mask)
        w->spins++;
}

VG_HANDLER(invalidate) {   // its bytes are free again; until they are written, a use as mbarrier is a read of unwritten memory
    for (uint32_t m = mask; m; m &= m - 1) {
        const uint64_t *word = word_of(w, in, (unsigned)__builtin_ctz(m), 'a');
        const size_t at = word ? (size_t)((const uint8_t *)(const void *)word - w->block->shared) : SIZE_MAX;
        if (at < w->block->shared_bytes && w->block->shared_shadow)
            vg_bits_clear(w->block->shared_shadow->bits, at, 8);
    }
}

uint32_t vg_mbarrier_phase(const void *word) { return unpack(*(const uint64_t *)word).phase; }

bool vg_mbarrier_complete_tx(void *word, uint32_t bytes) {
    const state s = unpack(*(uint64_t *)word);
    if ((int64_t)s.tx - bytes < -COUNT_MAX)
        return false;
    *(uint64_t *)word = pack(change(s, PTX_MB_COMPLETE_TX, bytes));
    return true;
}

VG_HANDLER(pending_count) {
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint32_t missing = unpack(vg_u64(w, in->b)[lane]).missing;
        vg_u32(w, in->d)[lane] = missing;
    }
}

// cp.async.mbarrier.arrive without .noinc: one more expected and one arrived.
VG_HANDLER(arrive_expected) {
    if (w->block->race)
        vg_async_wait(w, mask, UINT32_MAX);
    for (uint32_t m = w->block->race ? mask : 0; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const uint64_t *word = word_of(w, in, lane, 'a');
        if (word)
            order(w, word, lane, true);
    }
}

static bool bind_word(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o) {
    bool wide = true, frame;
    ptx_space symbol;
    if (!vg_bind_addr(b, in, o, &out->a, &wide, &out->imm, &symbol, &frame))
        return false;
    if (out->a == VG_NO_ROW) {
        out->a = vg_bind_row(b, &(ptx_operand){.kind = PTX_O_INT, .i = 0}, PTX_U64);
        wide = true;
    }
    bool shared = in->space == PTX_SHARED || in->space == PTX_SHARED_CLUSTER || symbol == PTX_SHARED;
    out->aux2 = (uint16_t)(out->aux2 | (wide ? A_WIDE : 0) | (shared ? 0 : A_GENERIC));
    return true;
}

static bool bind_wait(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    bool parity = in->mods2 & PTX_M2_PARITY;
    out->aux2 |= parity ? A_PARITY : 0;
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->b = vg_bind_row(b, &in->operand[2], parity ? PTX_U32 : PTX_B64);
    out->full = out->masked = wait_word;
    return bind_word(b, in, out, &in->operand[1]);
}

bool vg_bind_mbarrier(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_operand *o = in->operand;
    out->aux2 = 0;
    out->aux = in->sub;
    out->b = VG_NO_ROW;
    out->full = out->masked = update_word;
    switch (in->sub) {
    case PTX_MB_TEST_WAIT: case PTX_MB_TRY_WAIT: return bind_wait(b, in, out);
    case PTX_MB_PENDING_COUNT:
        out->d = vg_bind_row(b, &o[0], PTX_U32);
        out->b = vg_bind_row(b, &o[1], PTX_B64);
        out->full = out->masked = pending_count;
        return true;
    case PTX_CP_MBARRIER_ARRIVE:   // copies are complete when issued: with .noinc an arrival, without it one more expected and one arrived
        out->aux = PTX_MB_ARRIVE;
        out->full = out->masked = in->mods & PTX_M_NOINC ? update_word : arrive_expected;
        return bind_word(b, in, out, &o[0]);
    case PTX_MB_INVAL:
        out->full = out->masked = invalidate;
        return bind_word(b, in, out, &o[0]);
    case PTX_MB_INIT: case PTX_MB_EXPECT_TX: case PTX_MB_COMPLETE_TX: break;
    case PTX_MB_ARRIVE: case PTX_MB_ARRIVE_DROP: case PTX_MB_ARRIVE_EXPECT_TX: case PTX_MB_ARRIVE_DROP_EXPECT_TX:
        if (o->kind != PTX_O_SINK) {
            out->aux2 |= A_DEST;
            out->d = vg_bind_row(b, o, PTX_B64);
        }
        o++;
        break;
    default: return vg_unsupported(b, in, "this form of mbarrier");
    }
    if (&in->operand[in->n_operands] > o + 1)
        out->b = vg_bind_row(b, o + 1, PTX_U32);
    return bind_word(b, in, out, o);
}
