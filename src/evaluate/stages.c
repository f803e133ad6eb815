// One job through its stages: static → compile → sanitize → differential (here), mutate (mutants.c), time → profile (timing.c). Stops at the first stage that
// refuses.
#include "evaluate/stages.h"
#include <stdlib.h>
#include <string.h>

enum { SANITIZE_MAX_BYTES = 1 << 20, SANITIZE_MAX_WORK = 1 << 20 /* hone_plan_work */, SANITIZE_WARP_INSTS = 1 << 26, BRIEF_WARP_INSTS = 1 << 22, EXTRA_SCRATCH = 256 << 20, LOG_IN_OUTCOME = 2048 };

// ---- static

static void parse_refused(hone_report *r, const hone_diags *d) {
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].is_error)
            hone_findings_add(&r->findings, HONE_F_STATIC_CONTRACT, NULL, d->v[i].line,
                              d->v[i].hint ? json_pack("{s:s}", "hint", d->v[i].hint) : NULL, "the task lines do not parse: %s",
                              d->v[i].msg);
}

static hone_code parse_candidate(hone_stage_run *x, hone_err *e) {
    const hone_job *j = x->job;
    if (!j->candidate_text) {
        x->candidate = x->s->task;
        return HONE_OK;
    }
    hone_diags diags = {.arena = x->arena};
    hone_code c = hone_task_parse(j->task_path, j->candidate_text, strlen(j->candidate_text), &x->candidate, &diags, e);
    if (c == HONE_E_PARSE)
        parse_refused(x->r, &diags);
    if (c == HONE_E_LIMIT && e)
        hone_findings_add(&x->r->findings, HONE_F_STATIC_UNREADABLE, NULL, 0, NULL, "%s", e->msg);
    return c;
}

static hone_code stage_static(hone_stage_run *x, hone_err *e) {
    HONE_TRY(parse_candidate(x, e));
    if (!x->job->without_static)
        HONE_TRY(hone_check_source(x->s->task, x->candidate, &x->r->findings, e));
    bool ok = true;
    for (size_t i = 0; i < x->s->n_sizes && ok; i++)
        HONE_TRY(hone_task_feasible(x->candidate, &x->s->task->sizes[i], &x->env, &ok, e));
    if (!ok)
        hone_findings_add(&x->r->findings, HONE_F_COMPILE_PLAN, NULL, 0, NULL, "the tune parameters break a `where` line");
    return HONE_OK;
}

// ---- compile

static json_t *kernels_json(const hone_compiled *k) {
    json_t *a = json_array();
    for (size_t i = 0; i < k->n_kernels; i++) {
        const hone_kernel_info *f = &k->kernels[i];
        json_array_append_new(a,
                              json_pack("{s:s,s:i,s:i,s:i,s:i,s:i}", "name", f->name, "registers", (int)f->registers, "static_shared_bytes",
                                        (int)f->static_shared_bytes, "stack_bytes", (int)f->stack_bytes_per_thread, "spill_store_bytes",
                                        (int)f->spill_store_bytes, "spill_load_bytes", (int)f->spill_load_bytes));
    }
    return a;
}

static json_t *compile_json(const hone_compiled *k) {
    uint32_t registers = 0, spills = 0, shared = 0;
    for (size_t i = 0; i < k->n_kernels; i++) {
        const hone_kernel_info *f = &k->kernels[i];
        registers = f->registers > registers ? f->registers : registers;
        spills = f->spill_store_bytes + f->spill_load_bytes > spills ? f->spill_store_bytes + f->spill_load_bytes : spills;
        shared = f->static_shared_bytes > shared ? f->static_shared_bytes : shared;
    }
    size_t n = strlen(k->log);
    char log[LOG_IN_OUTCOME + 8];
    snprintf(log, sizeof log, "%.*s%s", LOG_IN_OUTCOME, k->log, n > LOG_IN_OUTCOME ? " …" : "");
    json_t *o = json_pack("{s:i,s:i,s:i,s:o,s:f,s:b}", "registers", (int)registers, "spill_bytes", (int)spills, "static_shared_bytes",
                          (int)shared, "kernels", kernels_json(k), "seconds", k->seconds, "from_cache", k->from_cache);
    if (o && k->ok)
        json_object_set_new(o, "ptx_hash", json_string(k->ptx_hash));
    if (o && *log)
        json_object_set_new(o, "log", json_string(log));
    return o;
}

