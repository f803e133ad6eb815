// serve/mcp_tools: the tools that describe, draft and judge. Arguments become options of a command, every value behind its own option, every path
// absolute and inside the root; the candidate is a file. What comes back is the command's JSON, made small.
#include "check/check.h"
#include "export/export.h"
#include "serve/mcp_internal.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAUNCHES = 16, MAX_PAIRS = 32, MAX_LINEAGE = 4096, DEFAULT_TOP = 12 };

// ---- arguments

const char *mcp_text(const json_t *args, const char *key) { return json_string_value(json_object_get(args, key)); }

static bool is_kind(const json_t *v, const char *type) {
    static const struct { const char *name; int a, b; } kinds[] = {
        {"string", JSON_STRING, JSON_STRING}, {"integer", JSON_INTEGER, JSON_INTEGER}, {"number", JSON_INTEGER, JSON_REAL},
        {"object", JSON_OBJECT, JSON_OBJECT}, {"array", JSON_ARRAY, JSON_ARRAY},
    };
    for (size_t i = 0; i < HONE_COUNT(kinds); i++)
        if (!strcmp(kinds[i].name, type))
            return (int)json_typeof(v) == kinds[i].a || (int)json_typeof(v) == kinds[i].b;
    return false;
}

static hone_code check_one(const mcp_tool *t, const json_t *properties, const char *key, const json_t *v, hone_err *e) {
    const json_t *p = json_object_get(properties, key), *low = json_object_get(p, "minimum"), *high = json_object_get(p, "maximum");
    const char *type = json_string_value(json_object_get(p, "type"));
    if (!p)
        return hone_fail(e, HONE_E_USAGE, 0, "'%s' has no argument '%.64s'", t->name, key);
    if (!type || !is_kind(v, type))
        return hone_fail(e, HONE_E_USAGE, 0, "argument '%s' of '%s' must be of type %s", key, t->name, type ? type : "?");
    if (json_is_string(v) && json_string_length(v) > MCP_MAX_TEXT)
        return hone_fail(e, HONE_E_LIMIT, 0, "argument '%s' is longer than %d bytes", key, MCP_MAX_TEXT);
    if (json_is_number(v) && ((low && json_number_value(v) < json_number_value(low)) || (high && json_number_value(v) > json_number_value(high))))
        return hone_fail(e, HONE_E_USAGE, 0, "argument '%s' of '%s' is out of range", key, t->name);
    return HONE_OK;
}

hone_code mcp_check_args(const mcp_tool *t, const json_t *args, hone_err *e) {
    json_t *schema = json_loads(t->schema, 0, NULL), *v, *name;
    const json_t *properties = json_object_get(schema, "properties");
    const char *key;
    size_t i;
    hone_code c = HONE_OK;
    json_object_foreach((json_t *)(uintptr_t)args, key, v) if (c == HONE_OK) c = check_one(t, properties, key, v, e);
    json_array_foreach(json_object_get(schema, "required"), i, name) if (c == HONE_OK && !json_object_get(args, json_string_value(name)))
        c = hone_fail(e, HONE_E_USAGE, 0, "'%s' needs the argument '%s'", t->name, json_string_value(name));
    json_decref(schema);
    return c;
}

static bool is_device(const char *s) {
    size_t n = !strncmp(s, "virtual:", 8) ? 8 : !strncmp(s, "cuda:", 5) ? 5 : 0;   // no device file: that would be a path
    if (!n || !s[n] || strlen(s) > 40)
        return false;
    for (s += n; *s; s++)
        if (!isalnum((unsigned char)*s))
            return false;
    return true;
}

static bool is_name(const char *s) {
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static void add_pairs(const json_t *pairs, const char *option, mcp_args *a) {
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)pairs, name, v) {
        if (json_is_integer(v) && is_name(name) && strlen(name) < 64)
            mcp_args_add(a, "--%s=%s=%lld", option, name, (long long)json_integer_value(v));
        else
            a->failed = true;
    }
}

void mcp_common_args(const mcp *m, const json_t *args, mcp_args *a) {
    const char *device = mcp_text(args, "device");
    const json_t *seed = json_object_get(args, "seed");
    mcp_args_add(a, "--json");
    mcp_args_add(a, "--quiet");
    if (device && !is_device(device))
        a->failed = true;
    else if (device || m->c->device)
        mcp_args_add(a, "--device=%s", device ? device : m->c->device);
    if (seed)
        mcp_args_add(a, "--seed=%lld", (long long)json_integer_value(seed));
}

