// suppress: see suppress.h.
#include "base/suppress.h"
#include "base/io.h"
#include "base/mem.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20 };
typedef struct rule { const char *kind, *function, *file; unsigned line; } rule;   // text NULL, line 0: any
struct hone_suppressions { char *text; HONE_VEC(rule) rules; };

static char *trim(char *s) {
    s += strspn(s, " \t\r");
    char *end = s + strlen(s);
    while (end > s && strchr(" \t\r", end[-1]))
        *--end = 0;
    return s;
}

static const char *or_any(const char *s) { return s && *s ? s : NULL; }

// One line without its comment; false: its last field is no line number.
static bool parse_line(char *s, rule *r) {
    char *field[4] = {s};
    for (unsigned i = 1; i < 4; i++) {
        field[i] = field[i - 1] ? strchr(field[i - 1], ':') : NULL;
        if (field[i])
            *field[i]++ = 0;
    }
    for (unsigned i = 0; i < 4; i++)
        field[i] = field[i] ? trim(field[i]) : NULL;
    char *end = NULL;
    const unsigned long line = field[3] && *field[3] && strcmp(field[3], "*") ? strtoul(field[3], &end, 10) : 0;
    *r = (rule){or_any(field[0]), or_any(field[1]), or_any(field[2]), (unsigned)line};
    return !end || (*end == 0 && line > 0 && line <= UINT32_MAX);
}

static hone_code parse(hone_suppressions *s, const char *path, hone_err *e) {
    unsigned number = 0;
    for (char *line = s->text, *next; line; line = next) {
        number++;
        if ((next = strchr(line, '\n')))
            *next++ = 0;
        line[strcspn(line, "#")] = 0;
        rule r;
        if (!*trim(line))
            continue;
        if (!parse_line(trim(line), &r))
            return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: the last field of 'kind:function:file:line' is no line number", path, number);
        if (!hone_vec_push(&s->rules, r))
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for suppressions");
    }
    return HONE_OK;
}

hone_code hone_suppressions_load(const char *path, hone_suppressions **out, hone_err *e) {
    hone_suppressions *s = hone_calloc(1, sizeof *s);
    size_t n;
    hone_code c = s ? hone_read_file(path, MAX_BYTES, &s->text, &n, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for suppressions");
    if (c == HONE_OK)
        c = parse(s, path, e);
    if (c == HONE_OK)
        *out = s;
    else
        hone_suppressions_free(s);
    return c;
}

void hone_suppressions_free(hone_suppressions *s) {
    if (!s)
        return;
    hone_free(s->text);
    hone_vec_free(&s->rules);
    hone_free(s);
}

static bool matches(const char *pattern, const char *text) { return !pattern || fnmatch(pattern, text ? text : "", 0) == 0; }

bool hone_suppressed(const hone_suppressions *s, const char *kind, const char *function, const char *file, unsigned line) {
    for (size_t i = 0; s && i < s->rules.n; i++) {
        const rule *r = &s->rules.v[i];
        const bool in_file = matches(r->file, file) || (file && matches(r->file, hone_path_base(file)));
        if (matches(r->kind, kind) && matches(r->function, function) && in_file && (!r->line || r->line == line))
            return true;
    }
    return false;
}