static void diag_findings(hone_stage_run *x, const hone_compiled *k) {
    unsigned n = 0;
    for (size_t i = 0; i < k->n_diags && n < 8; i++)
        if (k->diags[i].is_error) {
            json_t *where = k->diags[i].col ? json_pack("{s:i}", "column", (int)k->diags[i].col) : NULL;
            hone_findings_add(&x->r->findings, HONE_F_COMPILE_ERROR, k->diags[i].line ? hone_path_base(x->job->task_path) : NULL,
                              k->diags[i].line, where, "%s", k->diags[i].msg);
            n++;
        }
}

// What runs: the PTX, the options that only ptxas sees, and the launch plan at every size. Equal hashes need one evaluation.
static void program_hash(hone_stage_run *x, char out[HONE_HASH_HEX]) {
    hone_sha *h = hone_sha_new();
    out[0] = 0;
    if (!h)
        return;
    hone_sha_add(h, x->compiled->ptx_hash, HONE_HASH_HEX);
    for (size_t i = 0; i < x->candidate->n_flags; i++)
        hone_sha_add(h, x->candidate->flags[i], strlen(x->candidate->flags[i]) + 1);
    for (size_t i = 0; i < x->job->n_flags; i++)
        hone_sha_add(h, x->job->flags[i], strlen(x->job->flags[i]) + 1);
    for (size_t i = 0; i < x->n_plans; i++)
        for (size_t k = 0; k < x->plans[i]->n_launches; k++) {
            const hone_plan_launch *l = &x->plans[i]->launches[k];
            hone_sha_add(h, l->kernel, strlen(l->kernel) + 1);
            hone_sha_add(h, l->grid, sizeof l->grid);
            hone_sha_add(h, l->block, sizeof l->block);
            hone_sha_add(h, l->cluster, sizeof l->cluster);
            hone_sha_add(h, &l->smem_bytes, sizeof l->smem_bytes);
            hone_sha_add(h, &l->cooperative, sizeof l->cooperative);
            for (size_t a = 0; a < l->n_args; a++) {
                hone_sha_add(h, &l->args[a].buffer, sizeof l->args[a].buffer);
                hone_sha_add(h, l->args[a].value, l->args[a].buffer < 0 ? l->args[a].bytes : 0);
            }
        }
    for (size_t i = 0; i < x->n_plans; i++)
        hone_sha_add(h, &x->plans[i]->total_bytes, sizeof x->plans[i]->total_bytes);
    hone_sha_hex(h, out);
}

static hone_code plan_sizes(hone_stage_run *x, hone_err *e) {
    x->plans = hone_arena_array(x->arena, x->s->n_sizes + 1, sizeof *x->plans);
    if (!x->plans)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for plans");
    for (size_t i = 0; i < x->s->n_sizes; i++) {
        HONE_TRY(hone_plan_make(x->candidate, &x->s->task->sizes[i], &x->env, &x->plans[i], e));
        x->n_plans++;
        HONE_TRY(hone_check_limits(x->compiled, x->plans[i], &x->s->target, e));
        size_t base = x->s->sizes[i].plan->total_bytes, own = x->plans[i]->total_bytes;
        if (own > base && own - base > EXTRA_SCRATCH && own > 2 * base)
            return hone_fail(e, HONE_E_LIMIT, 0, "the scratch buffers need %zu MiB, the task's buffers %zu MiB", (own - base) >> 20,
                             base >> 20);
    }
    return HONE_OK;
}

static hone_code stage_compile(hone_stage_run *x, hone_err *e) {
    hone_code c =
        hone_compile_task(x->s->compiler, x->candidate, &x->env, x->job->flags, x->job->n_flags, x->s->target.cc, &x->compiled, e);
    json_t *j = x->compiled ? compile_json(x->compiled) : NULL;
    hone_report_set(x->r, "compile", j);
    x->r->compiled = x->compiled;
    if (c == HONE_E_COMPILE && x->compiled) {
        unsigned before = x->r->findings.refused;
        diag_findings(x, x->compiled);
        if (x->r->findings.refused > before)
            return HONE_OK;
    }
    HONE_TRY(c);
    if (!x->job->without_static)
        HONE_TRY(hone_check_ptx(x->compiled->ptx, x->compiled->ptx_len, x->s->baseline->ptx, x->s->baseline->ptx_len, &x->r->findings,
                                e));
    HONE_TRY(plan_sizes(x, e));
    char hash[HONE_HASH_HEX];
    program_hash(x, hash);
    if (j)
        json_object_set_new(j, "program_hash", json_string(hash));
    return HONE_OK;
}

// ---- sanitize: the task's own inputs at small sizes, checked and with races looked for

