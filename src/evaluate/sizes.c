// Which sizes a task is checked at. Its own `check` and `size` lines are promises: a baseline that fails there is refused. Sizes that hone derives (1,
// tile±1, primes …) may ask for more than the task promises, such as a sparse matrix with fewer columns than entries in a row: where the baseline itself
// fails they are left out, and the outcome says so. When it fails at every size, nothing is left out: then its findings are what matters.
#include "evaluate/internal.h"
#include <string.h>

enum { CHECK_MAX_BYTES = 16 << 20, CHECK_WARP_INSTS = 1 << 26 };

void hone_run_free(hone_run_buffer *b, size_t n) {
    for (size_t i = 0; b && i < n; i++)
        hone_free(b[i].image);
    hone_free(b);
}

hone_code hone_run_fill(const hone_plan *p, uint64_t seed, hone_run_buffer **out, hone_err *e) {
    hone_run_buffer *b = hone_calloc(p->n_buffers + 1, sizeof *b);
    hone_code c = b ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for buffers");
    for (size_t i = 0; c == HONE_OK && i < p->n_buffers; i++) {
        const hone_plan_buffer *f = &p->buffers[i];
        bool undefined = f->arg->role == HONE_OUT || f->arg->role == HONE_SCRATCH;
        b[i] = (hone_run_buffer){.name = f->arg->name, .role = f->arg->role, .image = hone_malloc(f->bytes ? f->bytes : 1), .image_bytes = f->bytes,
                                 .bytes = f->bytes, .undefined = undefined};
        if (!b[i].image)
            c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for '%s'", f->arg->name);
        else if (undefined)
            memset(b[i].image, 0xff, f->bytes);
        else
            c = hone_fill(p, i, HONE_INPUT_TASK, seed, b[i].image, e);
    }
    if (c == HONE_OK) {
        *out = b;
    } else {
        hone_run_free(b, b ? p->n_buffers : 0);
    }
    return c;
}

static hone_code run_baseline(hone_device_runner *r, void *program, const hone_plan *p, uint64_t seed, hone_err *e) {
    hone_run_buffer *b;
    HONE_TRY(hone_run_fill(p, seed, &b, e));
    hone_run run = {.plan = p, .buffers = b, .n_buffers = p->n_buffers};
    hone_code c = hone_device_runner_face(r).run(r, program, &run, e);
    hone_run_free(b, p->n_buffers);
    return c;
}

// "" when the baseline runs clean at this size, else why it does not.
static void try_size(hone_session *s, hone_device_runner *r, void *program, const hone_sizes *size, char why[256]) {
    hone_err e = {0};
    hone_plan *p = NULL;
    hone_findings f;
    why[0] = '\0';
    if (hone_findings_init(&f, &e) != HONE_OK)
        return;
    r->findings = &f;
    hone_code c = hone_plan_make(s->task, size, NULL, &p, &e);
    if (c == HONE_OK)
        c = run_baseline(r, program, p, s->seed, &e);
    const char *finding = json_string_value(json_object_get(json_array_get(f.array, 0), "message"));
    if (f.refused && finding)
        snprintf(why, 256, "%s", finding);
    else if (c != HONE_OK)
        snprintf(why, 256, "%.250s", e.msg);
    r->findings = NULL;
    hone_findings_free(&f);
    hone_plan_free(p);
}

static json_t *size_note(const hone_sizes *z, const char *why) {
    json_t *sizes = json_object();
    for (size_t i = 0; i < z->n; i++)
        json_object_set_new(sizes, z->v[i].name, json_integer(z->v[i].value));
    return json_pack("{s:o,s:b,s:b,s:s}", "sizes", sizes, "derived", z->line == 0, "used", !*why, "why", why);
}

static void keep_good(hone_session *s, hone_device_runner *r, void *program, const hone_sizes *all, size_t n) {
    s->check_notes = json_array();
    for (size_t i = 0; i < n; i++) {
        char why[256] = "";
        if (all[i].line == 0)
            try_size(s, r, program, &all[i], why);
        if (!*why)
            s->check_sizes[s->n_check_sizes++] = all[i];
        json_array_append_new(s->check_notes, size_note(&all[i], why));
    }
    if (s->n_check_sizes)
        return;
    memcpy(s->check_sizes, all, n * sizeof *all);
    s->n_check_sizes = n;
}

hone_code hone_session_check_sizes(hone_session *s, hone_err *e) {
    if (s->check_sizes)
        return HONE_OK;
    hone_sizes *all;
    size_t n;
    HONE_TRY(hone_task_check_sizes(s->task, CHECK_MAX_BYTES, s->task->arena, &all, &n, e));
    hone_sizes *kept = hone_arena_array(s->task->arena, n ? n : 1, sizeof *kept);
    if (!kept)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for check sizes");
    hone_device_runner *r = s->device->info.is_virtual || !s->virtual_device ? &s->runner : &s->sanitizer;
    hone_runner face = hone_device_runner_face(r);
    void *program = NULL;
    r->accused = s->task;
    hone_code c = face.load(r, s->task, NULL, &program, e);
    if (c == HONE_OK) {
        uint64_t budget = r->max_warp_insts;
        uint32_t flags = r->vgpu_flags;
        r->stage = "sanitize";
        r->vgpu_flags = HONE_VGPU_CHECK;
        r->max_warp_insts = CHECK_WARP_INSTS;
        s->check_sizes = kept;
        keep_good(s, r, program, all, n);
        r->max_warp_insts = budget;
        r->vgpu_flags = flags;
        face.unload(r, program);
    }
    r->accused = NULL;
    if (r == &s->sanitizer)
        hone_device_use(s->device, NULL);
    return c;
}
