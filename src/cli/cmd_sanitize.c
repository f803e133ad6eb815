// hone sanitize: every check of the virtual GPU on a task's own kernels or a candidate's, without judging the results. Shows each finding with the
// source lines it is about: the access, and for races the other one.
#include "base/suppress.h"
#include "cli/cli.h"
#include "hone_vgpu.h"
#include <string.h>

enum { MEMORY = HONE_VGPU_CHECK, RACES = HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL };

static const struct { const char *name; uint32_t flags; } checks[] = {
    {"all", RACES | HONE_VGPU_INIT | HONE_VGPU_CLOCKS}, {"memcheck", MEMORY}, {"synccheck", MEMORY}, {"racecheck", RACES},
    {"initcheck", MEMORY | HONE_VGPU_INIT}, {"clockcheck", MEMORY | HONE_VGPU_CLOCKS},
};

static hone_code flags_of(const char *list, uint32_t *flags, hone_err *e) {
    for (*flags = 0; *list;) {
        const size_t n = strcspn(list, ",");
        size_t i = 0;
        while (i < HONE_COUNT(checks) && (strlen(checks[i].name) != n || strncmp(checks[i].name, list, n) != 0))
            i++;
        if (i == HONE_COUNT(checks)) {
            hone_fail(e, HONE_E_USAGE, 0, "there is no check '%.*s'", (int)n, list);
            return hone_hint(e, "the checks are all, memcheck, racecheck, initcheck, synccheck, clockcheck"), HONE_E_USAGE;
        }
        *flags |= checks[i].flags;
        list += n + (list[n] == ',');
    }
    return HONE_OK;
}

// ---- hints, by the start of the kind

static const struct { const char *kind, *hint; } hints[] = {
    {"race.shared", "put __syncthreads() (or __syncwarp() within one warp) between the two accesses, or make them atomic"},
    {"race.global", "order them: a barrier within a block; between blocks __threadfence() and an atomic flag, or two launches; or make them atomic"},
    {"race.scope", "use the atomic without _block"},
    {"async.unwaited", "wait for the copy's group (__pipeline_wait_prior, cp.async.wait_group), then __syncthreads()"},
    {"memory.out-of-bounds", "test the index against the size first"},
    {"memory.uninitialized", "write it first, on every path and by every thread that the reader relies on"},
    {"memory.misaligned", "vector accesses need addresses that are multiples of their size"},
    {"memory.input-written", "declare the buffer inout, or write elsewhere"},
    {"memory.unwritten-output", "every element of an out buffer should be written"},
    {"barrier.divergent", "move the barrier out of the branch, so that all threads of the block reach it"},
    {"barrier.exited", "let the threads stay until the last barrier and guard their work instead of returning"},
    {"warp.", "name in the mask exactly the threads that execute the instruction"},
    {"register.", "give the variable a value on every path"},
    {"schedule.", "the result depends on an order that nothing fixes: look for a missing barrier, an unordered atomic, or unwritten memory"},
    {"control.clock", "a kernel's work must not depend on the time it takes"},
};

static const char *hint_of(const char *kind) {
    for (size_t i = 0; i < HONE_COUNT(hints); i++)
        if (strncmp(kind, hints[i].kind, strlen(hints[i].kind)) == 0)
            return hints[i].hint;
    return NULL;
}

// ---- text

static hone_span line_of(const char *text, unsigned line) {
    for (; line > 1 && *text; line--) {
        text = strchrnul(text, '\n');
        text += *text == '\n';
    }
    return (hone_span){text, strcspn(text, "\n")};
}

// The line with a caret below its first character that is no blank.
static void print_frame(const char *text, unsigned line, const char *label, const cli_style *st) {
    const hone_span s = line_of(text, line);
    size_t blank = 0;
    while (blank < s.n && (s.s[blank] == ' ' || s.s[blank] == '\t'))
        blank++;
    printf("  %s%5u |%s %.*s\n        %s|%s ", st->dim, line, st->off, (int)s.n, s.s, st->dim, st->off);
    for (size_t i = 0; i < blank; i++)
        putchar(s.s[i] == '\t' ? '\t' : ' ');
    printf("%s^ %s%s\n", st->yellow, label, st->off);
}

static const char *triple(const json_t *a, char buf[48]) {
    snprintf(buf, 48, "(%lld,%lld,%lld)", json_integer_value(json_array_get(a, 0)), json_integer_value(json_array_get(a, 1)),
             json_integer_value(json_array_get(a, 2)));
    return buf;
}

static void label_place(const json_t *place, const char *access, char *out, size_t cap) {
    char b[48], t[48], word[16];
    snprintf(word, sizeof word, "%s", access ? access : "here");
    const size_t n = strlen(word);
    if (n > 1 && word[n - 1] == 's' && strcmp(word, "copies"))   // "writes" → "write", to stand beside the other label
        word[n - 1] = 0;
    access = word;
    if (json_object_get(place, "block"))
        snprintf(out, cap, "%s by block %s, thread %s", access, triple(json_object_get(place, "block"), b), triple(json_object_get(place, "thread"), t));
    else
        snprintf(out, cap, "%s", access);
}

