// race_async: copies by cp.async that nobody has waited for. Copies happen when they are issued; until the lane that issued one waits for its group
// (or hands it to an mbarrier), the bytes count as not there: reading them is "async.unwaited". At the wait the write is recorded again, so
// that a reader that met the copier before the wait, not after, races. PTX ISA 9.7.9.25.
#include "vgpu/race_internal.h"
#include <string.h>

typedef struct copy { uint32_t offset, group, site; uint16_t thread; uint8_t bytes; } copy;
struct race_async {
    HONE_VEC(copy) open;
    uint32_t committed[VG_RACE_WARPS * VG_LANES];   // groups of each thread
    uint32_t low, high;                             // bounds of the open copies
};

void race_async_free(race_async *a) {
    if (!a)
        return;
    hone_vec_free(&a->open);
    hone_free(a);
}

void race_async_begin(race_async *a) {
    if (!a)
        return;
    a->open.n = 0;
    memset(a->committed, 0, sizeof a->committed);
    a->low = UINT32_MAX;
    a->high = 0;
}

void vg_async_copy(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes) {
    vg_race *r = w->block->race;
    if (!r->cells || (!r->async && !(r->async = hone_calloc(1, sizeof *r->async))))
        return;
    race_async *a = r->async;
    if (!a->open.n) {
        a->low = UINT32_MAX;
        a->high = 0;
    }
    const uint16_t thread = (uint16_t)(w->index * VG_LANES + lane);
    (void)!hone_vec_push(&a->open, ((copy){(uint32_t)offset, a->committed[thread], race_site(w, in), thread, (uint8_t)bytes}));
    a->low = offset < a->low ? (uint32_t)offset : a->low;
    a->high = offset + bytes > a->high ? (uint32_t)(offset + bytes) : a->high;
}

void vg_async_commit(vg_warp *w, uint32_t mask) {
    race_async *a = w->block->race->async;
    for (uint32_t m = a ? mask : 0; m; m &= m - 1)
        a->committed[w->index * VG_LANES + (unsigned)__builtin_ctz(m)]++;
}

void vg_async_wait(vg_warp *w, uint32_t mask, uint32_t pending) {
    race_async *a = w->block->race->async;
    size_t kept = 0;
    for (size_t i = 0; a && i < a->open.n; i++) {
        const copy c = a->open.v[i];
        const unsigned lane = c.thread % VG_LANES;
        const bool mine = c.thread / VG_LANES == w->index && mask >> lane & 1;
        const bool done = mine && (pending == UINT32_MAX || (uint64_t)c.group + pending < a->committed[c.thread]);
        if (!done) {
            a->open.v[kept++] = c;
            continue;
        }
        const vg_code *code = race_code_of(w->code->program, c.site);
        if (code)
            vg_race_access(w, &code->insts[c.site - code->site_base], lane, c.offset, c.bytes, 's');
    }
    if (a)
        a->open.n = kept;
}

void race_async_read(vg_warp *w, const vg_inst *in, unsigned lane, size_t offset, unsigned bytes) {
    const race_async *a = w->block->race->async;
    if (!a || !a->open.n || offset >= a->high || offset + bytes <= a->low)
        return;
    for (size_t i = 0; i < a->open.n; i++) {
        const copy *c = &a->open.v[i];
        if (offset >= c->offset + c->bytes || offset + bytes <= c->offset)
            continue;
        const uint32_t *block = w->block->launch->block, t = c->thread;
        const vg_code *code = race_code_of(w->code->program, c->site);
        const ptx_inst *src = code ? code->insts[c->site - code->site_base].src : NULL;
        const vg_other other = {.src = src, .module = w->code->module, .verb = "copies",
                                .thread = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]},
                                .block = {w->block->ctaid[0], w->block->ctaid[1], w->block->ctaid[2]}};
        vg_report_pair(w, in, lane, "async.unwaited", VG_SHARED_WINDOW + offset, bytes, false, &other,
                       "reads %u bytes at offset %zu of shared memory that an asynchronous copy of thread (%u,%u,%u) is still writing: "
                       "the copy has not been waited for", bytes, offset, other.thread[0], other.thread[1], other.thread[2]);
        return;
    }
}
