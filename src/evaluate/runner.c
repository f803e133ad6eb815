// The runner that check/ uses: programs of a task and runs over host images, on whatever device the table leads to. On the virtual GPU
// every run is checked and its findings go to whoever is accused. Device addresses are kept per placement, as check.h asks.
#include "evaluate/internal.h"
#include <stdio.h>
#include <string.h>

enum { MAX_LAYOUTS = 16, GUARD_BYTES = 4096, TAKE = 16, MAX_LAYOUT_BYTES = 64 << 20 };
struct runner_layout { unsigned placement; const void *owner; size_t n; size_t *bytes; CUdeviceptr *at; uint64_t used; };
typedef struct loaded {
    const hone_task *task;
    const hone_compiled *compiled;
    hone_program *program;           // NULL until the first run, and again after the context was lost
    unsigned generation;
} loaded;

static bool has_shadow(const hone_device *d) {
    return d->info.is_virtual && d->driver->vgpu.ShadowRead && d->driver->vgpu.ShadowWrite && d->driver->vgpu.TakeShadowStats;
}

// ---- compiling a task

static size_t complete_tuning(const hone_task *t, const hone_env *env, hone_binding *out) {
    for (size_t i = 0; i < t->n_tunes; i++) {
        out[i] = (hone_binding){t->tunes[i].name, t->tunes[i].n_values ? t->tunes[i].values[0] : 0};
        bool found = false;
        for (const hone_env *v = env; v && !found; v = v->outer)
            for (size_t k = 0; k < v->n && !found; k++)
                if (strcmp(v->v[k].name, out[i].name) == 0) {
                    out[i].value = v->v[k].value;
                    found = true;
                }
    }
    return t->n_tunes;
}

hone_code hone_compile_task(hone_compiler *c, const hone_task *t, const hone_env *tuning, const char *const *extra, size_t n_extra,
                            uint32_t cc, const hone_compiled **out, hone_err *e) {
    hone_binding *b = hone_calloc(t->n_tunes + 1, sizeof *b);
    const char **flags = hone_calloc(t->n_flags + n_extra + 1, sizeof *flags);
    hone_code code = HONE_OK;
    *out = NULL;
    if (b && flags) {
        for (size_t i = 0; i < t->n_flags; i++)
            flags[i] = t->flags[i];
        for (size_t i = 0; i < n_extra; i++)
            flags[t->n_flags + i] = extra[i];
        hone_source s = {.name = t->path,
                         .text = t->text,
                         .len = t->len,
                         .tuning = b,
                         .n_tuning = complete_tuning(t, tuning, b),
                         .flags = flags,
                         .n_flags = t->n_flags + n_extra,
                         .cc = cc};
        code = hone_compile(c, &s, out, e);
    } else {
        code = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for compiler options");
    }
    hone_free(b);
    hone_free(flags);
    return code;
}

static hone_code load(void *self, const hone_task *t, const hone_env *tuning, void **program, hone_err *e) {
    hone_device_runner *r = self;
    loaded *l = hone_calloc(1, sizeof *l);
    if (!l)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a program");
    l->task = t;
    bool accused = t == r->accused;
    hone_code c = hone_compile_task(r->compiler, t, tuning, accused ? r->extra_flags : NULL, accused ? r->n_extra_flags : 0,
                                    r->device->info.cc, &l->compiled, e);
    if (c != HONE_OK) {
        hone_compiled_release(r->compiler, l->compiled);
        hone_free(l);
        return c;
    }
    *program = l;
    return HONE_OK;
}

static void forget_layouts(hone_device_runner *r, const void *owner, bool free_memory);

static void drop_program(hone_device_runner *r, loaded *l) {
    if (l->program && l->generation != r->generation)
        l->program->module = NULL;   // it went with its context
    hone_program_free(l->program);
    l->program = NULL;
}

static void unload(void *self, void *program) {
    hone_device_runner *r = self;
    loaded *l = program;
    hone_device_use(r->device, NULL);
    forget_layouts(r, l, true);
    drop_program(r, l);
    hone_compiled_release(r->compiler, l->compiled);
    hone_free(l);
}

// ---- addresses

static void free_layout(hone_device_runner *r, struct runner_layout *y, bool free_memory) {
    for (size_t i = 0; y->at && free_memory && i < y->n; i++)
        if (y->at[i])
            r->device->driver->MemFree(y->at[i]);
    hone_free(y->bytes);
    hone_free(y->at);
    *y = (struct runner_layout){0};
}

