// report/diff: what changed between two texts, line by line (E. W. Myers, An O(ND) Difference Algorithm, 1986), and the unified rendering
// for terminals. Two texts that differ in more than MAX_EDITS lines are shown as one replaced stretch: nobody reads such a diff.
#include "report/internal.h"
#include <string.h>

enum { MAX_EDITS = 1500 };

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a diff"); }

static hone_span *split(const char *s, size_t *n) {
    size_t lines = 0;
    for (const char *p = s; *p; lines++) {
        p = strchrnul(p, '\n');
        p += *p == '\n';
    }
    hone_span *v = hone_calloc(lines + 1, sizeof *v);
    for (size_t i = 0; v && i < lines; i++) {
        size_t len = strcspn(s, "\n");
        v[i] = (hone_span){s, len};
        s += len + (s[len] == '\n');
    }
    *n = lines;
    return v;
}

static bool same(hone_span a, hone_span b) { return a.n == b.n && memcmp(a.s, b.s, a.n) == 0; }

// ---- Myers. The stretch between the common beginning and the common end of the two texts.
typedef struct middle {
    const hone_span *a, *b;
    uint32_t at;        // where it begins, in lines, the same in both
    int n_a, n_b;
    int **trace;        // trace[d]: the furthest x on diagonals -d..d after d edits, at index d+k
    int edits;          // -1: more than MAX_EDITS
} middle;

// Which diagonal the furthest path on diagonal k with d edits came from. v: of d-1 edits, centred on diagonal 0. An added line directly
// before a removed one never wins: the same two edits in the other order get as far. So the removed lines of a change stand before its
// added ones.
static int came_from(const int *v, int d, int k) { return k == -d || (k != d && v[k - 1] < v[k + 1]) ? k + 1 : k - 1; }

static int *furthest(const middle *m, const int *before, int d) {
    int *v = hone_calloc((size_t)(2 * d + 1), sizeof *v);
    for (int k = -d; v && k <= d; k += 2) {
        int x = 0;
        if (d > 0) {
            int from = came_from(before + (d - 1), d, k);
            x = before[d - 1 + from] + (from < k);
        }
        while (x < m->n_a && x - k < m->n_b && same(m->a[x], m->b[x - k]))
            x++;
        v[d + k] = x;
    }
    return v;
}

static hone_code solve(middle *m, hone_err *e) {
    int end = m->n_a - m->n_b;   // the diagonal of the last point
    m->edits = -1;
    m->trace = hone_calloc(MAX_EDITS + 1, sizeof *m->trace);
    if (!m->trace)
        return nomem(e);
    for (int d = 0; d <= MAX_EDITS && m->edits < 0; d++) {
        m->trace[d] = furthest(m, d ? m->trace[d - 1] : NULL, d);
        if (!m->trace[d])
            return nomem(e);
        if (end >= -d && end <= d && (end + d) % 2 == 0 && m->trace[d][d + end] >= m->n_a)
            m->edits = d;
    }
    return HONE_OK;
}

// ---- the script

static void add(hone_line_diff *d, hone_edit_kind kind, uint32_t a, uint32_t b) {
    d->v[d->n++] = (hone_edit){kind, a, b};   // room for every line of both texts
    d->removed += kind == HONE_EDIT_REMOVED;
    d->added += kind == HONE_EDIT_ADDED;
}

static void add_backwards(const middle *m, hone_line_diff *d) {
    size_t first = d->n;
    int x = m->n_a, y = m->n_b;
    for (int edits = m->edits; edits >= 0; edits--) {
        int k = x - y, from = k, before = 0;   // before: x before this edit; the edit leads from diagonal `from` to k
        if (edits > 0) {
            const int *v = m->trace[edits - 1] + (edits - 1);
            from = came_from(v, edits, k);
            before = v[from];
        }
        for (int start = before + (from < k); x > start;) {
            x--;
            y--;
            add(d, HONE_EDIT_SAME, m->at + (uint32_t)x, m->at + (uint32_t)y);
        }
        x = before;
        y = before - from;
        if (edits > 0)
            add(d, from < k ? HONE_EDIT_REMOVED : HONE_EDIT_ADDED, m->at + (uint32_t)x, m->at + (uint32_t)y);
    }
    for (size_t i = first, j = d->n; i + 1 < j--; i++) {
        hone_edit t = d->v[i];
        d->v[i] = d->v[j];
        d->v[j] = t;
    }
}

static void add_replaced(const middle *m, hone_line_diff *d) {
    for (int i = 0; i < m->n_a; i++)
        add(d, HONE_EDIT_REMOVED, m->at + (uint32_t)i, m->at);
    for (int i = 0; i < m->n_b; i++)
        add(d, HONE_EDIT_ADDED, m->at + (uint32_t)m->n_a, m->at + (uint32_t)i);
}

