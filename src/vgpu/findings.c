// What the sanitizer found: a bounded list of findings, one per (kind, kernel, instruction) with a count. Fills in everything a handler
// does not know by itself: source line, block, thread, the allocation concerned. Handlers reach it through vg_report and vg_fault.
#include "vgpu/context.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { KEEP_DEFAULT = 64, KEEP_MAX = 4096 };
#define NEAR_BYTES (1ull << 20)   /* farther than this from every allocation, an address is not attributed to one */

typedef struct record { honeVgpuFinding f; const vg_code *code; uint32_t inst; } record;

struct vg_findings {
    pthread_mutex_t lock;
    HONE_VEC(record) kept;
    uint32_t there_were;          // distinct ones, kept or not
};

vg_findings *vg_findings_new(void) {
    vg_findings *f = hone_calloc(1, sizeof *f);
    if (f)
        pthread_mutex_init(&f->lock, NULL);
    return f;
}

void vg_findings_free(vg_findings *f) {
    if (!f)
        return;
    pthread_mutex_destroy(&f->lock);
    hone_vec_free(&f->kept);
    hone_free(f);
}

void vg_findings_clear(vg_findings *f) {
    pthread_mutex_lock(&f->lock);
    f->kept.n = 0;
    f->there_were = 0;
    pthread_mutex_unlock(&f->lock);
}

uint32_t vg_findings_take(vg_findings *f, honeVgpuFinding *out, uint32_t cap) {
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < cap && i < f->kept.n; i++)
        out[i] = f->kept.v[i].f;
    uint32_t n = f->there_were;
    f->kept.n = 0;
    f->there_were = 0;
    pthread_mutex_unlock(&f->lock);
    return n;
}

uint32_t vg_findings_count(vg_findings *f) {
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->there_were;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void copy_text(char *to, size_t cap, const char *from) { snprintf(to, cap, "%s", from ? from : ""); }

static void fill_place(honeVgpuFinding *f, const vg_warp *w, const vg_inst *in, unsigned lane) {
    const vg_launch *l = w->block->launch;
    copy_text(f->kernel, sizeof f->kernel, l->code->func->name);
    uint64_t thread = (uint64_t)w->index * VG_LANES + lane;
    f->thread[0] = (uint32_t)(thread % l->block[0]);
    f->thread[1] = (uint32_t)(thread / l->block[0] % l->block[1]);
    f->thread[2] = (uint32_t)(thread / l->block[0] / l->block[1]);
    for (int i = 0; i < 3; i++)
        f->block[i] = w->block->ctaid[i];
    const ptx_inst *src = in ? in->src : NULL;
    if (!src)
        return;
    f->ptx_line = src->line;
    f->line = src->src_line;
    const ptx_module *m = w->code->module;
    if (src->src_line && src->src_file < m->n_files)
        copy_text(f->file, sizeof f->file, m->files[src->src_file]);
}

static bool in_window(uint64_t address, uint64_t window) {
    return address >= window && address - window < (window == VG_SHARED_WINDOW ? VG_SHARED_SPAN : VG_WINDOW_BYTES);
}

static void fill_allocation(honeVgpuFinding *f, const vg_launch *l, uint64_t address) {
    if (in_window(address, VG_SHARED_WINDOW) || in_window(address, VG_LOCAL_WINDOW) || in_window(address, VG_PARAM_WINDOW)) {
        bool shared = in_window(address, VG_SHARED_WINDOW), local = in_window(address, VG_LOCAL_WINDOW);
        copy_text(f->allocation, sizeof f->allocation, shared ? "shared memory" : local ? "local memory" : "kernel parameters");
        f->offset = (int64_t)(address & (VG_WINDOW_BYTES - 1));
        return;
    }
    const vg_alloc *a = address ? vg_memory_nearest(l->ctx->memory, address) : NULL;
    if (!a || address + NEAR_BYTES < a->base || address > a->base + a->bytes + NEAR_BYTES)
        return;
    copy_text(f->allocation, sizeof f->allocation, a->name);
    f->offset = (int64_t)(address - a->base);
}

static record *find_record(vg_findings *s, const vg_code *code, uint32_t inst, const char *kind) {
    for (size_t i = 0; i < s->kept.n; i++) {
        record *r = &s->kept.v[i];
        if (r->code == code && r->inst == inst && strcmp(r->f.kind, kind) == 0)
            return r;
    }
    return NULL;
}

static void fill_other(honeVgpuFinding *f, const vg_other *o) {
    if (!o)
        return;
    copy_text(f->other_access, sizeof f->other_access, o->verb);
    memcpy(f->other_block, o->block, sizeof f->other_block);
    memcpy(f->other_thread, o->thread, sizeof f->other_thread);
    if (!o->src)
        return;
    f->other_line = o->src->src_line;
    f->other_ptx_line = o->src->line;
    if (o->src->src_line && o->src->src_file < o->module->n_files)
        copy_text(f->other_file, sizeof f->other_file, o->module->files[o->src->src_file]);
}

static void report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write, const vg_other *other,
                   const char *fmt, va_list ap) {
    vg_launch *l = w->block->launch;
    vg_findings *s = l->ctx->findings;
    uint32_t keep = l->ctx->options.max_findings ? l->ctx->options.max_findings : KEEP_DEFAULT;
    pthread_mutex_lock(&s->lock);
    record *known = find_record(s, w->code, in ? in->index : UINT32_MAX, kind);
    if (known) {
        known->f.count++;
    } else {
        s->there_were++;
        if (s->kept.n < (keep < KEEP_MAX ? keep : KEEP_MAX)) {
            record r = {.code = w->code, .inst = in ? in->index : UINT32_MAX};
            copy_text(r.f.kind, sizeof r.f.kind, kind);
            fill_place(&r.f, w, in, lane);
            fill_allocation(&r.f, l, address);
            r.f.address = address;
            r.f.size = size;
            r.f.is_write = is_write;
            r.f.count = 1;
            fill_other(&r.f, other);
            vsnprintf(r.f.message, sizeof r.f.message, fmt, ap);
            (void)!hone_vec_push(&s->kept, r);   // without memory the finding is counted, not kept
        }
    }
    pthread_mutex_unlock(&s->lock);
}

void vg_report(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(w, in, lane, kind, address, size, is_write, NULL, fmt, ap);
    va_end(ap);
}

void vg_report_pair(vg_warp *w, const vg_inst *in, unsigned lane, const char *kind, uint64_t address, uint32_t size, bool is_write, const vg_other *other,
                    const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    report(w, in, lane, kind, address, size, is_write, other, fmt, ap);
    va_end(ap);
}

void vg_fault(vg_warp *w, uint32_t curesult) {
    uint32_t none = 0;
    atomic_compare_exchange_strong(&w->block->launch->fault, &none, curesult);
    w->event = VG_FAULT;
}
