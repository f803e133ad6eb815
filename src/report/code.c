// report/code: baseline and best side by side. Long unchanged stretches are folded; within a changed pair of lines the part that differs is marked.
#include "report/internal.h"
#include <string.h>

enum { CONTEXT = 4, FOLD_AT_LEAST = 4 };

typedef struct side {
    const char *text;
    uint8_t *classes;      // per byte of text
    const hone_span *lines;
    int which;             // 0 baseline, 1 best
} side;
typedef struct view { const hone_line_diff *d; side s[2]; hone_str *out; } view;

typedef struct range { size_t from, to; } range;   // bytes of a line

// One line of code: a span for each run of the same class, marked or not.
static void put_code(const view *v, const side *s, hone_span line, range marked) {
    const uint8_t *classes = s->classes ? s->classes + (line.s - s->text) : NULL;
    for (size_t i = 0; i < line.n;) {
        uint8_t class = classes ? classes[i] : HONE_CODE_PLAIN;
        bool mark = i >= marked.from && i < marked.to;
        size_t end = i + 1;
        while (end < line.n && (!classes || classes[end] == class) && (end >= marked.from && end < marked.to) == mark)
            end++;
        if (mark)
            hone_str_addf(v->out, "<span class=\"k%d mk m%d\">", class, s->which);
        else if (class != HONE_CODE_PLAIN)
            hone_str_addf(v->out, "<span class=k%d>", class);
        hone_html_textn(v->out, line.s + i, end - i);
        if (mark || class != HONE_CODE_PLAIN)
            hone_str_add(v->out, "</span>");
        i = end;
    }
}

static void put_cells(const view *v, int which, uint32_t line, const char *class, range marked) {
    const side *s = &v->s[which];
    hone_str_addf(v->out, "<td class=\"n %s%s\">%u<td class=\"c %s\">", class, *class ? "n" : "", line + 1, class);
    put_code(v, s, s->lines[line], marked);
}

static void put_no_cells(const view *v) { hone_str_add(v->out, "<td class=\"n e\"><td class=\"c e\">"); }

static bool inside_utf8(hone_span l, size_t at) { return at < l.n && ((unsigned char)l.s[at] & 0xc0) == 0x80; }

// What differs between two lines: all but their common beginning and end. Nothing is marked when the lines have little in common.
static void difference(hone_span a, hone_span b, range *ra, range *rb) {
    size_t head = 0, tail = 0, least = a.n < b.n ? a.n : b.n;
    while (head < least && a.s[head] == b.s[head])
        head++;
    while (head > 0 && (inside_utf8(a, head) || inside_utf8(b, head)))
        head--;
    while (tail < least - head && a.s[a.n - 1 - tail] == b.s[b.n - 1 - tail])
        tail++;
    while (tail > 0 && inside_utf8(a, a.n - tail))
        tail--;
    size_t blank = strspn(a.s, " \t");
    bool alike = 2 * (head + tail) > blank + least;
    *ra = alike ? (range){head, a.n - tail} : (range){0, 0};
    *rb = alike ? (range){head, b.n - tail} : (range){0, 0};
}

// A change: removed lines beside added ones, in order.
static size_t put_change(const view *v, size_t i) {
    const hone_line_diff *d = v->d;
    size_t removed = i, added, end;
    for (added = i; added < d->n && d->v[added].kind == HONE_EDIT_REMOVED; added++)
        ;
    for (end = added; end < d->n && d->v[end].kind == HONE_EDIT_ADDED; end++)
        ;
    for (size_t first_added = added; removed < first_added || added < end;) {
        const hone_edit *x = removed < first_added ? &d->v[removed++] : NULL, *y = added < end ? &d->v[added++] : NULL;
        range ra = {0, 0}, rb = {0, 0};
        if (x && y)
            difference(d->a[x->a], d->b[y->b], &ra, &rb);
        hone_str_add(v->out, "<tr>");
        x ? put_cells(v, 0, x->a, "d", ra) : put_no_cells(v);
        y ? put_cells(v, 1, y->b, "a", rb) : put_no_cells(v);
        hone_str_addc(v->out, '\n');
    }
    return end;
}

static void put_same(const view *v, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        hone_str_add(v->out, "<tr>");
        put_cells(v, 0, v->d->v[i].a, "", (range){0, 0});
        put_cells(v, 1, v->d->v[i].b, "", (range){0, 0});
        hone_str_addc(v->out, '\n');
    }
}

static size_t put_unchanged(const view *v, size_t i) {
    size_t end = i, n = v->d->n;
    while (end < n && v->d->v[end].kind == HONE_EDIT_SAME)
        end++;
    size_t from = i > 0 ? i + CONTEXT : i, to = end < n ? (end > CONTEXT ? end - CONTEXT : 0) : end;
    if (from + FOLD_AT_LEAST > to) {
        put_same(v, i, end);
        return end;
    }
    put_same(v, i, from);
    hone_str_addf(v->out, "<tr class=fold><td colspan=4>%zu unchanged lines\n", to - from);
    put_same(v, to, end);
    return end;
}

void hone_html_diff(const json_t *result, hone_str *out, hone_err *e) {
    const json_t *texts = json_object_get(result, "texts");
    const char *a = hone_doc_text(texts, "task"), *b = hone_doc_text(texts, "best");
    hone_line_diff d;
    if (!*b || hone_line_diff_make(a, b, &d, e) != HONE_OK)
        return;
    view v = {.d = &d, .out = out, .s = {{a, hone_code_classes(a, strlen(a)), d.a, 0}, {b, hone_code_classes(b, strlen(b)), d.b, 1}}};
    hone_str_addf(out, "<p class=\"soft small\">%zu lines removed, %zu added.\n<div class=scroll><table class=diff><colgroup><col class=n><col><col class=n>"
                       "<col></colgroup><tr><th colspan=2 class=cb>baseline<th colspan=2 class=cx>best\n",
                  d.removed, d.added);
    for (size_t i = 0; i < d.n;)
        i = d.v[i].kind == HONE_EDIT_SAME ? put_unchanged(&v, i) : put_change(&v, i);
    hone_str_add(out, "</table></div>\n");
    hone_free(v.s[0].classes);
    hone_free(v.s[1].classes);
    hone_line_diff_free(&d);
}