// Bytes that both runs left as they were poisoned are nobody's result.
static size_t first_difference(const hone_run_buffer *a, const hone_run_buffer *b, int poison_a, int poison_b) {
    for (size_t i = 0; i < a->bytes; i++) {
        const uint8_t x = a->image[a->guard_bytes + i], y = b->image[b->guard_bytes + i];
        if (x != y && !(a->undefined && x == (uint8_t)poison_a && y == (uint8_t)poison_b))
            return i;
    }
    return SIZE_MAX;
}

static void compare_schedules(hone_stage_run *x, const hone_plan *p, const hone_run_buffer *first, const hone_run_buffer *second, int poison, unsigned seed) {
    for (size_t i = 0; i < p->n_buffers; i++) {
        if (first[i].role == HONE_IN || first[i].role == HONE_SCRATCH || p->buffers[i].arg->unordered)
            continue;
        const size_t at = first_difference(&first[i], &second[i], 0xff, poison);
        if (at == SIZE_MAX)
            continue;
        char text[256];
        snprintf(text, sizeof text, "'%s' differs from offset %zu on between the natural schedule (seed 0) and seed %u", first[i].name, at, seed);
        hone_findings_add_named(&x->r->findings, "schedule.nondeterministic", "sanitize", NULL, 0,
                                json_pack("{s:s,s:s,s:i,s:I,s:[ii]}", "kernel", "", "buffer", first[i].name, "ptx_line", (int)i, "offset", (json_int_t)at,
                                          "seeds", 0, (int)seed), text);
        return;
    }
}

// The same inputs under another order of blocks and warps, at other addresses, over other poison: the results must be the same bytes.
static hone_code other_schedule(hone_stage_run *x, hone_device_runner *runner, void *program, const hone_plan *p, const hone_run_buffer *first,
                                unsigned seed, hone_err *e) {
    hone_run_buffer *b = NULL;
    const int poison = 0xff ^ (int)(seed * 37 & 0xff);
    HONE_TRY(hone_run_fill(p, x->job->seed, &b, e));
    for (size_t i = 0; i < p->n_buffers; i++)
        if (b[i].undefined)
            memset(b[i].image, poison, b[i].image_bytes);
    hone_run run = {.plan = p, .buffers = b, .n_buffers = p->n_buffers, .placement = seed, .schedule_seed = seed};
    hone_code c = hone_device_runner_face(runner).run(runner, program, &run, e);
    if (c == HONE_OK)
        compare_schedules(x, p, first, b, poison, seed);
    hone_run_free(b, p->n_buffers);
    return c;
}

static hone_code sanitize_size(hone_stage_run *x, hone_device_runner *runner, void *program, const hone_sizes *size, hone_err *e) {
    hone_plan *p = NULL;
    HONE_TRY(hone_plan_make(x->candidate, size, &x->env, &p, e));
    hone_run_buffer *b = NULL;
    hone_code c = hone_run_fill(p, x->job->seed, &b, e);
    if (c == HONE_OK) {
        hone_run run = {.plan = p, .buffers = b, .n_buffers = p->n_buffers};
        c = hone_device_runner_face(runner).run(runner, program, &run, e);
    }
    for (unsigned k = 1; k <= x->job->schedules && c == HONE_OK; k++)
        c = other_schedule(x, runner, program, p, b, k, e);
    hone_run_free(b, p->n_buffers);
    hone_plan_free(p);
    return c;
}

// The sizes to sanitize at, least work first, so that what fails fails early. Large ones are passed over: checking is slow, and the differential
// tests run them too; but one is always left.
typedef struct sanitize_order { size_t index; double work; bool small; } sanitize_order;

static int by_work(const void *a, const void *b) {
    const sanitize_order *x = a, *y = b;
    return x->work < y->work ? -1 : x->work > y->work;
}

static hone_code order_sizes(hone_stage_run *x, sanitize_order **out, size_t *n, hone_err *e) {
    const hone_session *s = x->s;
    sanitize_order *v = hone_arena_array(x->arena, s->n_check_sizes + 1, sizeof *v);
    if (!v)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for check sizes");
    for (size_t i = 0; i < s->n_check_sizes; i++) {
        hone_plan *p = NULL;
        HONE_TRY(hone_plan_make(s->task, &s->check_sizes[i], NULL, &p, e));
        v[i] = (sanitize_order){i, hone_plan_work(p), p->total_bytes <= SANITIZE_MAX_BYTES && hone_plan_work(p) <= SANITIZE_MAX_WORK};
        hone_plan_free(p);
    }
    qsort(v, s->n_check_sizes, sizeof *v, by_work);
    *n = 0;
    while (*n < s->n_check_sizes && (*n == 0 || v[*n].small))
        ++*n;
    *out = v;
    return HONE_OK;
}