static void print_finding(const hone_finding *f, const char *text, const char *path, const cli_style *st) {
    char label[160];
    const json_t *other = json_object_get(f->evidence, "other");
    const char *access = json_string_value(json_object_get(f->evidence, "access"));
    printf("%s%s%s %s%s%s", st->red, f->kind, st->off, st->bold, path, st->off);
    if (f->line)
        printf("%s:%u%s", st->bold, f->line, st->off);
    printf(": %s\n", f->message);
    if (f->line) {
        label_place(f->evidence, access && *access ? access : "here", label, sizeof label);
        print_frame(text, f->line, label, st);
    }
    const unsigned line = (unsigned)json_integer_value(json_object_get(other, "line"));
    if (line) {
        label_place(other, json_string_value(json_object_get(other, "access")), label, sizeof label);
        print_frame(text, line, label, st);
    }
    const json_int_t count = json_integer_value(json_object_get(f->evidence, "count"));
    if (count > 1)
        printf("  %s%lld times%s\n", st->dim, (long long)count, st->off);
    if (hint_of(f->kind))
        printf("  %shint:%s %s\n", st->cyan, st->off, hint_of(f->kind));
    putchar('\n');
}

// ---- the command

static const char *kernel_of(const hone_finding *f) { return json_string_value(json_object_get(f->evidence, "kernel")); }

static json_int_t other_line(const hone_finding *f) { return json_integer_value(json_object_get(json_object_get(f->evidence, "other"), "line")); }

// One line of the source may be several instructions (unrolled, inlined): they are told once.
static bool merged(hone_outcome *o, size_t n, const hone_finding *f) {
    for (size_t i = 0; i < n; i++) {
        const hone_finding *g = &o->findings[i];
        if (!f->line || g->line != f->line || strcmp(g->kind, f->kind) || other_line(g) != other_line(f))
            continue;
        const json_int_t more = json_integer_value(json_object_get(f->evidence, "count"));
        json_object_set_new(g->evidence, "count", json_integer(json_integer_value(json_object_get(g->evidence, "count")) + more));
        return true;
    }
    return false;
}

// Takes suppressed findings out of the outcome; returns how many.
static size_t suppress(hone_outcome *o, const hone_suppressions *quiet, const char *path) {
    size_t kept = 0, suppressed = 0, all = o->n_findings;
    for (size_t i = 0; i < all; i++) {
        const hone_finding f = o->findings[i];
        if (hone_suppressed(quiet, f.kind, kernel_of(&f), path, f.line))
            suppressed++;
        else if (!merged(o, kept, &f))
            o->findings[kept++] = f;
    }
    o->n_findings = kept;
    return suppressed;
}

static int show(const cli_options *opt, hone_outcome *o, const hone_task *shown, const hone_suppressions *quiet, const json_t *device) {
    const size_t suppressed = suppress(o, quiet, shown->path);
    const char *error = json_string_value(json_object_get(json_object_get(o->json, "error"), "message"));
    const bool failed = o->n_findings || (o->verdict == HONE_ERROR) || (error && !suppressed);
    if (opt->json) {
        json_t *j = json_pack("{s:s, s:s, s:o, s:I, s:O}", "schema", "hone.sanitize/1", "path", shown->path, "findings", cli_findings_json(o), "suppressed",
                              (json_int_t)suppressed, "device", device);
        if (json_object_get(o->json, "error"))
            json_object_set(j, "error", json_object_get(o->json, "error"));
        cli_print_json(j);
        return failed ? EXIT_WRONG : EXIT_FINE;
    }
    const cli_style st = cli_style_for(opt, stdout);
    for (size_t i = 0; i < o->n_findings; i++)
        print_finding(&o->findings[i], shown->text, shown->path, &st);
    if (error && !o->n_findings && !suppressed)
        printf("%serror:%s %s\n", st.red, st.off, error);
    printf("%s%s%s: %zu finding%s, %zu suppressed\n", failed ? st.red : st.green, shown->path, st.off, o->n_findings, o->n_findings == 1 ? "" : "s", suppressed);
    return failed ? EXIT_WRONG : EXIT_FINE;
}

static int sanitize(const cli_options *o, const hone_task *task, const hone_task *candidate, uint32_t flags, const hone_suppressions *quiet, hone_pool *pool) {
    hone_err e = {0};
    hone_job j = {.id = 1, .task_path = task->path, .task_text = task->text, .candidate_text = candidate ? candidate->text : NULL, .tuning = o->params,
                  .n_tuning = o->n_params, .seed = o->has_seed ? o->seed : 1, .time_limit_s = o->limit_s, .sanitize_flags = flags, .schedules = o->schedules,
                  .stages = HONE_STAGE_COMPILE | HONE_STAGE_SANITIZE};
    hone_outcome *out = NULL;
    if (cli_evaluate(pool, &j, &out, &e) != HONE_OK)
        return cli_error(o, &e);
    const int code = show(o, out, candidate ? candidate : task, quiet, hone_pool_device(pool));
    hone_outcome_free(out);
    return code;
}

int cmd_sanitize(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args < 1 || o->n_args > 2) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone sanitize' needs a task file and at most one candidate");
        hone_hint(&e, "hone sanitize TASK.cu [CANDIDATE.cu]");
        return cli_error(o, &e);
    }
    hone_task *task = NULL, *candidate = NULL;
    hone_pool *pool = NULL;
    hone_suppressions *quiet = NULL;
    uint32_t flags = 0;
    hone_code c = flags_of(o->checks ? o->checks : "all", &flags, &e);
    if (c == HONE_OK && o->suppress)
        c = hone_suppressions_load(o->suppress, &quiet, &e);
    if (c == HONE_OK)
        c = cli_load_task(o->args[0], &task, &e);
    if (c == HONE_OK && o->n_args == 2)
        c = cli_load_task(o->args[1], &candidate, &e);
    if (c == HONE_OK)
        c = cli_open_pool(o, 1, &pool, &e);
    const int code = c == HONE_OK ? sanitize(o, task, candidate, flags, quiet, pool) : cli_error(o, &e);
    if (pool)
        hone_pool_close(pool);
    hone_task_free(candidate);
    hone_task_free(task);
    hone_suppressions_free(quiet);
    return code;
}
