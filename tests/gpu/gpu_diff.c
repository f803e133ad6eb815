// The virtual GPU against a physical one, through the same table of driver functions: every instruction form of cases.def on random operands, bit for bit
// or within the bound that PTX states, and every example's baseline at small sizes. One line per case, a summary, and with --json a file of
// differences. It needs the driver, libhonegpu.so and, for the examples, NVRTC. Exit code: 0 agreed, 1 differences, 77 no physical device.
//
// Jobs run in a child process, one after another; this process loads no driver. A child that loses its context, dies or does not answer is replaced by one that goes
// on after the job that did it, so that no case can harm another.
#include "diff.h"
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NO_DEVICE = 77, MAX_LINE = 1 << 16 };
typedef struct options { const char *device, *model, *json, *examples, *family, *dump, *limit, *budget; } options;
typedef struct job_list { const options *o; baselines examples; size_t n; } job_list;
static const struct { const char *word, *member; } statuses[N_STATUS] = {
    [SAME] = {"same", "same"}, [WITHIN] = {"within", "within"}, [DIFFER] = {"DIFFER", "differ"},
    [UNSUPPORTED] = {"unsupported", "unsupported"}, [REFUSED] = {"REFUSED", "refused"}, [FAILED] = {"FAILED", "failed"}, [ABSENT] = {"absent", "absent"},
};

// ---- the child: its messages are lines of JSON

static FILE *to_parent;
static void send(json_t *stolen) {
    json_dumpf(stolen, to_parent, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', to_parent);
    fflush(to_parent);
    json_decref(stolen);
}

void note(const char *name, const char *family, status s, json_t *detail, const char *fmt, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; (c = strchr(c, '\n'));)   // a driver's log
        *c = ' ';
    json_t *o = json_pack("{s:s,s:s,s:i,s:s%}", "case", name, "family", family, "status", (int)s, "text", text, strlen(text));
    if (!o)   // a driver's log that is not UTF-8
        o = json_pack("{s:s,s:s,s:i,s:s}", "case", name, "family", family, "status", (int)s, "text", "(text left out)");
    if (o && detail)
        json_object_set_new(o, "detail", detail);
    send(o);
}

