// Options: from the table in options.def to cli_options, and help from both tables. Accepts --name value, --name=value and -x value.
#include "cli/cli.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
#define CMD(name, args, summary, help) BIT_##name,
#include "cli/commands.def"
#undef CMD
    BIT_COUNT
};
enum {
#define CMD(name, args, summary, help) O_##name = 1 << BIT_##name,
#include "cli/commands.def"
#undef CMD
    O_ALL = (1 << BIT_COUNT) - 1,
    O_RUNS = O_optimize | O_check | O_bench | O_profile | O_init | O_doctor | O_sanitize,
    O_DEVICE = O_RUNS | O_run
};

typedef struct command { const char *name, *args, *summary, *help; unsigned bit; } command;
static const command commands[] = {
#define CMD(name, args, summary, help) {#name, args, summary, help, O_##name},
#include "cli/commands.def"
#undef CMD
};

typedef hone_code (*setter)(cli_options *o, const char *name, const char *value, hone_err *e);
typedef struct option { const char *name; char letter; const char *arg; unsigned commands; const char *help; setter set; } option;

// ---- values

static hone_code bad(const char *name, const char *value, const char *want, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, 0, "option '--%s' needs %s, not '%s'", name, want, value);
    return HONE_E_USAGE;
}

static hone_code parse_u64(const char *name, const char *v, uint64_t max, uint64_t *out, hone_err *e) {
    char *end;
    errno = 0;
    unsigned long long x = strtoull(v, &end, 0);
    if (errno || end == v || *end || *v == '-' || x > max)
        return bad(name, v, "a whole number", e);
    *out = x;
    return HONE_OK;
}

static hone_code set_count(const char *name, const char *v, unsigned *out, hone_err *e) {
    uint64_t x;
    HONE_TRY(parse_u64(name, v, 1000000000, &x, e));
    if (x == 0)
        return bad(name, v, "at least 1", e);
    *out = (unsigned)x;
    return HONE_OK;
}

static hone_code parse_seconds(const char *name, const char *v, double *out, hone_err *e) {
    static const struct { const char *unit; double s; } units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"", 1}};
    char *end;
    double x = strtod(v, &end);
    for (size_t i = 0; end != v && i < HONE_COUNT(units); i++) {
        if (!strcmp(end, units[i].unit) && isfinite(x) && x > 0) {
            *out = x * units[i].s;
            return HONE_OK;
        }
    }
    return bad(name, v, "a time like 90s, 10m or 2h", e);
}

static hone_code add_pair(const char *name, const char *v, hone_binding *pairs, size_t *n, hone_err *e) {
    const char *eq = strchr(v, '=');
    char *end = NULL;
    errno = 0;
    long long x = eq ? strtoll(eq + 1, &end, 0) : 0;
    if (!eq || eq == v || end == eq + 1 || *end || errno)
        return bad(name, v, "NAME=VALUE with a whole number", e);
    if (*n == CLI_MAX_PAIRS)
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %d options '--%s'", CLI_MAX_PAIRS, name);
    char *key = hone_strndup(v, (size_t)(eq - v));   // lives as long as the process
    if (!key)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    pairs[(*n)++] = (hone_binding){key, x};
    return HONE_OK;
}

// ---- one setter per option

#define SETTER(field) static hone_code set_##field(cli_options *o, const char *name, const char *v, hone_err *e)
#define FLAG(field)                                  \
    SETTER(field) {                                  \
        (void)name, (void)v, (void)e;                \
        o->field = true;                             \
        return HONE_OK;                              \
    }
#define TEXT(field)                                  \
    SETTER(field) {                                  \
        if (!*v)                                     \
            return bad(name, v, "a value", e);       \
        o->field = v;                                \
        return HONE_OK;                              \
    }
#define COUNT(field) \
    SETTER(field) { return set_count(name, v, &o->field, e); }