hone_code mcp_start_command(mcp_call *call, mcp_args *a, hone_err *e) {
    bool failed = a->failed;
    if (failed) {
        mcp_args_free(a);
        hone_fail(e, HONE_E_USAGE, 0, "an argument is not usable");
        return hone_hint(e, "devices are cuda:N or virtual:NAME; names are identifiers, their values whole numbers");
    }
    call->has_child = true;
    return mcp_child_start(&call->child, a, e);
}

// ---- describing

enum { FIXED_LINE, FREE_LINE };
static int line_kind(const char *word, size_t n) {
    static const char *const free_words[] = {"launch", "scratch", "tune", "where", "flags"};
    for (size_t i = 0; i < HONE_COUNT(free_words); i++)
        if (strlen(free_words[i]) == n && !strncmp(word, free_words[i], n))
            return FREE_LINE;
    return FIXED_LINE;
}

static void split_lines(const char *text, json_t *fixed, json_t *free_lines) {
    static const char start[] = "#pragma hone ";
    for (const char *p = text; p && *p;) {
        const char *end = strchr(p, '\n');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        if (n > sizeof start - 1 && !strncmp(p, start, sizeof start - 1)) {
            const char *word = p + sizeof start - 1;
            json_array_append_new(line_kind(word, strcspn(word, " \t\n")) == FIXED_LINE ? fixed : free_lines, json_stringn(p, n));
        }
        p = end ? end + 1 : NULL;
    }
}

static hone_code parse_task(const char *path, hone_task **out, hone_err *e) {
    char *text = NULL;
    size_t n;
    hone_diags diags = {.arena = hone_arena_new(1 << 20)};
    *out = NULL;
    if (!diags.arena)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_err why = {0};
    hone_code c = hone_read_file(path, MCP_MAX_TEXT, &text, &n, &why);
    if (c == HONE_OK)
        c = hone_task_parse(hone_path_base(path), text, n, out, &diags, &why);
    if (c != HONE_OK && diags.n) {
        hone_str s;
        hone_str_init(&s, 1 << 20);
        hone_diags_print(&diags, hone_path_base(path), text, n, &s);
        hone_fail(e, c, 0, "%s", s.s);
        hone_str_free(&s);
    } else if (c != HONE_OK) {
        hone_fail(e, c, why.sub, "%s", why.msg);
    }
    hone_free(text);
    hone_arena_free(diags.arena);
    return c;
}

static hone_code describe(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)call;
    char path[MCP_PATH];
    hone_task *t;
    HONE_TRY(mcp_path(m, mcp_text(args, "task"), path, e));
    HONE_TRY(parse_task(path, &t, e));
    json_t *fixed = json_array(), *yours = json_array(), *kernels = json_array();
    split_lines(t->text, fixed, yours);
    for (size_t i = 0; i < t->n_kernels; i++)
        json_array_append_new(kernels, json_stringn(t->kernels[i].name, strlen(t->kernels[i].name)));
    *now = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s}", "schema", "hone.task/1", "path", path, "hash", t->hash, "contract", fixed, "yours", yours, "kernels",
                     kernels, "text", t->text);
    hone_binding first[64];
    hone_env env = {.v = first};
    for (size_t i = 0; i < t->n_tunes && env.n < HONE_COUNT(first); i++)
        first[env.n++] = (hone_binding){t->tunes[i].name, t->tunes[i].values[0]};
    json_t *plan = *now ? hone_export_plan(t, &env, t->name, NULL, NULL) : NULL;
    if (plan)
        json_object_set_new(*now, "plan", plan);
    hone_task_free(t);
    return *now ? HONE_OK : hone_fail(e, HONE_E_PARSE, 0, "the task's text is not UTF-8");
}

static json_t *finding_json(hone_finding_kind k) {
    return json_pack("{s:s, s:s, s:s, s:s}", "kind", hone_finding_name(k), "stage", hone_finding_stage(k), "severity",
                     hone_finding_severity(k) == HONE_REFUSE ? "refuse" : "note", "meaning", hone_finding_text(k));
}

static hone_code explain(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)m, (void)call;
    const char *kind = mcp_text(args, "kind");
    hone_finding_kind k;
    json_t *list = json_array();
    if (kind && !hone_finding_by_name(kind, &k)) {
        json_decref(list);
        hone_fail(e, HONE_E_USAGE, 0, "there is no finding '%.64s'", kind);
        return hone_hint(e, "without 'kind' all findings are listed");
    }
    for (int i = kind ? (int)k : 0; i < (kind ? (int)k + 1 : (int)HONE_F_COUNT); i++)
        json_array_append_new(list, finding_json((hone_finding_kind)i));
    *now = json_pack("{s:s, s:o}", "schema", "hone.findings/1", "findings", list);
    return HONE_OK;
}

