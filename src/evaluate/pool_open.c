// Which workers a pool has and how they start: the list of devices, the greeting of each worker, how many host workers stand beside devices.
#include "evaluate/pool_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_LIMIT_S = 60, PHYSICAL_LIMIT_S = 60, VIRTUAL_LIMIT_S = 300, HOSTS_PER_DEVICE = 12, HOSTS_PER_SCREENED = 16, MAX_HOSTS = 32 };

// ---- one worker

hone_code hone_crew_start(hone_pool *p, pool_slot *s, hone_err *e) {
    char threads[16];
    snprintf(threads, sizeof threads, "%u", s->kind == HONE_WORKER_GPU ? p->gpu_threads : p->host_threads);
    char *argv[] = {p->program, "worker", s->device, threads, s->kind == HONE_WORKER_HOST ? "host" : NULL, NULL};
    hone_proc_spec spec = {.argv = argv, .capture_stderr = true, .new_group = true};
    s->tail_len = 0;
    s->used = false;
    s->state = SLOT_DEAD;
    HONE_TRY(hone_proc_start(&spec, &s->proc, e));
    fcntl(s->proc.err_fd, F_SETFL, fcntl(s->proc.err_fd, F_GETFL) | O_NONBLOCK);
    s->state = SLOT_STARTING;
    s->from = hone_now_s(&p->clock);
    return HONE_OK;
}

// The first message: what the device is, or why there is none.
// A counter that went backwards (the driver was loaded anew) begins a new count: what lies between is not known.
void hone_crew_note_counter(pool_slot *s, json_t *message) {
    const json_t *now = json_object_get(message, "counter_mj");
    if (!now)
        return;
    json_int_t mj = json_integer_value(now);
    if (s->has_counter && mj > s->counter_mj)
        s->energy_j += 1e-3 * (double)(mj - s->counter_mj);
    s->has_counter = true;
    s->counter_mj = mj;
    json_object_del(message, "counter_mj");
}

static hone_code read_hello(hone_pool *p, pool_slot *s, int timeout_ms, hone_err *e) {
    char *text;
    size_t n;
    HONE_TRY(hone_msg_read(s->proc.out_fd, 1 << 20, timeout_ms, &text, &n, e));
    json_error_t je;
    json_t *o = json_loadb(text, n, 0, &je);
    hone_free(text);
    const char *schema = json_string_value(json_object_get(o, "schema"));
    hone_code c = HONE_OK;
    if (!schema || strcmp(schema, HONE_HELLO_SCHEMA) != 0)
        c = hone_fail(e, HONE_E_CORRUPT, 0, "'%s worker' does not speak '%s'", p->program, HONE_HELLO_SCHEMA);
    const json_t *error = json_object_get(o, "error");
    if (c == HONE_OK && error) {
        const char *msg = json_string_value(json_object_get(error, "message")), *hint = json_string_value(json_object_get(error, "hint"));
        int number = (int)json_integer_value(json_object_get(error, "number"));
        c = number > HONE_OK && number <= HONE_E_INTERNAL ? (hone_code)number : HONE_E_INTERNAL;
        hone_fail(e, c, (int)json_integer_value(json_object_get(error, "sub")), "%s", msg ? msg : "the worker could not start");
        if (hint && *hint)
            hone_hint(e, "%s", hint);
    }
    hone_crew_note_counter(s, o);
    if (c == HONE_OK && !s->device_json)
        s->device_json = json_incref(json_object_get(o, "device"));
    json_decref(o);
    return c;
}

hone_code hone_crew_finish_start(hone_pool *p, pool_slot *s, int timeout_ms, hone_err *e) {
    hone_code c = read_hello(p, s, timeout_ms, e);
    if (c == HONE_OK) {
        s->state = SLOT_IDLE;
        s->failed_starts = 0;
        return HONE_OK;
    }
    bool silent = c == HONE_E_IO;
    hone_crew_stop(s, NULL);
    s->failed_starts++;
    if (silent && e && s->tail_len)
        hone_hint(e, "the worker said: %.300s", s->tail);
    if (c == HONE_E_TIMEOUT && s->kind == HONE_WORKER_GPU && e) {
        hone_err_clear(e);
        c = hone_fail(e, HONE_E_NO_DEVICE, 0, "the device '%s' does not answer: a worker waited %d s for it", s->device, timeout_ms / 1000);
        hone_hint(e, "nvidia-smi and the kernel's log (Xid lines) say more");
    }
    return c;
}

// ---- which devices

static pool_slot *add_slot(hone_pool *p, hone_worker_kind kind, const char *device) {
    pool_slot *s = &p->slots[p->n++];
    *s = (pool_slot){.proc = {.pid = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1}, .kind = kind};
    memcpy(s->device, device, strnlen(device, sizeof s->device - 1));
    return s;
}

