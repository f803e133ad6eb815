// Jobs and descriptions as JSON. The same bytes go through a pipe to a local worker or a queue to a remote one. Outcomes: outcome.c.
#include "evaluate/internal.h"
#include "measure/energy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *tuning_json(const hone_binding *v, size_t n) {
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, v[i].name, json_integer(v[i].value));
    return o;
}

static json_t *rival_json(const hone_job *j) {
    json_t *ratios = json_array();
    for (size_t i = 0; i < j->rival.n_ratios; i++)
        json_array_append_new(ratios, json_real(j->rival.ratios[i]));
    return json_pack("{s:s,s:o,s:o}", "text", j->rival.text, "tuning", tuning_json(j->rival.tuning, j->rival.n_tuning), "ratios", ratios);
}

char *hone_job_dump(const hone_job *j) {
    json_t *tuning = tuning_json(j->tuning, j->n_tuning), *flags = json_array();
    for (size_t i = 0; i < j->n_flags; i++)
        json_array_append_new(flags, json_string(j->flags[i]));
    json_t *o = json_pack("{s:s,s:I,s:s,s:s,s:s?,s:o,s:o,s:i,s:I,s:f,s:b,s:i,s:I,s:i,s:i,s:s?,s:b}", "schema", HONE_JOB_SCHEMA, "id", (json_int_t)j->id,
                          "task_path", j->task_path ? j->task_path : "task.cu", "task", j->task_text, "candidate", j->candidate_text,
                          "tuning", tuning, "flags", flags, "stages", (int)j->stages, "seed", (json_int_t)j->seed, "time_limit_s",
                          j->time_limit_s, "artifacts", j->want_artifacts, "timing_samples", (int)j->timing_samples,
                          "memory_limit", (json_int_t)j->memory_limit_bytes, "sanitize_flags", (int)j->sanitize_flags, "schedules", (int)j->schedules,
                          "only_case", j->only_case, "without_static", j->without_static);
    if (o && j->mutants)
        json_object_set_new(o, "mutants", json_integer(j->mutants));
    if (o && j->brief)
        json_object_set_new(o, "brief", json_true());
    if (o && j->on_virtual)
        json_object_set_new(o, "on_virtual", json_true());
    if (o && j->timing_warm)
        json_object_set_new(o, "timing_warm", json_true());
    if (o && j->race_ratio > 0)
        json_object_set_new(o, "race_ratio", json_real(j->race_ratio));
    if (o && j->timing_enough > 0)
        json_object_set_new(o, "timing_enough", json_real(j->timing_enough));
    if (o && j->rival.text)
        json_object_set_new(o, "rival", rival_json(j));
    if (o && j->fresh_process)
        json_object_set_new(o, "fresh_process", json_true());
    if (o && j->want_ceilings)
        json_object_set_new(o, "ceilings", json_true());
    if (o && j->energy_window_s > 0)
        json_object_set_new(o, "energy", json_pack("{s:f,s:i}", "window_s", j->energy_window_s, "blocks", (int)j->energy_blocks));
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    char *own = text ? hone_strdup(text) : NULL;   // jansson's memory is not ours to hand out
    free(text);
    return own;
}

// Borrows the names from the JSON. owns: *out by hone_free, also after an error.
static hone_code fill_tuning(json_t *tuning, hone_binding **out, size_t *n, hone_err *e) {
    const char *name;
    json_t *v;
    *out = hone_calloc(json_object_size(tuning) + 1, sizeof **out);
    if (!*out)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job");
    json_object_foreach(tuning, name, v) {
        if (!json_is_integer(v))
            return hone_fail(e, HONE_E_CORRUPT, 0, "a job's tune parameter '%s' is no integer", name);
        (*out)[(*n)++] = (hone_binding){name, json_integer_value(v)};
    }
    return HONE_OK;
}

