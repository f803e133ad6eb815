// What a worker keeps warm between jobs: device contexts, compiler, and of the task at hand the baseline, the judge with its reference
// results and the buffers at the sizes that are timed. A job for another task or seed replaces the task's part.
#include "evaluate/internal.h"
#include "gpu/meter.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKLOAD_MAX_BYTES = 1 << 30,    // of rotated sets on a physical device
    JUDGE_CACHE_BYTES = 64 << 20     // the compiler needs most of the rest of the 256 MiB that a worker may add to the task's buffers
};

// The virtual model that stands in for a physical device: HONE_STAND_IN, the one of its name, else the newest with its instruction set.
static const char *virtual_model(const hone_device_info *d, char buf[256]) {
    static const struct { uint32_t cc; const char *name, *spec; } models[] = {
        {80, "A100", "virtual:a100"}, {86, "A6000", "virtual:a6000"}, {89, "L40S", "virtual:l40s"}, {89, "RTX 4090", "virtual:rtx4090"},
        {89, "L4", "virtual:l4"}, {90, "H100", "virtual:h100"}, {90, "H200", "virtual:h200"}, {100, "B200", "virtual:b200"},
    };
    const char *given = getenv("HONE_STAND_IN"), *best = models[0].spec;
    if (given && *given) {
        snprintf(buf, 256, "virtual:%.240s", given);
        return buf;
    }
    for (size_t i = 0; i < HONE_COUNT(models); i++)
        if (models[i].cc == d->cc && strstr(d->name, models[i].name))
            return models[i].spec;
    for (size_t i = 0; i < HONE_COUNT(models); i++)
        if (models[i].cc <= d->cc)
            best = models[i].spec;
    return best;
}

static hone_code open_host(hone_session *s, const char *device, hone_err *e) {
    char buf[256];
    HONE_TRY(hone_device_facts(device, &s->target, e));
    s->stands_in = true;
    HONE_TRY(hone_device_open(virtual_model(&s->target, buf), &s->device, e));
    return hone_device_clone(s->device, &s->check_device, e);
}

static hone_code open_physical(hone_session *s, hone_err *e) {
    char buf[256];
    HONE_TRY(hone_device_health(s->device, e));
    hone_meter_install(s->device->driver);
    s->check_device = s->device;
    hone_nvml_open(s->device->info.pci_bus_id, &s->nvml, NULL);                            // absent is fine
    if (hone_device_open(virtual_model(&s->target, buf), &s->virtual_device, NULL) == HONE_OK)
        hone_device_use(s->device, NULL);
    return HONE_OK;
}

static hone_code open_devices(hone_session *s, const char *device, bool host, hone_err *e) {
    if (host)
        return open_host(s, device, e);
    HONE_TRY(hone_device_open(device, &s->device, e));
    s->target = s->device->info;
    return s->device->info.is_virtual ? hone_device_clone(s->device, &s->check_device, e) : open_physical(s, e);
}

hone_code hone_session_open(const char *device, unsigned threads, bool host, hone_session **out, hone_err *e) {
    hone_session *s = hone_calloc(1, sizeof *s);
    if (!s)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a worker");
    s->threads = threads;
    hone_compiler_config cfg = {0};
    hone_code c = open_devices(s, device, host, e);
    if (c == HONE_OK)
        c = hone_compiler_open(&cfg, &s->compiler, e);
    if (c != HONE_OK) {
        hone_session_close(s);
        return c;
    }
    hone_device_runner_init(&s->runner, s->check_device, s->compiler);
    s->runner.threads = threads;
    if (s->virtual_device) {
        hone_device_runner_init(&s->sanitizer, s->virtual_device, s->compiler);
        s->sanitizer.threads = threads;
    }
    s->device_json = hone_device_json(&s->target, s->compiler);
    *out = s;
    return HONE_OK;
}