static void accuse(hone_stage_run *x, hone_device_runner *r, const char *stage, uint32_t flags) {
    r->accused = x->candidate;
    r->findings = &x->r->findings;
    r->extra_flags = x->job->flags;
    r->n_extra_flags = x->job->n_flags;
    r->stage = stage;
    r->vgpu_flags = flags;
}

static void acquit(hone_device_runner *r) {
    r->accused = NULL;
    r->findings = NULL;
    r->extra_flags = NULL;
    r->n_extra_flags = 0;
}

static hone_code sanitize_with(hone_stage_run *x, hone_device_runner *runner, hone_err *e) {
    void *program = NULL;
    hone_runner face = hone_device_runner_face(runner);
    HONE_TRY(face.load(runner, x->candidate, &x->env, &program, e));
    hone_code c = HONE_OK;
    unsigned before = x->r->findings.refused;
    sanitize_order *order = NULL;
    size_t n = 0;
    c = order_sizes(x, &order, &n, e);
    for (size_t i = 0; i < n && c == HONE_OK && x->r->findings.refused == before; i++)
        c = sanitize_size(x, runner, program, &x->s->check_sizes[order[i].index], e);
    face.unload(runner, program);
    return x->r->findings.refused > before ? HONE_OK : c;
}

static hone_code stage_sanitize(hone_stage_run *x, hone_err *e) {
    hone_session *s = x->s;
    bool physical = !s->device->info.is_virtual;
    if (physical && !s->virtual_device) {
        hone_report_set(x->r, "sanitize", json_pack("{s:s}", "skipped", "libhonegpu.so is not available"));
        return HONE_OK;
    }
    hone_device_runner *runner = physical ? &s->sanitizer : &s->runner;
    HONE_TRY(hone_session_check_sizes(s, e));
    hone_report_set(x->r, "check_sizes", json_incref(s->check_notes));
    accuse(x, runner, "sanitize", x->job->sanitize_flags ? x->job->sanitize_flags : (uint32_t)(HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL));
    uint64_t budget = runner->max_warp_insts;
    runner->max_warp_insts = x->job->brief ? BRIEF_WARP_INSTS : SANITIZE_WARP_INSTS;
    hone_code c = sanitize_with(x, runner, e);
    runner->max_warp_insts = budget;
    runner->vgpu_flags = HONE_VGPU_CHECK;
    acquit(runner);
    if (physical)
        hone_device_use(s->device, NULL);
    if ((physical || s->stands_in) && c == HONE_E_UNSUPPORTED) {   // the hardware may still run it
        hone_report_set(x->r, "sanitize", json_pack("{s:s}", "skipped", e->msg));
        hone_err_clear(e);
        return HONE_OK;
    }
    return c;
}

// ---- differential

static hone_code open_judge(hone_stage_run *x, hone_err *e) {
    hone_code c = hone_session_judge(x->s, e);
    if (c == HONE_OK || x->job->candidate_text == NULL)
        return c;
    if (e->code == HONE_OK)
        hone_fail(e, c, 0, "the baseline does not run");
    hone_hint(e, "the task's own kernels fail: evaluate the baseline first");
    return c;
}

// Whether the task's own test is any good: told with the baseline, refuses nobody.
static void note_admission(hone_stage_run *x) {
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)hone_session_admission(x->s), i, o)
        hone_findings_add_named(&x->r->findings, json_string_value(json_object_get(o, "kind")), "admission",
                                json_string_value(json_object_get(o, "file")), (uint32_t)json_integer_value(json_object_get(o, "line")),
                                json_incref(json_object_get(o, "evidence")), json_string_value(json_object_get(o, "message")));
}

static hone_code stage_differential(hone_stage_run *x, hone_err *e) {
    hone_session *s = x->s;
    accuse(x, &s->runner, "differential", HONE_VGPU_CHECK);
    hone_code c = open_judge(x, e);
    if (c != HONE_OK && x->job->candidate_text) {
        acquit(&s->runner);
        x->not_the_candidate = true;
        return c;
    }
    hone_judged judged = {0};
    if (c == HONE_OK) {
        bool atomics = hone_ptx_float_atomics(x->compiled->ptx, x->compiled->ptx_len);
        hone_judge_only(s->judge, x->job->only_case);
        hone_judge_brief(s->judge, x->job->brief);
        c = hone_judge_candidate(s->judge, x->candidate, &x->env, atomics, &x->r->findings, &judged, e);
        x->not_the_candidate = c != HONE_OK;
        json_t *j = json_pack("{s:i,s:i,s:b}", "cases", (int)judged.cases, "runs", (int)judged.runs, "identical", !judged.differs);
        if (j && judged.errors)
            json_object_set(j, "errors", judged.errors);
        json_t *precision = json_object_get(hone_judge_facts(s->judge), "precision");
        if (j && precision)
            json_object_set_new(j, "precision", json_deep_copy(precision));
        if (j && !x->job->candidate_text && hone_judge_facts(s->judge))
            json_object_set_new(j, "facts", json_deep_copy(hone_judge_facts(s->judge)));
        hone_report_set(x->r, "check", j);
        hone_judged_free(&judged);
    }
    acquit(&s->runner);
    if (c == HONE_OK && !x->job->candidate_text && !x->not_the_candidate)
        note_admission(x);
    return c;
}