static void forget_layouts(hone_device_runner *r, const void *owner, bool free_memory) {
    for (size_t i = 0; i < r->n_layouts; i++)
        if (r->layouts[i].at && (!owner || r->layouts[i].owner == owner))
            free_layout(r, &r->layouts[i], free_memory);
}

static struct runner_layout *find_layout(hone_device_runner *r, const void *owner, const hone_run *run) {
    for (size_t i = 0; i < r->n_layouts; i++) {
        struct runner_layout *y = &r->layouts[i];
        bool same = y->at && y->placement == run->placement && y->owner == owner && y->n == run->n_buffers;
        for (size_t k = 0; same && k < y->n; k++)
            same = y->bytes[k] == run->buffers[k].image_bytes;
        if (same)
            return y;
    }
    return NULL;
}

static struct runner_layout *oldest_layout(hone_device_runner *r) {
    struct runner_layout *y = &r->layouts[0];
    for (size_t i = 0; i < r->n_layouts; i++) {
        if (!r->layouts[i].at)
            return &r->layouts[i];
        if (r->layouts[i].used < y->used)
            y = &r->layouts[i];
    }
    return y;
}

// Frees the oldest layouts until `bytes` more fit under the limit.
static void make_room(hone_device_runner *r, size_t bytes) {
    for (;;) {
        size_t total = bytes;
        struct runner_layout *oldest = NULL;
        for (size_t i = 0; i < r->n_layouts; i++) {
            struct runner_layout *y = &r->layouts[i];
            for (size_t k = 0; y->at && k < y->n; k++)
                total += y->bytes[k];
            if (y->at && (!oldest || y->used < oldest->used))
                oldest = y;
        }
        if (total <= MAX_LAYOUT_BYTES || !oldest)
            return;
        free_layout(r, oldest, true);
    }
}

static hone_code make_layout(hone_device_runner *r, struct runner_layout *y, const void *owner, const hone_run *run, hone_err *e) {
    free_layout(r, y, true);
    size_t bytes = 0;
    for (size_t i = 0; i < run->n_buffers; i++)
        bytes += run->buffers[i].image_bytes;
    make_room(r, bytes);
    *y = (struct runner_layout){.placement = run->placement, .owner = owner, .n = run->n_buffers};
    y->bytes = hone_calloc(run->n_buffers + 1, sizeof *y->bytes);
    y->at = hone_calloc(run->n_buffers + 1, sizeof *y->at);
    if (!y->bytes || !y->at) {
        free_layout(r, y, true);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffer addresses");
    }
    for (size_t i = 0; i < run->n_buffers; i++) {
        y->bytes[i] = run->buffers[i].image_bytes;
        char what[160];
        snprintf(what, sizeof what, "'%.100s'", run->buffers[i].name);
        hone_code c = hone_device_alloc(r->device, y->bytes[i], what, &y->at[i], e);
        if (c != HONE_OK) {
            free_layout(r, y, true);
            return c;
        }
        if (r->device->driver->vgpu.Name)
            r->device->driver->vgpu.Name(y->at[i], run->buffers[i].name);
    }
    return HONE_OK;
}

// ---- findings of the virtual GPU

static json_t *evidence_of(const honeVgpuFinding *f) {
    json_t *o = json_pack("{s:s,s:i,s:[iii],s:[iii],s:i,s:I}", "kernel", f->kernel, "ptx_line", (int)f->ptx_line, "block", (int)f->block[0],
                          (int)f->block[1], (int)f->block[2], "thread", (int)f->thread[0], (int)f->thread[1], (int)f->thread[2], "bytes",
                          (int)f->size, "count", (json_int_t)f->count);
    if (o && f->address)
        json_object_set_new(o, "access", json_string(f->is_write ? "write" : "read"));
    if (o && *f->allocation) {
        json_object_set_new(o, "buffer", json_string(f->allocation));
        json_object_set_new(o, "offset", json_integer(f->offset));
    }
    if (o && *f->other_access)
        json_object_set_new(o, "other", json_pack("{s:s,s:s,s:i,s:i,s:[iii],s:[iii]}", "access", f->other_access, "file", f->other_file, "line",
                                                  (int)f->other_line, "ptx_line", (int)f->other_ptx_line, "block", (int)f->other_block[0],
                                                  (int)f->other_block[1], (int)f->other_block[2], "thread", (int)f->other_thread[0],
                                                  (int)f->other_thread[1], (int)f->other_thread[2]));
    return o;
}

