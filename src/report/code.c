// report/code: baseline and best side by side. Long unchanged stretches are folded; within a changed pair of lines the part that differs is
// marked.
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

typedef struct overlap {
    size_t head, tail;
    double alike;
} overlap;   // common beginning and end in bytes; alike: 0 … 1, leading blanks aside

static overlap compare(hone_span a, hone_span b) {
    size_t head = 0, tail = 0, least = a.n < b.n ? a.n : b.n, most = a.n + b.n - least, blank = 0;
    while (head < least && a.s[head] == b.s[head])
        head++;
    while (head > 0 && (inside_utf8(a, head) || inside_utf8(b, head)))
        head--;
    while (tail < least - head && a.s[a.n - 1 - tail] == b.s[b.n - 1 - tail])
        tail++;
    while (tail > 0 && inside_utf8(a, a.n - tail))
        tail--;
    while (blank < head && (a.s[blank] == ' ' || a.s[blank] == '\t'))
        blank++;
    return (overlap){head, tail, most > blank ? (double)(head + tail - blank) / (double)(most - blank) : 0};
}

// ---- a change: removed lines beside added ones. Lines that resemble each other share a row; the order stays.

enum { MAX_CELLS = 1 << 16 };
typedef struct change { const hone_edit *removed, *added; size_t n_r, n_a; } change;

static const double ALIKE = 0.4;

// partner[i]: 1 + the added line that belongs to removed line i; 0: none. The alignment with the largest total likeness (as Needleman and
// Wunsch).
static void align(const view *v, const change *c, uint32_t *partner) {
    size_t width = c->n_a + 1;
    if ((c->n_r + 1) * width > MAX_CELLS)
        return;
    double *score = hone_calloc((c->n_r + 1) * width, sizeof *score);   // of the lines from i and j on
    if (!score)
        return;   // without alignment the diff is plainer, not wrong
    for (size_t i = c->n_r; i-- > 0;)
        for (size_t j = c->n_a; j-- > 0;) {
            double s = compare(v->d->a[c->removed[i].a], v->d->b[c->added[j].b]).alike, *at = &score[i * width + j];
            *at = at[1] > at[width] ? at[1] : at[width];
            if (s > ALIKE && s + at[width + 1] > *at)
                *at = s + at[width + 1];
        }
    for (size_t i = 0, j = 0; i < c->n_r && j < c->n_a;) {
        const double *at = &score[i * width + j];
        if (*at == at[width])
            i++;
        else if (*at == at[1])
            j++;
        else
            partner[i++] = (uint32_t)++j;
    }
    hone_free(score);
}

static void put_row(const view *v, const hone_edit *x, const hone_edit *y, bool partners) {
    range ra = {0, 0}, rb = {0, 0};
    if (partners) {
        hone_span a = v->d->a[x->a], b = v->d->b[y->b];
        overlap o = compare(a, b);
        ra = (range){o.head, a.n - o.tail};
        rb = (range){o.head, b.n - o.tail};
    }
    hone_str_add(v->out, "<tr>");
    x ? put_cells(v, 0, x->a, "d", ra) : put_no_cells(v);
    y ? put_cells(v, 1, y->b, "a", rb) : put_no_cells(v);
    hone_str_addc(v->out, '\n');
}

static void put_rows(const view *v, const change *c, const uint32_t *partner) {
    size_t i = 0, j = 0;
    while (i < c->n_r || j < c->n_a) {
        size_t next = i;   // rows of what has no partner, up to the next pair
        while (next < c->n_r && !(partner && partner[next]))
            next++;
        size_t next_j = next < c->n_r ? partner[next] - 1 : c->n_a;
        while (i < next || j < next_j) {
            const hone_edit *x = i < next ? &c->removed[i++] : NULL;
            put_row(v, x, j < next_j ? &c->added[j++] : NULL, false);
        }
        if (next < c->n_r) {
            put_row(v, &c->removed[next], &c->added[next_j], true);
            i = next + 1;
            j = next_j + 1;
        }
    }
}

static size_t put_change(const view *v, size_t i) {
    const hone_line_diff *d = v->d;
    change c = {.removed = d->v + i};
    while (i + c.n_r < d->n && d->v[i + c.n_r].kind == HONE_EDIT_REMOVED)
        c.n_r++;
    c.added = c.removed + c.n_r;
    size_t from = i + c.n_r;
    while (from + c.n_a < d->n && d->v[from + c.n_a].kind == HONE_EDIT_ADDED)
        c.n_a++;
    uint32_t *partner = hone_calloc(c.n_r + 1, sizeof *partner);
    if (partner)
        align(v, &c, partner);
    put_rows(v, &c, partner);
    hone_free(partner);
    return from + c.n_a;
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
    hone_str_addf(
        out,
        "<p class=\"soft small\">%zu lines removed, %zu added.\n<div class=scroll><table class=diff><colgroup><col class=n><col><col class=n>"
        "<col></colgroup><tr><th colspan=2 class=cb>baseline<th colspan=2 class=cx>best\n",
        d.removed, d.added);
    for (size_t i = 0; i < d.n;)
        i = d.v[i].kind == HONE_EDIT_SAME ? put_unchanged(&v, i) : put_change(&v, i);
    hone_str_add(out, "</table></div>\n");
    hone_free(v.s[0].classes);
    hone_free(v.s[1].classes);
    hone_line_diff_free(&d);
}