static hone_code fill_rival(json_t *rival, hone_job_message *m, hone_err *e) {
    json_t *tuning = json_object_get(rival, "tuning"), *ratios = json_object_get(rival, "ratios"), *v;
    size_t i;
    if (!rival)
        return HONE_OK;
    if (!json_is_string(json_object_get(rival, "text")) || !json_is_object(tuning) || !json_is_array(ratios))
        return hone_fail(e, HONE_E_CORRUPT, 0, "a job's rival has a member of the wrong kind");
    HONE_TRY(fill_tuning(tuning, &m->rival_tuning, &m->job.rival.n_tuning, e));
    m->rival_ratios = hone_calloc(json_array_size(ratios) + 1, sizeof *m->rival_ratios);
    if (!m->rival_ratios)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job");
    json_array_foreach(ratios, i, v) m->rival_ratios[m->job.rival.n_ratios++] = json_number_value(v);
    m->job.rival.text = json_string_value(json_object_get(rival, "text"));
    m->job.rival.tuning = m->rival_tuning;
    m->job.rival.ratios = m->rival_ratios;
    return HONE_OK;
}

static hone_code fill_lists(json_t *tuning, json_t *flags, hone_job_message *m, hone_err *e) {
    HONE_TRY(fill_tuning(tuning, &m->tuning, &m->job.n_tuning, e));
    m->flags = hone_calloc(json_array_size(flags) + 1, sizeof *m->flags);
    if (!m->flags)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a job");
    json_t *v;
    size_t i;
    json_array_foreach(flags, i, v) {
        if (!json_is_string(v))
            return hone_fail(e, HONE_E_CORRUPT, 0, "a job's flag %zu is no text", i);
        m->flags[m->job.n_flags++] = json_string_value(v);
    }
    m->job.tuning = m->tuning;
    m->job.flags = m->flags;
    return HONE_OK;
}

static hone_code unpack(hone_job_message *m, hone_err *e) {
    json_error_t je;
    const char *schema, *path, *task, *candidate = NULL;
    json_t *tuning, *flags, *candidate_json;
    json_int_t id, seed, memory = 0;
    int stages, artifacts, samples, sanitize = 0, schedules = 0, without_static = 0;
    double limit;
    if (json_unpack_ex(m->json, &je, 0, "{s:s,s:I,s:s,s:s,s:o,s:o,s:o,s:i,s:I,s:F,s:b,s:i,s?I,s?i,s?i,s?b}", "schema", &schema, "id", &id, "task_path",
                       &path, "task", &task, "candidate", &candidate_json, "tuning", &tuning, "flags", &flags, "stages", &stages, "seed",
                       &seed, "time_limit_s", &limit, "artifacts", &artifacts, "timing_samples", &samples, "memory_limit",
                       &memory, "sanitize_flags", &sanitize, "schedules", &schedules,
                       "without_static", &without_static) != 0)
        return hone_fail(e, HONE_E_CORRUPT, 0, "a job message is not right: %s", je.text);
    if (strcmp(schema, HONE_JOB_SCHEMA) != 0)
        return hone_fail(e, HONE_E_CORRUPT, 0, "a job of schema '%s': this worker understands '%s'", schema, HONE_JOB_SCHEMA);
    if (!json_is_object(tuning) || !json_is_array(flags) || samples < 0 || stages < 0 || sanitize < 0 || schedules < 0)
        return hone_fail(e, HONE_E_CORRUPT, 0, "a job message has a member of the wrong kind");
    if (json_is_string(candidate_json))
        candidate = json_string_value(candidate_json);
    m->job = (hone_job){.id = (uint64_t)id,
                        .task_path = path,
                        .task_text = task,
                        .candidate_text = candidate,
                        .stages = (unsigned)stages,
                        .seed = (uint64_t)seed,
                        .time_limit_s = limit,
                        .want_artifacts = artifacts != 0,
                        .sanitize_flags = (uint32_t)sanitize,
                        .schedules = (unsigned)schedules,
                        .only_case = json_string_value(json_object_get(m->json, "only_case")),
                        .without_static = without_static != 0,
                        .timing_samples = (unsigned)samples,
                        .memory_limit_bytes = memory > 0 ? (size_t)memory : 0};
    const json_t *energy = json_object_get(m->json, "energy");
    json_int_t blocks = json_integer_value(json_object_get(energy, "blocks"));
    const json_int_t mutants = json_integer_value(json_object_get(m->json, "mutants"));
    m->job.mutants = mutants > 0 && mutants < UINT32_MAX ? (unsigned)mutants : 0;
    m->job.brief = json_is_true(json_object_get(m->json, "brief"));
    m->job.on_virtual = json_is_true(json_object_get(m->json, "on_virtual"));
    m->job.timing_warm = json_is_true(json_object_get(m->json, "timing_warm"));
    m->job.race_ratio = json_number_value(json_object_get(m->json, "race_ratio"));
    m->job.timing_enough = json_number_value(json_object_get(m->json, "timing_enough"));
    m->job.fresh_process = json_is_true(json_object_get(m->json, "fresh_process"));
    m->job.want_ceilings = json_is_true(json_object_get(m->json, "ceilings"));
    m->job.energy_window_s = json_number_value(json_object_get(energy, "window_s"));
    m->job.energy_blocks = blocks > 0 && blocks <= HONE_ENERGY_MAX_BLOCKS ? (unsigned)blocks : 0;
    HONE_TRY(fill_rival(json_object_get(m->json, "rival"), m, e));
    return fill_lists(tuning, flags, m, e);
}