static bool already_known(const hone_findings *to, const char *name, const honeVgpuFinding *f) {
    size_t i;
    json_t *o;
    json_array_foreach(to->array, i, o) {
        const char *kind = json_string_value(json_object_get(o, "kind"));
        const char *kernel = json_string_value(json_object_get(json_object_get(o, "evidence"), "kernel"));
        json_int_t ptx_line = json_integer_value(json_object_get(json_object_get(o, "evidence"), "ptx_line"));
        if (kind && kernel && strcmp(kind, name) == 0 && strcmp(kernel, f->kernel) == 0 && ptx_line == (json_int_t)f->ptx_line)
            return true;
    }
    return false;
}

// Refusing findings of the last run; the first one's sentence goes to *e.
static unsigned take_findings(hone_device_runner *r, const loaded *l, hone_err *e) {
    const hone_driver *drv = r->device->driver;
    honeVgpuFinding f[TAKE];
    uint32_t n = 0;
    unsigned refused = 0;
    if (!drv->vgpu.TakeFindings || drv->vgpu.TakeFindings(f, TAKE, &n) != CUDA_SUCCESS)
        return 0;
    for (uint32_t i = 0; i < n && i < TAKE; i++) {
        hone_finding_kind kind;
        const char *name = f[i].kind;
        bool refuses = !hone_finding_by_name(name, &kind) || hone_finding_severity(kind) == HONE_REFUSE;
        if (refuses && refused++ == 0)
            hone_fail(e, HONE_E_WRONG, 0, "%s", f[i].message);
        if (r->findings && l->task == r->accused && !already_known(r->findings, name, &f[i]))
            hone_findings_add_named(r->findings, name, r->stage, *f[i].file ? f[i].file : NULL, f[i].line, evidence_of(&f[i]),
                                    f[i].message);
    }
    return refused;
}

// ---- a run

void hone_device_runner_recover(hone_device_runner *r, int result) {
    if (!hone_result_is_sticky(result))
        return;
    if (!r->device->info.is_virtual) {
        r->lost = true;
        return;
    }
    forget_layouts(r, NULL, false);
    r->generation++;
    if (hone_device_reset(r->device, NULL) != HONE_OK)
        r->lost = true;
}

static hone_code copy_in(hone_device_runner *r, const hone_run *run, const CUdeviceptr *at, hone_err *e) {
    const hone_driver *drv = r->device->driver;
    for (size_t i = 0; i < run->n_buffers; i++) {
        const hone_run_buffer *b = &run->buffers[i];
        if (b->keep)
            continue;
        CUresult c = b->image_bytes ? drv->MemcpyHtoD(at[i], b->image, b->image_bytes) : CUDA_SUCCESS;
        if (c != CUDA_SUCCESS)
            return hone_driver_fail(drv, c, e, "copy '%s' to the device", b->name);
        if (b->undefined && b->bytes && drv->vgpu.Forget)
            drv->vgpu.Forget(at[i] + b->guard_bytes, b->bytes);
        if (b->role == HONE_IN && drv->vgpu.Protect)
            drv->vgpu.Protect(at[i], (r->vgpu_flags & HONE_VGPU_INIT) != 0);
    }
    return HONE_OK;
}

// ---- the binary64 shadow of a run

static int shadow_type(hone_dtype t) {
    return t == HONE_FLOAT ? HONE_VGPU_F32 : t == HONE_HALF ? HONE_VGPU_F16 : t == HONE_BFLOAT16 ? HONE_VGPU_BF16 : -1;
}