// ---- drafting

static hone_code draft(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    const char *source = mcp_text(args, "source"), *path = mcp_text(args, "path");
    char file[MCP_PATH];
    size_t i;
    json_t *launch;
    if (!source == !path)
        return hone_fail(e, HONE_E_USAGE, 0, "give either 'source' or 'path'");
    HONE_TRY(source ? mcp_scratch_file(m, source, "kernel.cu", file, e) : mcp_path(m, path, file, e));
    if (source)
        snprintf(call->files[0], MCP_PATH, "%s", file);
    mcp_args a = {0};
    mcp_args_add(&a, "%s", m->program);
    mcp_args_add(&a, "init");
    mcp_common_args(m, args, &a);
    add_pairs(json_object_get(args, "sizes"), "size", &a);
    json_array_foreach(json_object_get(args, "launches"), i, launch) {
        if (json_is_string(launch) && i < MAX_LAUNCHES)
            mcp_args_add(&a, "--launch=%s", json_string_value(launch));
        else
            a.failed = true;
    }
    mcp_args_add(&a, "%s", file);
    return mcp_start_command(call, &a, e);
}

// ---- judging

// The task, and the candidate as a file; the candidate's argument is absent for the baseline itself.
static hone_code add_files(mcp *m, mcp_call *call, const json_t *args, mcp_args *a, hone_err *e) {
    char path[MCP_PATH];
    const char *text = mcp_text(args, "candidate"), *file = mcp_text(args, "candidate_path");
    HONE_TRY(mcp_path(m, mcp_text(args, "task"), path, e));
    mcp_args_add(a, "%s", path);
    if (text && file)
        return hone_fail(e, HONE_E_USAGE, 0, "give 'candidate' or 'candidate_path', not both");
    if (!text && !file)
        return HONE_OK;
    HONE_TRY(text ? mcp_scratch_file(m, text, "candidate.cu", path, e) : mcp_path(m, file, path, e));
    if (text)
        snprintf(call->files[0], MCP_PATH, "%s", path);
    mcp_args_add(a, "%s", path);
    return HONE_OK;
}

static hone_code judge(mcp *m, mcp_call *call, const json_t *args, const char *command, hone_err *e) {
    mcp_args a = {0};
    mcp_args_add(&a, "%s", m->program);
    mcp_args_add(&a, "%s", command);
    mcp_common_args(m, args, &a);
    add_pairs(json_object_get(args, "params"), "param", &a);
    hone_code c = add_files(m, call, args, &a, e);
    if (c != HONE_OK) {
        mcp_args_free(&a);
        return c;
    }
    return mcp_start_command(call, &a, e);
}

static hone_code check(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    return judge(m, call, args, "check", e);
}
static hone_code benchmark(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    return judge(m, call, args, "bench", e);
}
static hone_code profile(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    const json_t *top = json_object_get(args, "top");
    call->number = top ? json_integer_value(top) : DEFAULT_TOP;
    return judge(m, call, args, "profile", e);
}

static void keep(json_t *o, const char *const *keys, size_t n) {   // and nothing else
    const char *key;
    json_t *v;
    void *next;
    json_object_foreach_safe(o, next, key, v) {
        bool wanted = false;
        for (size_t i = 0; i < n; i++)
            wanted |= !strcmp(key, keys[i]);
        if (!wanted)
            json_object_del(o, key);
    }
}

static json_t *small_bench(mcp_call *call, json_t *j) {
    (void)call;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(j, "rows"), i, row) json_object_del(row, "detail");
    return j;
}

static double share_of(const json_t *line) { return json_number_value(json_object_get(line, "time_share")); }

// The lines that take most time, and the kernels; the rest of a profile is bulk.
static json_t *small_profile(mcp_call *call, json_t *j) {
    static const char *const keys[] = {"schema", "path", "device", "modelled_us", "error_band", "kernels", "compare", "hot_lines", "time_in_no_line", "error"};
    json_t *source = json_object_get(j, "source"), *hot = json_array();
    for (json_int_t n = 0; n < call->number && json_array_size(source); n++) {
        size_t best = 0;
        for (size_t i = 1; i < json_array_size(source); i++)
            if (share_of(json_array_get(source, i)) > share_of(json_array_get(source, best)))
                best = i;
        json_array_append(hot, json_array_get(source, best));
        json_array_remove(source, best);
    }
    json_object_set_new(j, "hot_lines", hot);
    keep(j, keys, HONE_COUNT(keys));
    return j;
}

// ---- looking at runs