static void drop_size(hone_session *s, hone_size_state *z) {
    hone_rival_drop(s);   // it is bound to the workload
    if (z->workload) {
        hone_device_use(s->device, NULL);
        hone_program_free(z->program);
        hone_bound_free(&z->bound);
        hone_workload_close(z->workload);
    }
    hone_size_forget_outputs(z);
    z->program = NULL;
    z->workload = NULL;
    z->bound = (hone_bound){0};
}

void hone_session_drop_workloads(hone_session *s) {
    for (size_t i = 0; i < s->n_sizes; i++)
        drop_size(s, &s->sizes[i]);
}

static void drop_task(hone_session *s) {
    hone_session_drop_workloads(s);
    for (size_t i = 0; i < s->n_sizes; i++)
        hone_plan_free(s->sizes[i].plan);
    hone_free(s->sizes);
    s->sizes = NULL;
    s->n_sizes = 0;
    hone_judge_close(s->judge);
    s->judge = NULL;
    hone_compiled_release(s->compiler, s->baseline);
    s->baseline = NULL;
    hone_task_free(s->task);
    s->task = NULL;
    s->has_control = false;
    json_decref(s->admission);
    s->admission = NULL;
    json_decref(s->check_notes);
    s->check_notes = NULL;
    s->check_sizes = NULL;   // lives in the task's arena
    s->n_check_sizes = 0;
    s->key[0] = 0;
}

void hone_session_close(hone_session *s) {
    if (!s)
        return;
    if (s->compiler)
        drop_task(s);
    hone_device_runner_free(&s->runner);
    hone_device_runner_free(&s->sanitizer);
    hone_compiler_close(s->compiler);
    hone_nvml_close(s->nvml);
    if (s->check_device != s->device)
        hone_device_close(s->check_device);
    hone_device_close(s->virtual_device);
    hone_device_close(s->device);
    json_decref(s->device_json);
    json_decref(s->ceilings);
    hone_free(s);
}