static hone_code shadow_move(hone_device_runner *r, const hone_run *run, const CUdeviceptr *at, bool in, hone_err *e) {
    const hone_driver *drv = r->device->driver;
    for (size_t i = 0; i < run->n_buffers; i++) {
        const hone_plan_buffer *b = &run->plan->buffers[i];
        double *v = run->shadow->values[i];
        const bool is_input = run->buffers[i].role == HONE_IN || run->buffers[i].role == HONE_INOUT;
        const bool is_output = run->buffers[i].role == HONE_OUT || run->buffers[i].role == HONE_INOUT;
        const int type = shadow_type(b->arg->type);
        if ((!v && !in) || type < 0 || (in ? !is_input : !is_output) || !b->n_elems)
            continue;
        const CUdeviceptr p = at[i] + run->buffers[i].guard_bytes;
        const CUresult c = (CUresult)(in ? drv->vgpu.ShadowWrite(p, b->n_elems, type, v) : drv->vgpu.ShadowRead(p, b->n_elems, type, v));
        if (c != CUDA_SUCCESS)
            return hone_driver_fail(drv, c, e, "%s the shadow of '%s'", in ? "write" : "read", run->buffers[i].name);
    }
    return HONE_OK;
}

static hone_code shadow_begin(hone_device_runner *r, const hone_run *run, const CUdeviceptr *at, hone_err *e) {
    const hone_driver *drv = r->device->driver;
    honeVgpuShadowStats forget = {.size = sizeof forget};
    if (!run->shadow)
        return HONE_OK;
    if (!has_shadow(r->device))
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the device '%s' keeps no binary64 shadow", r->device->info.name);
    drv->vgpu.TakeShadowStats(&forget);
    return shadow_move(r, run, at, true, e);
}

static hone_code shadow_end(hone_device_runner *r, const hone_run *run, const CUdeviceptr *at, hone_err *e) {
    honeVgpuShadowStats s = {.size = sizeof s};
    if (!run->shadow)
        return HONE_OK;
    r->device->driver->vgpu.TakeShadowStats(&s);
    run->shadow->results = s.results;
    run->shadow->lost = s.lost;
    run->shadow->rederived = s.rederived;
    return shadow_move(r, run, at, false, e);
}

static hone_code copy_out(hone_device_runner *r, hone_run *run, const CUdeviceptr *at, hone_err *e) {
    for (size_t i = 0; i < run->n_buffers; i++) {
        hone_run_buffer *b = &run->buffers[i];
        CUresult c = b->image_bytes ? r->device->driver->MemcpyDtoH(b->image, at[i], b->image_bytes) : CUDA_SUCCESS;
        if (c != CUDA_SUCCESS)
            return hone_driver_fail(r->device->driver, c, e, "copy '%s' from the device", b->name);
    }
    return HONE_OK;
}

// The baseline and its shadow may be slower than any candidate worth keeping.
static hone_code set_options(hone_device_runner *r, const loaded *l, const hone_run *run, hone_err *e) {
    const hone_driver *drv = r->device->driver;
    if (!drv->vgpu.SetOptions)
        return HONE_OK;
    honeVgpuOptions o = {.size = sizeof o,
                         .flags = run->shadow ? HONE_VGPU_SHADOW : r->vgpu_flags,   // what it would find was found in the runs without
                         .threads = r->threads,
                         .max_findings = TAKE,
                         .schedule_seed = run->schedule_seed,
                         .max_warp_insts = l->task == r->accused ? r->max_warp_insts : 8 * r->max_warp_insts};
    CUresult c = drv->vgpu.SetOptions(&o);
    return c == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(drv, c, e, "set the virtual GPU's options");
}

static hone_code execute(hone_device_runner *r, loaded *l, const hone_run *run, const CUdeviceptr *at, hone_err *e) {
    CUdeviceptr inner[256];
    if (run->n_buffers > HONE_COUNT(inner))
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %zu buffers", HONE_COUNT(inner));
    for (size_t i = 0; i < run->n_buffers; i++)
        inner[i] = at[i] + run->buffers[i].guard_bytes;
    HONE_TRY(hone_program_launch(l->program, run->plan, inner, NULL, NULL, e));
    CUresult c = r->device->driver->CtxSynchronize();
    return c == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(r->device->driver, c, e, "run the kernels");
}

// What a failed run means: the sanitizer's own sentence when there is one, a limit, or the driver's answer.
static hone_code explain(hone_code c, unsigned refused, const hone_err *found, const hone_err *why, hone_err *e) {
    if (refused) {
        if (e && e->code == HONE_OK)
            *e = *found;
        return HONE_E_WRONG;
    }
    if (c == HONE_E_DEVICE && why->sub == CUDA_ERROR_LAUNCH_TIMEOUT)
        return hone_fail(e, HONE_E_TIMEOUT, why->sub, "%s", why->msg);
    if (c == HONE_E_DEVICE && why->sub == CUDA_ERROR_NOT_SUPPORTED)
        return hone_fail(e, HONE_E_UNSUPPORTED, why->sub, "%s", why->msg);
    if (e && e->code == HONE_OK)
        *e = *why;
    return c;
}