static hone_code look(mcp *m, mcp_call *call, const json_t *args, const char *command, const char *last, hone_err *e) {
    char folder[MCP_PATH];
    HONE_TRY(mcp_folder_of(m, args, folder, e));
    mcp_args a = {0};
    mcp_args_add(&a, "%s", m->program);
    mcp_args_add(&a, "%s", command);
    mcp_args_add(&a, "--json");
    mcp_args_add(&a, "%s", folder);
    if (last)
        mcp_args_add(&a, "%s", last);
    return mcp_start_command(call, &a, e);
}

static hone_code best(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    return look(m, call, args, "show", "best", e);
}

static hone_code lineage(mcp *m, mcp_call *call, const json_t *args, json_t **now, hone_err *e) {
    (void)now;
    const json_t *id = json_object_get(args, "candidate_id");
    call->number = id ? json_integer_value(id) : -1;
    return look(m, call, args, "log", NULL, e);
}

static json_t *small_show(mcp_call *call, json_t *j) {
    static const char *const parts[] = {"outcome", "confirmation"}, *const keys[] = {"verdict", "stages", "findings", "check", "compile", "seed"};
    (void)call;
    for (size_t i = 0; i < HONE_COUNT(parts); i++)
        if (json_is_object(json_object_get(j, parts[i])))
            keep(json_object_get(j, parts[i]), keys, HONE_COUNT(keys));
    return j;
}

static json_t *by_id(const json_t *list, json_int_t id) {
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)(uintptr_t)list, i, c)
        if (json_integer_value(json_object_get(c, "id")) == id)
            return c;
    return NULL;
}

// From the baseline to the candidate along first parents.
static json_t *small_lineage(mcp_call *call, json_t *j) {
    const json_t *list = json_object_get(j, "candidates"), *best_id = json_object_get(j, "best");
    if (!json_is_array(list))
        return j;
    json_t *chain = json_array(), *c = by_id(list, call->number >= 0 ? call->number : json_is_integer(best_id) ? json_integer_value(best_id) : 0);
    for (int n = 0; c && n < MAX_LINEAGE; n++) {
        const json_t *parents = json_object_get(c, "parents");
        json_array_insert(chain, 0, c);
        c = json_array_size(parents) ? by_id(list, json_integer_value(json_array_get(parents, 0))) : NULL;
    }
    json_t *out = json_pack("{s:s, s:O, s:O, s:o}", "schema", "hone.lineage/1", "folder", json_object_get(j, "folder"), "best", best_id, "lineage", chain);
    json_decref(j);
    return out;
}

// ---- the table

#define TEXT_ARG(name, text) "\"" name "\":{\"type\":\"string\",\"description\":\"" text "\"}"
#define INT_ARG(name, low, high, text) "\"" name "\":{\"type\":\"integer\",\"minimum\":" low ",\"maximum\":" high ",\"description\":\"" text "\"}"
#define OBJECT(required, ...) "{\"type\":\"object\",\"properties\":{" __VA_ARGS__ "},\"required\":[" required "],\"additionalProperties\":false}"
#define TASK_ARG TEXT_ARG("task", "path of the task file, inside the server's folder")
#define CANDIDATE_ARGS                                                                                                                        \
    TEXT_ARG("candidate", "the candidate: a whole task file as text") "," TEXT_ARG("candidate_path", "or its path; neither: the baseline itself") \
        ",\"params\":{\"type\":\"object\",\"description\":\"values of the candidate's tune parameters\",\"additionalProperties\":{\"type\":\"integer\"}}"
#define DEVICE_ARGS TEXT_ARG("device", "cuda:N or virtual:NAME (h200, a100, rtx4090 …)") "," INT_ARG("seed", "0", "9007199254740991", "seed of inputs and search")
#define RUN_ARG TEXT_ARG("run_id", "of start_run")
#define FOLDER_ARGS RUN_ARG "," TEXT_ARG("folder", "or a result folder, NAME.hone")