hone_code hone_job_parse(const char *text, size_t n, hone_job_message *out, hone_err *e) {
    *out = (hone_job_message){0};
    json_error_t je;
    out->json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    hone_code c = out->json ? unpack(out, e) : hone_fail(e, HONE_E_CORRUPT, 0, "a job message is no JSON: %s", je.text);
    if (c != HONE_OK)
        hone_job_message_free(out);
    return c;
}

void hone_job_message_free(hone_job_message *m) {
    json_decref(m->json);
    hone_free(m->tuning);
    hone_free(m->rival_tuning);
    hone_free(m->rival_ratios);
    hone_free(m->flags);
    *m = (hone_job_message){0};
}

char *hone_note_dump(bool compiling) {
    json_t *o = json_pack("{s:s, s:b}", "schema", HONE_NOTE_SCHEMA, "compiling", (int)compiling);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

bool hone_note_parse(const char *text, size_t n, bool *compiling) {
    static const char head[] = "{\"schema\":\"" HONE_NOTE_SCHEMA "\"";
    if (n < sizeof head - 1 || memcmp(text, head, sizeof head - 1) != 0)
        return false;
    json_t *o = json_loadb(text, n, 0, NULL);
    *compiling = json_is_true(json_object_get(o, "compiling"));
    json_decref(o);
    return true;
}

json_t *hone_err_json(const hone_err *e) {
    return json_pack("{s:s,s:i,s:i,s:s,s:s}", "code", hone_code_name(e->code), "number", (int)e->code, "sub", e->sub, "message", e->msg,
                     "hint", e->hint);
}

json_t *hone_device_json(const hone_device_info *i, const hone_compiler *c) {
    int major = 0, minor = 0;
    char nvrtc[32] = "none", driver[32], build[HONE_BUILD_ID] = "";
    if (c) {
        hone_compiler_version(c, &major, &minor);
        snprintf(nvrtc, sizeof nvrtc, "%d.%d", major, minor);
    }
    snprintf(driver, sizeof driver, "%d.%d", i->driver_version / 1000, i->driver_version % 1000 / 10);
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:s,s:s}", "spec", i->spec, "name", i->name, "kind",
                  i->is_virtual ? "virtual" : "physical", "compute_capability", (int)i->cc, "sms", (int)i->sms, "warp_size",
                  (int)i->warp_size, "max_threads_per_block", (int)i->max_threads_per_block, "threads_per_sm", (int)i->threads_per_sm,
                  "registers_per_sm", (int)i->registers_per_sm, "shared_per_block", (int)i->shared_per_block_optin, "shared_per_sm",
                  (int)i->shared_per_sm, "blocks_per_sm", (int)i->blocks_per_sm, "l2_bytes", (json_int_t)i->l2_bytes, "memory_bytes",
                  (json_int_t)i->memory_bytes, "driver", driver, "nvrtc", nvrtc);
    if (c)
        hone_compiler_build(c, build);
    if (o && *build)
        json_object_set_new(o, "nvrtc_build", json_string(build));
    if (o && *i->driver_build)
        json_object_set_new(o, "driver_build", json_string(i->driver_build));
    if (o && !i->is_virtual) {
        json_object_set_new(o, "index", json_integer(i->index));
        json_object_set_new(o, "count", json_integer(i->count));
    }
    if (o && i->has_clock_mhz)
        json_object_set_new(o, "clock_mhz", json_real(i->clock_mhz));
    if (o && i->has_bandwidth)
        json_object_set_new(o, "bandwidth_gbs", json_real(i->bandwidth_gbs));
    return o;
}