static long cores(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n;
}

static hone_code add_device(hone_pool *p, const char *device, hone_err *e) {
    if (strncmp(device, "cuda", 4) != 0) {
        hone_fail(e, HONE_E_USAGE, 0, "'%s' cannot stand in a list of devices", device);
        return hone_hint(e, "for example --device cuda:0,cuda:1");
    }
    for (unsigned i = 0; i < p->n; i++)
        if (strcmp(p->slots[i].device, device) == 0)
            return hone_fail(e, HONE_E_USAGE, 0, "the device '%s' stands twice in '%s'", device, p->device);
    if (p->n >= HONE_POOL_MAX_WORKERS / 2)
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %d devices", HONE_POOL_MAX_WORKERS / 2);
    return hone_crew_start(p, add_slot(p, HONE_WORKER_GPU, device), e);
}

static hone_code add_list(hone_pool *p, hone_err *e) {
    char list[256];
    snprintf(list, sizeof list, "%s", p->device);
    for (char *save = NULL, *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save))
        HONE_TRY(add_device(p, word, e));
    return p->n ? HONE_OK : hone_fail(e, HONE_E_USAGE, 0, "'%s' names no device", p->device);
}

// The first device says how many there are.
static hone_code add_all(hone_pool *p, hone_err *e) {
    HONE_TRY(add_device(p, "cuda:0", e));
    HONE_TRY(hone_crew_finish_start(p, &p->slots[0], START_LIMIT_S * 1000, e));
    json_int_t count = json_integer_value(json_object_get(p->slots[0].device_json, "count"));
    for (int i = 1; i < (int)count; i++) {
        char device[32];
        snprintf(device, sizeof device, "cuda:%d", i);
        HONE_TRY(add_device(p, device, e));
    }
    return HONE_OK;
}

static hone_code add_whole(hone_pool *p, unsigned n, hone_err *e) {
    while (p->n < n && p->n < HONE_POOL_MAX_WORKERS)
        HONE_TRY(hone_crew_start(p, add_slot(p, HONE_WORKER_WHOLE, p->device), e));
    return HONE_OK;
}

static bool is_physical(const pool_slot *s) {
    const char *kind = json_string_value(json_object_get(s->device_json, "kind"));
    return kind && strcmp(kind, "physical") == 0;
}

// `auto` is what its first worker finds.
static hone_code add_auto(hone_pool *p, unsigned workers, hone_err *e) {
    pool_slot *s = add_slot(p, HONE_WORKER_WHOLE, "auto");
    HONE_TRY(hone_crew_start(p, s, e));
    HONE_TRY(hone_crew_finish_start(p, s, START_LIMIT_S * 1000, e));
    if (!is_physical(s))
        return add_whole(p, workers, e);
    s->kind = HONE_WORKER_GPU;
    snprintf(s->device, sizeof s->device, "cuda:0");
    return HONE_OK;
}

static hone_code greet_devices(hone_pool *p, bool mixed, hone_err *e) {
    for (unsigned i = 0; i < p->n; i++) {
        pool_slot *s = &p->slots[i];
        if (s->state == SLOT_STARTING && (i == 0 || s->kind == HONE_WORKER_GPU))
            HONE_TRY(hone_crew_finish_start(p, s, START_LIMIT_S * 1000, e));
        const char *first = json_string_value(json_object_get(p->slots[0].device_json, "name"));
        const char *name = json_string_value(json_object_get(s->device_json, "name"));
        if (s->kind != HONE_WORKER_GPU || mixed || !first || !name || strcmp(first, name) == 0)
            continue;
        hone_fail(e, HONE_E_USAGE, 0, "'%s' is a '%s', '%s' a '%s': times of different models do not compare", p->slots[0].device, first, s->device,
                  name);
        return hone_hint(e, "name devices of one model, or take --mixed-devices");
    }
    return HONE_OK;
}

static hone_code add_hosts(hone_pool *p, unsigned workers, bool screens, hone_err *e) {
    unsigned devices = p->n, each = screens ? HOSTS_PER_SCREENED : HOSTS_PER_DEVICE;
    long most = each * devices < MAX_HOSTS ? each * devices : MAX_HOSTS, left = cores() - (long)devices;
    unsigned n = workers ? workers : (unsigned)(left < 1 ? 1 : left > most ? most : left);
    if (n > HONE_POOL_MAX_WORKERS - devices)
        n = HONE_POOL_MAX_WORKERS - devices;
    p->host_threads = (unsigned)(left > (long)n ? left / (long)n : 1);
    for (unsigned i = 0; i < n; i++)
        HONE_TRY(hone_crew_start(p, add_slot(p, HONE_WORKER_HOST, p->slots[i % devices].device), e));
    return HONE_OK;
}