const mcp_tool mcp_tools[] = {
    {"describe_task", "Describe a task", "What a task file asks: its contract (lines a candidate must keep), the lines a candidate may change, the launch plan and the source.",
     OBJECT("\"task\"", TASK_ARG), true, describe, NULL},
    {"draft_task", "Draft a task file",
     "Makes a task file of a bare CUDA kernel: runs it once on the virtual GPU to see what it reads and writes. Returns the text; a person or you must check "
     "it and save it.",
     OBJECT("\"sizes\",\"launches\"",
            TEXT_ARG("source", "the kernel's source") "," TEXT_ARG("path", "or its path") ","
            "\"sizes\":{\"type\":\"object\",\"description\":\"sizes by name, like {\\\"N\\\": 1000000}\",\"additionalProperties\":{\"type\":\"integer\"}},"
            "\"launches\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"description\":\"launches in CUDA notation, like k<<<cdiv(N,256), 256>>>(x, y, N)\"}"),
     true, draft, NULL},
    {"check_candidate", "Check a candidate",
     "Judges a candidate against the task's baseline: static rules, compilation, sanitizer, differential tests. verdict pass or fail, with named findings.",
     OBJECT("\"task\"", TASK_ARG "," CANDIDATE_ARGS "," DEVICE_ARGS), true, check, NULL},
    {"profile_candidate", "Profile a candidate",
     "Counters, roofline position, occupancy and the likely bottleneck in words, per kernel and for the source lines that take most time; compared with the "
     "baseline.",
     OBJECT("\"task\"", TASK_ARG "," CANDIDATE_ARGS "," DEVICE_ARGS "," INT_ARG("top", "1", "200", "source lines wanted, 12 by default")), true, profile,
     small_profile},
    {"benchmark_candidate", "Time a candidate",
     "Every stage of the evaluation, then time against the baseline with an interval (measured on a GPU, modelled on the virtual one).",
     OBJECT("\"task\"", TASK_ARG "," CANDIDATE_ARGS "," DEVICE_ARGS), true, benchmark, small_bench},
    {"explain_finding", "Explain a finding", "What a finding means, why it refuses a candidate, and at which stage. Without a kind: all of them.",
     OBJECT("", TEXT_ARG("kind", "like diff.wrong")), true, explain, NULL},
    {"start_run", "Start an optimisation",
     "Starts hone's own search on a task in the background; it goes on while you propose candidates to it. Returns a run_id.",
     OBJECT("\"task\"",
            TASK_ARG "," TEXT_ARG("folder", "result folder; default NAME.hone beside the task") ","
            INT_ARG("evals", "1", "1000000", "evaluations at most, 40 by default") ","
            "\"time_s\":{\"type\":\"number\",\"minimum\":1,\"maximum\":604800,\"description\":\"seconds at most, 600 by default\"}," DEVICE_ARGS),
     false, mcp_start_run, NULL},
    {"run_status", "Status of a run", "Evaluations so far, the best so far, what became of your proposals.", OBJECT("\"run_id\"", RUN_ARG), true, mcp_run_status, NULL},
    {"run_result", "Result of a run", "Waits for the end of a run, at most wait_s seconds, and returns its result, or its status when it goes on.",
     OBJECT("\"run_id\"", RUN_ARG "," INT_ARG("wait_s", "0", "3600", "seconds to wait, 0 by default")), true, mcp_run_result, NULL},
    {"cancel_run", "Cancel a run", "Ends a run at once. What it found is kept, and start_run with the same arguments goes on from there.",
     OBJECT("\"run_id\"", RUN_ARG), false, mcp_cancel_run, NULL},
    {"propose", "Propose a candidate to a run",
     "Submits a candidate to a run that is going on. It passes the same stages as every other and takes part in the search.",
     OBJECT("\"run_id\",\"candidate\"", RUN_ARG "," TEXT_ARG("candidate", "the candidate: a whole task file as text") ","
            INT_ARG("wait_s", "0", "600", "seconds to wait for its verdict, 0 by default")),
     false, mcp_propose, NULL},
    {"best", "The best candidate", "The best candidate of a run: text, time, findings, lineage.", OBJECT("", FOLDER_ARGS), true, best, small_show},
    {"lineage", "Lineage of a candidate", "How a candidate came about, from the baseline on: moves, times, verdicts.",
     OBJECT("", FOLDER_ARGS "," INT_ARG("candidate_id", "0", "1000000000", "the best by default")), true, lineage, small_lineage},
};
const size_t mcp_n_tools = HONE_COUNT(mcp_tools);

json_t *mcp_tool_list(void) {
    json_t *list = json_array();
    for (size_t i = 0; i < mcp_n_tools; i++) {
        const mcp_tool *t = &mcp_tools[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:{s:b, s:b, s:b}}", "name", t->name, "title", t->title, "description", t->text,
                                              "inputSchema", json_loads(t->schema, 0, NULL), "annotations", "readOnlyHint", (int)t->read_only,
                                              "destructiveHint", 0, "openWorldHint", 0));
    }
    return list;
}

const mcp_tool *mcp_find_tool(const char *name) {
    for (size_t i = 0; name && i < mcp_n_tools; i++)
        if (!strcmp(mcp_tools[i].name, name))
            return &mcp_tools[i];
    return NULL;
}