static const char *job_name(const job_list *l, size_t i) {
    if (i < case_count())
        return case_name(i);
    const char *path = l->examples.paths[i - case_count()], *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
static const char *job_family(size_t i) { return i < case_count() ? case_family(i) : "EXAMPLE"; }

static bool wanted(const job_list *l, size_t i, uint32_t cc) {
    return (!l->o->family || strcmp(l->o->family, job_family(i)) == 0) && (i >= case_count() || case_runs_on(i, cc));
}

static int open_side(const char *spec, side *s) {
    hone_err e = {0};
    if (hone_device_open(spec, &s->device, &e) != HONE_OK) {
        send(json_pack("{s:s,s:b}", "skipped", e.msg, "harmless", e.code == HONE_E_NO_DEVICE));
        return NO_DEVICE;
    }
    objects_make(s->device->driver->library, &s->objects);
    if (s->objects.missing)
        send(json_pack("{s:s,s:s,s:i}", "missing", s->objects.missing, "device", s->device->info.name, "result", s->objects.result));
    return 0;
}

static void run_jobs(const job_list *l, size_t from, side *virt, side *phys) {
    hone_compiler *compiler = NULL;
    hone_err e = {0};
    bool usable = true;
    for (size_t i = from; i < l->n && usable; i++) {
        if (!wanted(l, i, phys->device->info.cc))
            continue;
        if (i >= case_count() && !compiler && hone_compiler_open(&(hone_compiler_config){0}, &compiler, &e) != HONE_OK) {
            send(json_pack("{s:s}", "without", e.msg));
            break;
        }
        send(json_pack("{s:I}", "begin", (json_int_t)i));
        usable = i < case_count() ? case_run(i, virt, phys) : baseline_run(l->examples.paths[i - case_count()], compiler, virt, phys);
        send(json_pack("{s:I}", "end", (json_int_t)i));
    }
    if (usable)
        send(json_pack("{s:b}", "done", 1));
    if (compiler)
        hone_compiler_close(compiler);
}

static int child(const job_list *l, size_t from, int fd) {
    side virt = {0}, phys = {0};
    char model[300];
    snprintf(model, sizeof model, "virtual:%s", l->o->model);
    to_parent = fdopen(fd, "w");
    int code = to_parent ? open_side(l->o->device, &phys) : 2;
    if (!code)
        code = open_side(model, &virt);
    const honeVgpuOptions checked = {.size = sizeof checked, .flags = HONE_VGPU_CHECK | HONE_VGPU_RACE};
    if (!code && virt.device->driver->vgpu.SetOptions && virt.device->driver->vgpu.SetOptions(&checked) != 0)
        code = 2;
    if (!code) {
        send(json_pack("{s:s,s:s}", "virtual", virt.device->info.name, "physical", phys.device->info.name));
        run_jobs(l, from, &virt, &phys);
    }
    if (virt.device)
        hone_device_close(virt.device);
    if (phys.device)
        hone_device_close(phys.device);
    return code;
}

// ---- the parent

typedef struct run {
    const job_list *jobs;
    size_t next;                  // where the next child begins
    long at;                      // the job in progress; -1: none
    unsigned count[N_STATUS], left_out;
    json_t *list;
    char virt[96], phys[96];
    bool done, skipped, heard;    // heard: the child at work has told of a device or a job
    double until_s;
    int limit_s;
} run;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void record(run *r, const char *name, const char *family, status s, json_t *detail, const char *text) {
    json_t *o = json_pack("{s:s,s:s,s:s}", "case", name, "family", family, "status", statuses[s].member);
    if (o && detail)
        json_object_set(o, "detail", detail);
    json_array_append_new(r->list, o);
    r->count[s]++;
    printf("%-12s %-26s %s%s%s\n", statuses[s].word, name, family, *text ? "  " : "", text);
}

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void take(run *r, const json_t *m) {
    const char *name = text_of(m, "case");
    const json_t *begin = json_object_get(m, "begin");
    if (name)
        record(r, name, text_of(m, "family"), (status)json_integer_value(json_object_get(m, "status")), json_object_get(m, "detail"), text_of(m, "text"));
    else if (begin)
        r->at = (long)json_integer_value(begin), r->next = (size_t)r->at + 1, r->heard = true;
    else if (json_object_get(m, "end"))
        r->at = -1;
    else if (json_object_get(m, "done"))
        r->done = true;
    else if (text_of(m, "physical")) {
        snprintf(r->virt, sizeof r->virt, "%s", text_of(m, "virtual"));
        snprintf(r->phys, sizeof r->phys, "%s", text_of(m, "physical"));
        r->heard = true;
    } else if (text_of(m, "skipped") && !r->phys[0]) {
        printf("skipped: %s\n", text_of(m, "skipped"));
        r->skipped = true;
    } else if (text_of(m, "without")) {
        printf("skipped      examples: %s\n", text_of(m, "without"));
        r->done = true;
    } else if (text_of(m, "missing"))
        printf("missing      %s on '%s': result %lld\n", text_of(m, "missing"), text_of(m, "device"), json_integer_value(json_object_get(m, "result")));
}

// Reads what a child says until it ends, or does not answer for the limit, or time is up. Why it was given up; NULL: it ended.
static const char *listen_to(run *r, int fd) {
    static char line[MAX_LINE];
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const double left = r->until_s - now_s();
        if (left <= 0)
            return "out of time";
        const int wait_ms = left < r->limit_s ? (int)(left * 1000) + 1 : r->limit_s * 1000;
        const int got = poll(&p, 1, wait_ms);
        if (got == 0)
            return now_s() >= r->until_s ? "out of time" : "no answer";
        const ssize_t bytes = got > 0 ? read(fd, line + n, sizeof line - 1 - n) : -1;
        if (bytes <= 0)
            return NULL;
        n += (size_t)bytes;
        line[n] = 0;
        char *from = line, *end;
        for (; (end = strchr(from, '\n')); from = end + 1) {
            *end = 0;
            json_t *m = json_loads(from, 0, NULL);
            take(r, m);
            json_decref(m);
        }
        n = strlen(from);
        memmove(line, from, n + 1);
        if (n + 1 == sizeof line)
            return "a line too long";
    }
}