FLAG(help)
FLAG(json)
FLAG(quiet)
FLAG(force)
FLAG(mixed)
FLAG(source)
FLAG(energy)
FLAG(counters)
FLAG(no_roofline)
COUNT(repeat)
COUNT(energy_blocks)
SETTER(energy_window) { return parse_seconds(name, v, &o->energy_window_s, e); }
SETTER(cache) {
    if (strcmp(v, "cold") && strcmp(v, "warm") && strcmp(v, "both"))
        return bad(name, v, "cold, warm or both", e);
    o->cache = v;
    return HONE_OK;
}
TEXT(device)
TEXT(out)
TEXT(only_case)
TEXT(certificate)
TEXT(html)
TEXT(import)
TEXT(suppress)
TEXT(checks)
COUNT(schedules)
FLAG(manual)
FLAG(approve)
FLAG(reject)
FLAG(comment)
FLAG(log)
FLAG(unreviewed)
FLAG(reward)
TEXT(reason)
TEXT(by)
TEXT(root)
TEXT(listen)
TEXT(token_file)
COUNT(queue)
TEXT(model_config)
TEXT(prompts)
COUNT(max_tokens)
COUNT(max_requests)
COUNT(workers)
COUNT(evals)
COUNT(patience)
COUNT(batch)
COUNT(top)
SETTER(mutants) {
    o->no_mutants = strcmp(v, "none") == 0;
    return o->no_mutants ? HONE_OK : set_count(name, v, &o->mutants, e);
}
SETTER(limit) { return parse_seconds(name, v, &o->limit_s, e); }
SETTER(time) { return parse_seconds(name, v, &o->time_s, e); }
SETTER(param) { return add_pair(name, v, o->params, &o->n_params, e); }
SETTER(size) { return add_pair(name, v, o->sizes, &o->n_sizes, e); }
SETTER(seed) {
    o->has_seed = true;
    return parse_u64(name, v, UINT64_MAX, &o->seed, e);
}
SETTER(color) {
    if (strcmp(v, "auto") && strcmp(v, "always") && strcmp(v, "never"))
        return bad(name, v, "auto, always or never", e);
    o->color = v;
    return HONE_OK;
}
SETTER(progress) {
    if (strcmp(v, "json"))
        return bad(name, v, "'json'", e);
    o->progress = v;
    return HONE_OK;
}
SETTER(screen) {
    if (strcmp(v, "virtual") && strcmp(v, "none"))
        return bad(name, v, "virtual or none", e);
    o->screen = v;
    return HONE_OK;
}
SETTER(format) {
    if (strcmp(v, "sft") && strcmp(v, "preference") && strcmp(v, "grpo"))
        return bad(name, v, "sft, preference or grpo", e);
    o->format = v;
    return HONE_OK;
}
SETTER(port) {
    uint64_t x;
    HONE_TRY(parse_u64(name, v, 65535, &x, e));
    o->has_port = true;
    o->port = (unsigned)x;
    return HONE_OK;
}
SETTER(launch) {
    if (o->n_launches == CLI_MAX_PAIRS)
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %d options '--%s'", CLI_MAX_PAIRS, name);
    o->launches[o->n_launches++] = v;
    return HONE_OK;
}

SETTER(model) {
    if (o->n_models == CLI_MAX_PAIRS)
        return hone_fail(e, HONE_E_LIMIT, 0, "more than %d options '--%s'", CLI_MAX_PAIRS, name);
    if (!*v)
        return bad(name, v, "a model", e);
    o->models[o->n_models++] = v;
    return HONE_OK;
}
SETTER(max_cost) {
    char *end;
    double x = strtod(v, &end);
    if (end == v || *end || !isfinite(x) || !(x > 0))
        return bad(name, v, "an amount above 0", e);
    o->max_cost = x;
    return HONE_OK;
}

static const option options[] = {
#define OPT(field, name, letter, arg, cmds, help) {name, letter, arg, (unsigned)(cmds), help, set_##field},
#include "cli/options.def"
#undef OPT
};

// ---- parsing