static hone_code script(hone_line_diff *d, hone_err *e) {
    size_t head = 0, tail = 0, least = d->n_a < d->n_b ? d->n_a : d->n_b;
    while (head < least && same(d->a[head], d->b[head]))
        head++;
    while (tail < least - head && same(d->a[d->n_a - 1 - tail], d->b[d->n_b - 1 - tail]))
        tail++;
    middle m = {
        .a = d->a + head, .b = d->b + head, .at = (uint32_t)head, .n_a = (int)(d->n_a - head - tail), .n_b = (int)(d->n_b - head - tail)};
    hone_code c = solve(&m, e);
    for (uint32_t i = 0; c == HONE_OK && i < head; i++)
        add(d, HONE_EDIT_SAME, i, i);
    if (c == HONE_OK && m.edits >= 0)
        add_backwards(&m, d);
    else if (c == HONE_OK)
        add_replaced(&m, d);
    for (size_t i = tail; c == HONE_OK && i > 0; i--)
        add(d, HONE_EDIT_SAME, (uint32_t)(d->n_a - i), (uint32_t)(d->n_b - i));
    for (int i = 0; m.trace && i <= MAX_EDITS; i++)
        hone_free(m.trace[i]);
    hone_free(m.trace);
    return c;
}

hone_code hone_line_diff_make(const char *a, const char *b, hone_line_diff *out, hone_err *e) {
    *out = (hone_line_diff){0};
    if (strlen(a) > HONE_SOURCE_MAX || strlen(b) > HONE_SOURCE_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "a text to compare is longer than %u bytes", HONE_SOURCE_MAX);
    out->a = split(a, &out->n_a);
    out->b = split(b, &out->n_b);
    size_t n = out->n_a + out->n_b;
    out->v = hone_calloc(n + 1, sizeof *out->v);
    hone_code c = out->a && out->b && out->v ? script(out, e) : nomem(e);
    if (c != HONE_OK)
        hone_line_diff_free(out);
    return c;
}

void hone_line_diff_free(hone_line_diff *d) {
    hone_free(d->a);
    hone_free(d->b);
    hone_free(d->v);
    *d = (hone_line_diff){0};
}

// ---- unified, for the terminal

typedef struct writer { const hone_line_diff *d; bool colour; int width; hone_str *out; } writer;

static void put_line(const writer *w, const hone_edit *x) {
    static const struct { char sign; const char *on; } looks[] = {{' ', ""}, {'-', "\033[31m"}, {'+', "\033[32m"}};
    bool added = x->kind == HONE_EDIT_ADDED;
    hone_span line = added ? w->d->b[x->b] : w->d->a[x->a];
    const char *on = w->colour ? looks[x->kind].on : "", *off = w->colour && *on ? "\033[0m" : "";
    hone_str_add(w->out, on);
    if (added)
        hone_str_addf(w->out, "%*s %*u ", w->width, "", w->width, x->b + 1);
    else if (x->kind == HONE_EDIT_REMOVED)
        hone_str_addf(w->out, "%*u %*s ", w->width, x->a + 1, w->width, "");
    else
        hone_str_addf(w->out, "%*u %*u ", w->width, x->a + 1, w->width, x->b + 1);
    hone_str_addc(w->out, looks[x->kind].sign);
    if (line.n) {
        hone_str_addc(w->out, ' ');
        hone_str_addn(w->out, line.s, line.n);
    }
    hone_str_add(w->out, off);
    hone_str_addc(w->out, '\n');
}

static void put_hunk_head(const writer *w, size_t from, size_t to) {
    size_t n[3] = {0};
    for (size_t i = from; i < to; i++)
        n[w->d->v[i].kind]++;
    const hone_edit *x = &w->d->v[from];
    size_t old_n = n[HONE_EDIT_SAME] + n[HONE_EDIT_REMOVED], new_n = n[HONE_EDIT_SAME] + n[HONE_EDIT_ADDED];
    hone_str_addf(w->out, "%s@@ -%u,%zu +%u,%zu @@%s\n", w->colour ? "\033[36m" : "", x->a + (old_n > 0), old_n, x->b + (new_n > 0), new_n,
                  w->colour ? "\033[0m" : "");
}

// The end of the hunk whose first change is at i: after `context` lines behind the last change that has no gap of more than twice that
// before it.
static size_t hunk_end(const hone_line_diff *d, size_t i, size_t context) {
    size_t last = i;
    for (size_t k = i; k < d->n && k - last <= 2 * context + 1; k++)
        if (d->v[k].kind != HONE_EDIT_SAME)
            last = k;
    return last + 1 + context < d->n ? last + 1 + context : d->n;
}

static void put_hunks(const writer *w, size_t context) {
    size_t shown = 0;
    for (size_t i = 0; i < w->d->n; i++) {
        if (w->d->v[i].kind == HONE_EDIT_SAME)
            continue;
        size_t from = i - shown > context ? i - context : shown, to = hunk_end(w->d, i, context);
        put_hunk_head(w, from, to);
        for (size_t k = from; k < to; k++)
            put_line(w, &w->d->v[k]);
        shown = to;
        i = to - 1;
    }
}

hone_code hone_report_diff(const char *a, const char *b, const char *name_a, const char *name_b, unsigned context, bool colour,
                           hone_str *out, hone_err *e) {
    hone_line_diff d;
    HONE_TRY(hone_line_diff_make(a, b, &d, e));
    if (d.added + d.removed) {
        const char *bold = colour ? "\033[1m" : "", *off = colour ? "\033[0m" : "";
        hone_str_addf(out, "%s--- %s%s\n%s+++ %s%s\n", bold, name_a, off, bold, name_b, off);
        writer w = {.d = &d, .colour = colour, .out = out, .width = 1};
        for (size_t n = d.n_a > d.n_b ? d.n_a : d.n_b; n >= 10; n /= 10)
            w.width++;
        put_hunks(&w, context);
    }
    hone_line_diff_free(&d);
    return hone_str_check(out, "the diff", e);
}