// Bytes of outputs that the kernels left alone.
static void note_unwritten(hone_device_runner *r, const loaded *l, const hone_run *run, const CUdeviceptr *at) {
    for (size_t i = 0; i < run->n_buffers && r->findings && l->task == r->accused && r->device->driver->vgpu.Unwritten; i++) {
        const hone_run_buffer *b = &run->buffers[i];
        uint64_t n = 0, first = 0;
        if (b->role != HONE_OUT || !b->bytes || r->device->driver->vgpu.Unwritten(at[i] + b->guard_bytes, b->bytes, &n, &first) != CUDA_SUCCESS || !n)
            continue;
        char text[256];
        snprintf(text, sizeof text, "leaves %llu of the %zu bytes of '%s' unwritten, the first at offset %llu", (unsigned long long)n, b->bytes, b->name,
                 (unsigned long long)first);
        hone_findings_add_named(r->findings, "memory.unwritten-output", r->stage, NULL, 0,
                                json_pack("{s:s,s:s,s:i,s:I,s:I}", "kernel", "", "buffer", b->name, "ptx_line", (int)i, "bytes", (json_int_t)n, "offset", (json_int_t)first), text);
    }
}

static hone_code run_loaded(hone_device_runner *r, loaded *l, hone_run *run, hone_err *e) {
    if (l->program && l->generation != r->generation)
        drop_program(r, l);
    if (!l->program) {
        HONE_TRY(hone_program_load(r->device, l->compiled, run->plan, &l->program, e));
        l->generation = r->generation;
    }
    struct runner_layout *y = find_layout(r, l, run);
    if (!y) {
        y = oldest_layout(r);
        HONE_TRY(make_layout(r, y, l, run, e));
    }
    y->used = ++r->tick;
    HONE_TRY(set_options(r, l, run, e));
    HONE_TRY(copy_in(r, run, y->at, e));
    HONE_TRY(shadow_begin(r, run, y->at, e));
    hone_err found = {0};
    take_findings(r, &(loaded){0}, NULL);   // forget what is not of this run
    hone_err why = {0};
    hone_code c = execute(r, l, run, y->at, &why);
    unsigned refused = take_findings(r, l, &found);
    if (c == HONE_OK && r->vgpu_flags & HONE_VGPU_INIT)
        note_unwritten(r, l, run, y->at);
    if (c == HONE_OK && !refused) {
        HONE_TRY(shadow_end(r, run, y->at, e));
        return copy_out(r, run, y->at, e);
    }
    hone_device_runner_recover(r, why.sub);
    return explain(c, refused, &found, &why, e);
}

static hone_code run_task(void *self, void *program, hone_run *run, hone_err *e) {
    hone_device_runner *r = self;
    if (r->lost)
        return hone_fail(e, HONE_E_DEVICE, 0, "the device '%s' is lost after an earlier error", r->device->info.name);
    HONE_TRY(hone_device_use(r->device, e));
    r->runs++;
    return run_loaded(r, program, run, e);
}

void hone_device_runner_init(hone_device_runner *r, hone_device *d, hone_compiler *c) {
    *r = (hone_device_runner){.device = d, .compiler = c, .vgpu_flags = HONE_VGPU_CHECK, .stage = "differential",
                              .max_warp_insts = (uint64_t)1 << 29};
    r->layouts = hone_calloc(MAX_LAYOUTS, sizeof *r->layouts);
    r->n_layouts = r->layouts ? MAX_LAYOUTS : 0;
}

void hone_device_runner_free(hone_device_runner *r) {
    if (r->device && r->n_layouts) {
        hone_device_use(r->device, NULL);
        forget_layouts(r, NULL, true);
    }
    hone_free(r->layouts);
    *r = (hone_device_runner){0};
}

hone_runner hone_device_runner_face(hone_device_runner *r) {
    bool checked = r->device->info.is_virtual && (r->vgpu_flags & HONE_VGPU_CHECK);
    return (hone_runner){.self = r, .shadows = has_shadow(r->device), .guard_bytes = checked ? 0 : GUARD_BYTES, .load = load, .unload = unload, .run = run_task};
}