static hone_code parse_task(const hone_job *job, hone_task **out, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    hone_str text;
    if (!diags.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a task");
    hone_code c = hone_task_parse(job->task_path, job->task_text, strlen(job->task_text), out, &diags, e);
    if (c == HONE_E_PARSE && diags.n && e) {
        hone_str_init(&text, sizeof e->msg - 1);
        hone_diags_print(&diags, job->task_path, job->task_text, strlen(job->task_text), &text);
        hone_err_clear(e);
        hone_fail(e, HONE_E_PARSE, 0, "%s", text.s);
        hone_str_free(&text);
    }
    hone_arena_free(diags.arena);
    return c;
}

static hone_code make_plans(hone_session *s, size_t memory_limit, hone_err *e) {
    s->sizes = hone_calloc(s->task->n_sizes + 1, sizeof *s->sizes);
    if (!s->sizes)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for plans");
    size_t bytes = 0;
    for (size_t i = 0; i < s->task->n_sizes; i++) {
        HONE_TRY(hone_plan_make(s->task, &s->task->sizes[i], NULL, &s->sizes[i].plan, e));
        s->n_sizes++;
        bytes = s->sizes[i].plan->total_bytes > bytes ? s->sizes[i].plan->total_bytes : bytes;
    }
    // Room for the buffers, their host copies and shadows; a runaway compilation or interpreter ends in an error instead of taking the
    // machine.
    hone_sandbox_limit_memory(memory_limit ? memory_limit : 3 * bytes + ((size_t)2 << 30));
    return HONE_OK;
}

static void key_of(const hone_job *job, char key[HONE_HASH_HEX]) {
    hone_sha *h = hone_sha_new();
    if (!h) {
        key[0] = 0;
        return;
    }
    hone_sha_add(h, job->task_path, strlen(job->task_path) + 1);
    hone_sha_add(h, job->task_text, strlen(job->task_text) + 1);
    hone_sha_hex(h, key);
}

hone_code hone_session_task(hone_session *s, const hone_job *job, hone_err *e) {
    char key[HONE_HASH_HEX];
    key_of(job, key);
    if (s->task && *key && strcmp(key, s->key) == 0 && s->seed == job->seed)
        return HONE_OK;
    drop_task(s);
    HONE_TRY(parse_task(job, &s->task, e));
    hone_code c = make_plans(s, job->memory_limit_bytes, e);
    if (c == HONE_OK)
        c = hone_compile_task(s->compiler, s->task, NULL, NULL, 0, s->target.cc, &s->baseline, e);
    if (c != HONE_OK) {
        drop_task(s);
        return c;
    }
    s->seed = job->seed;
    memcpy(s->key, key, sizeof s->key);
    return HONE_OK;
}

hone_code hone_session_judge(hone_session *s, hone_err *e) {
    if (s->judge)
        return HONE_OK;
    HONE_TRY(hone_session_check_sizes(s, e));
    hone_judge_config c = {.task = s->task, .sizes = s->check_sizes, .n_sizes = s->n_check_sizes, .runner = hone_device_runner_face(&s->runner), .seed = s->seed,
                           .max_cache_bytes = JUDGE_CACHE_BYTES};
    return hone_judge_open(&c, &s->judge, e);
}

// An error is no verdict on the task: then there is nothing to say about it, and the next job asks again.
const json_t *hone_session_admission(hone_session *s) {
    hone_findings f;
    hone_err e = {0};
    if (s->admission || !s->judge || hone_findings_init(&f, &e) != HONE_OK)
        return s->admission;
    if (hone_judge_admit(s->judge, &f, &e) == HONE_OK)
        s->admission = json_incref(f.array);
    hone_findings_free(&f);
    return s->admission;
}

static size_t device_bytes(const hone_size_state *z) { return z->workload ? z->workload->bytes : 0; }

static size_t largest_size(const hone_session *s) {
    size_t most = 0;
    for (size_t i = 0; i < s->n_sizes; i++)
        most = s->sizes[i].plan->total_bytes > most ? s->sizes[i].plan->total_bytes : most;
    return most;
}

// Sizes stay on the device between jobs while they fit: half the memory of a physical device, and on the virtual one, whose memory is the
// host's, no more than the largest size needs alone.
static void make_room(hone_session *s, size_t wanted) {
    size_t limit = s->device->info.memory_bytes / 2, held = wanted;
    if (s->device->info.is_virtual)
        limit = largest_size(s);
    for (size_t i = 0; i < s->n_sizes; i++)
        held += device_bytes(&s->sizes[i]);
    while (held > limit) {
        hone_size_state *oldest = NULL;
        for (size_t i = 0; i < s->n_sizes; i++)
            if (s->sizes[i].workload && (!oldest || s->sizes[i].used < oldest->used))
                oldest = &s->sizes[i];
        if (!oldest)
            return;
        held -= device_bytes(oldest);
        drop_size(s, oldest);
    }
}

hone_code hone_session_workload(hone_session *s, size_t size, hone_err *e) {
    hone_size_state *z = &s->sizes[size];
    z->used = ++s->tick;
    if (z->workload)
        return HONE_OK;
    const hone_device_info *d = &s->device->info;
    unsigned sets = 1;
    if (!d->is_virtual) {   // as many as fit into half of what is free, one in any case
        size_t half = hone_device_free_bytes(s->device) / 2;
        sets = hone_workload_sets_for(z->plan, d->l2_bytes, 3, half && half < WORKLOAD_MAX_BYTES ? half : WORKLOAD_MAX_BYTES);
    }
    make_room(s, sets * z->plan->total_bytes);
    malloc_trim(0);   // what checking let go of is given back before the large buffers come
    HONE_TRY(hone_workload_open(s->device, z->plan, s->seed, sets, s->threads, &z->workload, e));
    hone_code c = hone_bound_make(z->workload, z->plan, &z->bound, e);
    if (c == HONE_OK && !d->is_virtual)
        c = hone_program_load(s->device, s->baseline, z->plan, &z->program, e);
    if (c != HONE_OK)
        drop_size(s, z);
    return c;
}