// ---- all

static const struct { unsigned stage; hone_code (*run)(hone_stage_run *x, hone_err *e); } stages[] = {
    {HONE_STAGE_STATIC, stage_static},
    {HONE_STAGE_COMPILE, stage_compile},
    {HONE_STAGE_SANITIZE, stage_sanitize},
    {HONE_STAGE_DIFFERENTIAL, stage_differential},
    {HONE_STAGE_MUTATE, hone_stage_mutate},
    {HONE_STAGE_TIME, hone_stage_time},
    {HONE_STAGE_PROFILE, hone_stage_profile},
};

static void run_stage(hone_stage_run *x, size_t i) {
    hone_report *r = x->r;
    hone_err e = {0};
    unsigned before = r->findings.refused;
    hone_report_begin(r);
    x->not_the_candidate = false;
    hone_code c = stages[i].run(x, &e);
    if (c != HONE_OK && r->findings.refused == before && !x->not_the_candidate)
        hone_report_blame(r, c, &e);
    hone_report_end(r, stages[i].stage, before, c, &e);
}

static void provenance(hone_stage_run *x) {
    const hone_device_info *d = &x->s->target;
    json_t *device = json_pack("{s:s,s:s,s:s,s:s}", "name", d->name, "kind", d->is_virtual ? "virtual" : "physical", "driver",
                               json_string_value(json_object_get(x->s->device_json, "driver")), "nvrtc",
                               json_string_value(json_object_get(x->s->device_json, "nvrtc")));
    if (device && !d->is_virtual)
        json_object_set_new(device, "index", json_integer(d->index));
    if (device && x->s->stands_in)
        json_object_set_new(device, "stand_in", json_string(x->s->device->info.name));
    hone_report_set(x->r, "device", device);
    hone_report_set(x->r, "task_hash", json_string(x->s->task->hash));
    if (x->job->candidate_text) {
        char hash[HONE_HASH_HEX];
        hone_sha256_hex(x->job->candidate_text, strlen(x->job->candidate_text), hash);
        hone_report_set(x->r, "candidate_hash", json_string(hash));
    }
}

static void run_stages(hone_stage_run *x) {
    provenance(x);
    // A wanted stage needs the ones before it, except that checking may be left out of timing (finalists are checked by their own jobs).
    unsigned want = x->job->stages;
    if (want)
        want |= HONE_STAGE_STATIC;
    if (want > HONE_STAGE_STATIC)
        want |= HONE_STAGE_COMPILE;
    for (size_t i = 0; i < HONE_COUNT(stages) && !x->r->stopped; i++)
        if (want & stages[i].stage)
            run_stage(x, i);
}

void hone_evaluate_job(hone_session *s, const hone_job *j, hone_report *r) {
    hone_err e = {0};
    hone_stage_run x = {.s = s, .job = j, .r = r, .env = {.v = j->tuning, .n = j->n_tuning}, .arena = hone_arena_new(8 << 20)};
    hone_code c = x.arena ? hone_session_task(s, j, &e) : hone_fail(&e, HONE_E_NOMEM, 0, "out of memory for a job");
    if (c == HONE_OK) {
        run_stages(&x);
    } else {
        hone_report_begin(r);
        if (!j->candidate_text)   // the baseline is the one on trial: its task does not parse or compile
            hone_report_blame(r, c, &e);
        hone_report_end(r, HONE_STAGE_STATIC, 0, c, &e);
    }
    for (size_t i = 0; i < x.n_plans; i++)
        hone_plan_free(x.plans[i]);
    if (x.candidate != s->task)
        hone_task_free(x.candidate);
    hone_arena_free(x.arena);
    s->must_exit = s->must_exit || s->runner.lost || s->sanitizer.lost;
}

void hone_evaluate_release(hone_session *s, hone_report *r) {
    hone_compiled_release(s->compiler, r->compiled);
    r->compiled = NULL;
}