// What is told of the device: the first one's description, with the list of all.
static void describe(hone_pool *p) {
    p->device_json = json_incref(p->slots[0].device_json);
    unsigned devices = hone_pool_devices(p);
    if (devices < 2)
        return;
    hone_str spec;
    hone_str_init(&spec, 1024);
    json_decref(p->device_json);
    p->device_json = json_deep_copy(p->slots[0].device_json);
    json_t *all = json_array();
    for (unsigned i = 0; i < devices; i++) {
        hone_str_addf(&spec, "%s%s", i ? "," : "", p->slots[i].device);
        json_array_append_new(all, json_pack("{s:s,s:O?}", "spec", p->slots[i].device, "name", json_object_get(p->slots[i].device_json, "name")));
    }
    json_object_set_new(p->device_json, "spec", json_string(spec.failed ? p->device : spec.s));
    json_object_set_new(p->device_json, "devices", all);
    hone_str_free(&spec);
}

static hone_code start_all(hone_pool *p, const hone_pool_config *c, hone_err *e) {
    long n = cores();
    unsigned whole = c->workers ? c->workers : (unsigned)(n > 4 ? 4 : n);
    p->host_threads = c->worker_threads ? c->worker_threads : (unsigned)(n > (long)whole ? n / (long)whole : 1);
    p->gpu_threads = c->worker_threads ? c->worker_threads : (unsigned)(n > 8 ? 8 : n);
    hone_code r = strcmp(p->device, "auto") == 0       ? add_auto(p, whole, e)
                  : strcmp(p->device, "cuda:all") == 0 ? add_all(p, e)
                  : strncmp(p->device, "cuda", 4) == 0 || strchr(p->device, ',') ? add_list(p, e)
                                                                                 : add_whole(p, whole, e);
    HONE_TRY(r);
    HONE_TRY(greet_devices(p, c->mixed, e));
    p->physical = p->slots[0].kind == HONE_WORKER_GPU;
    if (!p->physical && !p->limit_given)   // instruction budgets end what never ends; a busy machine must not change a result
        p->time_limit_s = VIRTUAL_LIMIT_S;
    describe(p);
    if (!p->physical)
        return HONE_OK;
    HONE_TRY(add_hosts(p, c->workers, c->screens, e));
    return hone_pipeline_open(p) ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a pool");
}

static hone_code fill_config(hone_pool *p, const hone_pool_config *c, hone_err *e) {
    p->clock = hone_clock_monotonic();
    p->limit_given = c->time_limit_s > 0;
    p->time_limit_s = c->time_limit_s > 0 ? c->time_limit_s : PHYSICAL_LIMIT_S;
    p->memory_limit_bytes = c->memory_limit_bytes;
    snprintf(p->device, sizeof p->device, "%s", c->device);
    if (c->program) {
        snprintf(p->program, sizeof p->program, "%s", c->program);
    } else {
        ssize_t n = readlink("/proc/self/exe", p->program, sizeof p->program - 1);
        if (n <= 0)
            return hone_fail(e, HONE_E_IO, errno, "cannot find the program's own file");
        p->program[n] = 0;
    }
    p->slots = hone_calloc(HONE_POOL_MAX_WORKERS, sizeof *p->slots);
    return p->slots ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a pool");
}

hone_code hone_pool_open(const hone_pool_config *c, hone_pool **out, hone_err *e) {
    hone_pool *p = hone_calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a pool");
    signal(SIGPIPE, SIG_IGN);   // a dead worker shows as EPIPE
    hone_code r = fill_config(p, c, e);
    if (r == HONE_OK)
        r = start_all(p, c, e);
    if (r != HONE_OK) {
        hone_pool_close(p);
        return r;
    }
    *out = p;
    return HONE_OK;
}

void hone_pool_close(hone_pool *p) {
    if (!p)
        return;
    for (unsigned i = 0; p->slots && i < p->n; i++) {
        hone_proc_kill(&p->slots[i].proc);
        json_decref(p->slots[i].device_json);
    }
    hone_pipeline_close(p);
    hone_free(p->slots);
    json_decref(p->device_json);
    hone_free(p);
}

unsigned hone_pool_workers(const hone_pool *p) { return p->n; }
const json_t *hone_pool_device(const hone_pool *p) { return p->device_json; }

unsigned hone_pool_devices(const hone_pool *p) {
    unsigned n = 0;
    for (unsigned i = 0; i < p->n; i++)
        n += p->slots[i].kind == HONE_WORKER_GPU;
    return n;
}