// One child from r->next on. false: nothing is left to do, or no child can do it.
static bool one_child(run *r) {
    int fds[2], how = 0;
    fflush(stdout);
    if (pipe(fds) != 0)
        return false;
    r->at = -1;
    r->heard = false;
    const pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        exit(child(r->jobs, r->next, fds[1]));
    }
    close(fds[1]);
    const char *why = pid > 0 ? listen_to(r, fds[0]) : "cannot start";
    close(fds[0]);
    if (why && pid > 0)
        kill(pid, SIGKILL);
    if (pid > 0)
        waitpid(pid, &how, 0);
    char text[128];
    if (r->at >= 0) {   // in the middle of a job
        snprintf(text, sizeof text, why ? "%s" : WIFSIGNALED(how) ? "%s signal %d" : "%s code %d", why ? why : "the process ended with", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
        record(r, job_name(r->jobs, (size_t)r->at), job_family((size_t)r->at), FAILED, NULL, text);
    }
    if (!r->heard && !r->skipped)   // it could not even begin: every later one would end so
        record(r, "start of a process", "RUN", FAILED, NULL, why ? why : "the devices do not open");
    return r->heard && !r->done && !r->skipped && now_s() < r->until_s;
}

static int finish(const run *r) {
    const options *o = r->jobs->o;
    unsigned all = 0;
    for (int i = 0; i < N_STATUS; i++)
        all += r->count[i];
    if (!r->done)
        printf("stopped at job %zu of %zu\n", r->next, r->jobs->n);
    printf("%u cases on '%s' against '%s': %u the same bits, %u within their bound, %u differ, %u unsupported by both, %u absent from hardware, %u refused by one, "
           "%u failed\n", all, r->virt, r->phys,
           r->count[SAME], r->count[WITHIN], r->count[DIFFER], r->count[UNSUPPORTED], r->count[ABSENT], r->count[REFUSED], r->count[FAILED]);
    if (o->json) {
        json_t *j = json_pack("{s:s,s:s,s:s,s:b,s:O}", "schema", "hone.gpu-diff/1", "virtual", r->virt, "physical", r->phys, "complete", r->done, "cases", r->list);
        for (int i = 0; j && i < N_STATUS; i++)
            json_object_set_new(j, statuses[i].member, json_integer(r->count[i]));
        if (!j || json_dump_file(j, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0)
            fprintf(stderr, "gpu_diff: cannot write '%s'\n", o->json);
        json_decref(j);
    }
    return !r->done || r->count[DIFFER] || r->count[REFUSED] || r->count[FAILED];
}

static int run_all(const options *o) {
    job_list jobs = {.o = o};
    if (o->examples)
        baselines_list(o->examples, &jobs.examples);
    jobs.n = case_count() + jobs.examples.n;
    run r = {.jobs = &jobs, .list = json_array(), .limit_s = atoi(o->limit), .until_s = now_s() + atof(o->budget)};
    while (one_child(&r))
        ;
    const int code = r.skipped ? NO_DEVICE : finish(&r);
    json_decref(r.list);
    baselines_free(&jobs.examples);
    return code;
}

// The cases as PTX files, for ptxas: gpu_diff --dump DIR
static int dump(const options *o) {
    for (size_t i = 0; i < case_count(); i++) {
        char path[1024];
        hone_str ptx;
        hone_str_init(&ptx, CASE_PTX_BYTES);
        case_ptx(i, 90, &ptx);
        snprintf(path, sizeof path, "%s/%03zu.ptx", o->dump, i);
        FILE *f = fopen(path, "w");
        if (f)
            fprintf(f, "// %s\n%s", case_name(i), ptx.s);
        hone_str_free(&ptx);
        if (!f || fclose(f) != 0)
            return fprintf(stderr, "gpu_diff: cannot write '%s'\n", path), 2;
    }
    return 0;
}

int main(int argc, char **argv) {
    options o = {.device = "cuda:0", .model = "h200", .limit = "60", .budget = "3600"};
    const struct { const char *name; const char **value; } table[] = {
        {"--device", &o.device}, {"--model", &o.model}, {"--json", &o.json}, {"--examples", &o.examples}, {"--family", &o.family}, {"--dump", &o.dump}, {"--limit", &o.limit},
        {"--budget", &o.budget}};
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < HONE_COUNT(table) && strcmp(argv[i], table[k].name) != 0)
            k++;
        if (k == HONE_COUNT(table) || i + 1 == argc) {
            fprintf(stderr, "usage: gpu_diff [--device cuda:N] [--model h200] [--family NAME] [--examples DIR] [--json FILE] [--dump DIR]\n"
                            "                [--limit SECONDS of silence, after which a case has failed] [--budget SECONDS in all]\n");
            return 2;
        }
        *table[k].value = argv[i + 1];
    }
    return o.dump ? dump(&o) : run_all(&o);
}