static const command *find_command(const char *name) {
    for (size_t i = 0; i < HONE_COUNT(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const char *cli_nearest_command(const char *name) {
    for (size_t distance = 1; distance <= 2; distance++)
        for (size_t i = 0; i < HONE_COUNT(commands); i++)
            if (hone_edit_distance(name, commands[i].name, 2) == distance)
                return commands[i].name;
    return NULL;
}

static const option *find_long(const char *name, size_t n) {
    for (size_t i = 0; i < HONE_COUNT(options); i++)
        if (hone_span_eq((hone_span){name, n}, options[i].name))
            return &options[i];
    return NULL;
}

static const option *find_short(const char *text) {
    for (size_t i = 0; i < HONE_COUNT(options); i++)
        if (options[i].letter && text[0] == options[i].letter && text[1] == '\0')
            return &options[i];
    return NULL;
}

static hone_code unknown_option(const command *c, const char *text, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, 0, "unknown option '%s' for 'hone %s'", text, c->name);
    for (size_t i = 0; i < HONE_COUNT(options); i++)
        if ((options[i].commands & c->bit) && text[0] == '-' && text[1] == '-' && hone_edit_distance(text + 2, options[i].name, 2) <= 2)
            return hone_hint(e, "did you mean '--%s'?", options[i].name);
    return hone_hint(e, "see 'hone %s --help'", c->name);
}

static hone_code take_option(const command *c, int argc, char **argv, int *i, cli_options *o, hone_err *e) {
    const char *text = argv[*i], *eq = strchr(text, '=');
    bool is_long = text[1] == '-';
    const option *op = is_long ? find_long(text + 2, eq ? (size_t)(eq - text - 2) : strlen(text + 2)) : find_short(text + 1);
    if (!op || !(op->commands & c->bit))
        return unknown_option(c, text, e);
    const char *value = is_long && eq ? eq + 1 : NULL;
    if (!op->arg && value)
        return hone_fail(e, HONE_E_USAGE, 0, "option '--%s' takes no value", op->name);
    if (op->arg && !value) {
        if (*i + 1 >= argc)
            return hone_fail(e, HONE_E_USAGE, 0, "option '--%s' needs a value (%s)", op->name, op->arg);
        value = argv[++*i];
    }
    return op->set(o, op->name, value ? value : "", e);
}

hone_code cli_parse(const char *name, int argc, char **argv, cli_options *o, hone_err *e) {
    memset(o, 0, sizeof *o);
    o->color = "auto";
    const command *c = find_command(name);
    bool only_args = false;
    for (int i = 0; i < argc; i++) {
        if (!only_args && !strcmp(argv[i], "--")) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            HONE_TRY(take_option(c, argc, argv, &i, o, e));
        } else if (c->bit == O_run) {   // the rest is the program's, dashes and all
            o->rest = argv + i;
            break;
        } else if (o->n_args == CLI_MAX_ARGS) {
            return hone_fail(e, HONE_E_LIMIT, 0, "more than %d arguments", CLI_MAX_ARGS);
        } else {
            o->args[o->n_args++] = argv[i];
        }
    }
    return HONE_OK;
}

// ---- help

void cli_usage(FILE *to) {
    fprintf(to, "hone %s: makes CUDA kernels faster, with evidence\n\nusage: hone COMMAND [OPTIONS] ARGUMENTS\n\ncommands:\n", HONE_VERSION);
    for (size_t i = 0; i < HONE_COUNT(commands); i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'hone COMMAND --help' says more. Exit codes: 0 fine, 1 no validated improvement, 2 usage or configuration,\n"
                "3 candidate or baseline wrong, 4 no device or toolkit, 70 a bug in hone, 130 interrupted.\n");
}

bool cli_help(const char *name, FILE *to) {
    const command *c = find_command(name);
    if (!c)
        return false;
    fprintf(to, "usage: hone %s [OPTIONS] %s\n\n%s.\n%s\noptions:\n", c->name, c->args, c->summary, c->help);
    for (size_t i = 0; i < HONE_COUNT(options); i++) {
        const option *op = &options[i];
        if (!(op->commands & c->bit))
            continue;
        char left[64];
        snprintf(left, sizeof left, "%c%c --%s%s%s", op->letter ? '-' : ' ', op->letter ? op->letter : ' ', op->name, op->arg ? " " : "",
                 op->arg ? op->arg : "");
        fprintf(to, "  %-26s %s\n", left, op->help);
    }
    return true;
}
