// What a relation does to the inputs of a case, and how an output of its run is led back to the case's, so that the case's own references judge it.
// Places: a size N of the task gives every buffer an axis (or none) whose extent is outer·N·inner; permutations, padding and batches move the places
// 0 .. N-1 of all those axes alike.
#include "check/relations.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AXES = 4, ADDED_TIMES = 16, MOST_ROUNDS = 64 };
typedef struct stretch { size_t axis, inner; } stretch;
typedef struct view { size_t n; stretch v[MOST_AXES]; } view;

// ---- which axes a size has

static int64_t value_of(const hone_sizes *s, const char *name, size_t len) {
    for (size_t i = 0; i < s->n; i++)
        if (strlen(s->v[i].name) == len && strncmp(s->v[i].name, name, len) == 0)
            return s->v[i].value;
    return -1;
}

// A product of sizes and numbers, row-major as written: what stands after `size` is its inner extent. 0: no such product, or the size twice.
static size_t inner_extent(const char *text, const char *size, const hone_sizes *s) {
    size_t inner = 1;
    bool seen = false;
    for (const char *p = text; *p;) {
        const size_t name = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (!name) {
            if (*p != '*' && !isspace((unsigned char)*p))
                return 0;
            p++;
            continue;
        }
        const int64_t v = isdigit((unsigned char)*p) ? strtoll(p, NULL, 10) : value_of(s, p, name);
        const bool is_it = strlen(size) == name && strncmp(p, size, name) == 0;
        if (v < 1 || (is_it && seen))
            return 0;
        if (seen)
            inner *= (size_t)v;
        seen |= is_it;
        p += name;
    }
    return seen ? inner : 0;
}

static bool make_view(const relation *r, const hone_sizes *sizes, const hone_plan_buffer *old, const hone_plan_buffer *now, view *out) {
    *out = (view){0};
    for (size_t d = 0; d < old->n_dims; d++) {
        if (!hone_expr_mentions(old->arg->dims[d], r->size)) {
            if (old->dims[d] != now->dims[d])
                return false;
            continue;
        }
        const size_t inner = inner_extent(hone_expr_text(old->arg->dims[d]), r->size, sizes), from = (size_t)r->from * inner, to = (size_t)r->to * inner;
        if (!inner || out->n == MOST_AXES || old->dims[d] % from || now->dims[d] % to || old->dims[d] / from != now->dims[d] / to)
            return false;
        out->v[out->n++] = (stretch){d, inner};
    }
    return true;
}

static bool is_contract(const hone_plan_buffer *b) { return b->arg->role != HONE_SCRATCH; }

static bool may_move(const relation *r, const hone_arg *a) {
    if (a->role == HONE_OUT)
        return true;
    if (r->kind == RELATION_PERMUTATION)
        return hone_input_closed(a, HONE_CLOSED_ORDER);
    return hone_input_closed(a, r->kind == RELATION_PADDING ? HONE_CLOSED_ZERO : HONE_CLOSED_CHOICE);
}

// With fewer places than before, what says "an index below N" is no longer true.
static bool says_too_much(const relation *r, const hone_arg *a) { return r->to < r->from && hone_input_mentions(a, r->size); }

bool relation_moves_apply(const relation *r, const judge_size *s) {
    const hone_plan *now = relation_plan(r, s);
    bool any = false;
    for (size_t i = 0; i < s->base->n_buffers; i++) {
        const hone_plan_buffer *b = &s->base->buffers[i];
        view w;
        if (!is_contract(b))
            continue;
        if (b->arg->role != HONE_OUT && says_too_much(r, b->arg))
            return false;
        if (b->arg->unordered && (b->arg->role != HONE_OUT || r->kind != RELATION_PERMUTATION))
            return false;
        if (b->arg->unordered)
            continue;
        if (!make_view(r, s->sizes, b, &now->buffers[i], &w) || (w.n && !may_move(r, b->arg)))
            return false;
        any |= w.n && b->arg->role != HONE_OUT;
    }
    return any;
}

// ---- where an element comes from

// Place i of the relation's run is this place of the case; -1: a zero.
static int64_t place(const relation *r, size_t i) {
    switch (r->kind) {
    case RELATION_PERMUTATION: return r->order[i];
    case RELATION_PADDING: return (int64_t)i < r->from ? (int64_t)i : -1;
    default: return ((int64_t)i + r->offset) % r->from;
    }
}

// Element i of the buffer in the relation's run is this element of the case's buffer; -1: a zero. *round: how often the batch had been through before it.
static int64_t element(const relation *r, const view *w, const hone_plan_buffer *old, const hone_plan_buffer *now, size_t i, size_t *round) {
    size_t rest = i, at = 0, scale = 1;
    *round = 0;
    for (size_t d = old->n_dims; d-- > 0;) {
        size_t x = rest % now->dims[d];
        rest /= now->dims[d];
        for (size_t a = 0; a < w->n; a++) {
            if (w->v[a].axis != d)
                continue;
            const size_t inner = w->v[a].inner, outer = x / (inner * (size_t)r->to), p = x / inner % (size_t)r->to;
            const int64_t from = place(r, p);
            if (from < 0)
                return -1;
            *round = (p + (size_t)r->offset) / (size_t)r->from;
            x = (outer * (size_t)r->from + (size_t)from) * inner + x % inner;
        }
        at += x * scale;
        scale *= old->dims[d];
    }
    return (int64_t)at;
}

static bool moves(const relation *r) { return r->kind == RELATION_PERMUTATION || r->kind == RELATION_PADDING || r->kind == RELATION_BATCH; }

// ---- inputs

static void move_input(const relation *r, const judge_size *s, size_t b, const uint8_t *from, uint8_t *to) {
    const hone_plan_buffer *old = &s->base->buffers[b], *now = &relation_plan(r, s)->buffers[b];
    const size_t bytes = hone_dtype_bytes(old->arg->type);
    view w;
    make_view(r, s->sizes, old, now, &w);
    for (size_t i = 0, round; i < now->n_elems; i++) {
        const int64_t at = element(r, &w, old, now, i, &round);
        if (at >= 0)
            memcpy(to + i * bytes, from + (size_t)at * bytes, bytes);
    }
}

// false: a product is not exact in the buffer's type
static bool scale_input(const relation *r, const hone_plan_buffer *b, const uint8_t *from, uint8_t *to) {
    const double factor = ldexp(1, r->exponent);
    for (size_t i = 0; i < b->n_elems; i++) {
        const double x = hone_dtype_get(b->arg->type, from, i) * factor;
        hone_dtype_set(b->arg->type, to, i, x);
        if (hone_dtype_get(b->arg->type, to, i) != x)
            return false;
    }
    return true;
}

static hone_code add_input(const relation *r, const judge_size *s, size_t b, const uint8_t *from, uint8_t *to, bool *applies, hone_err *e) {
    const hone_plan_buffer *buffer = &s->base->buffers[b];
    HONE_TRY(hone_fill(s->base, b, HONE_INPUT_SMALL_INT, r->seed, to, e));
    for (size_t i = 0; i < buffer->n_elems; i++) {
        const double x = (from ? hone_dtype_get(buffer->arg->type, from, i) : 0) + ADDED_TIMES * hone_dtype_get(buffer->arg->type, to, i);
        hone_dtype_set(buffer->arg->type, to, i, x);
        *applies &= hone_dtype_get(buffer->arg->type, to, i) == x;
    }
    return HONE_OK;
}

static hone_code change_input(const relation *r, const judge_size *s, const judge_case *k, size_t b, uint8_t *to, bool *applies, hone_err *e) {
    const bool chosen = r->inputs >> b & 1;
    if (moves(r)) {
        move_input(r, s, b, k->inputs[b], to);
        return HONE_OK;
    }
    if (chosen && r->kind == RELATION_ADDITIVITY)     // before its own outputs are known: those of the added numbers alone
        return add_input(r, s, b, r->added ? k->inputs[b] : NULL, to, applies, e);
    if (chosen)
        *applies &= scale_input(r, &s->base->buffers[b], k->inputs[b], to);
    else
        memcpy(to, k->inputs[b], s->base->buffers[b].bytes);
    return HONE_OK;
}

hone_code relation_inputs(const relation *r, const judge_size *s, const judge_case *k, uint8_t ***out, bool *applies, hone_err *e) {
    const hone_plan *now = relation_plan(r, s);
    uint8_t **v = hone_calloc(now->n_buffers + 1, sizeof *v);
    hone_code c = v ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a relation's inputs");
    *applies = true;
    for (size_t i = 0; c == HONE_OK && i < now->n_buffers; i++) {
        if (!k->inputs[i])
            continue;
        v[i] = hone_calloc(now->buffers[i].bytes + 1, 1);
        c = v[i] ? change_input(r, s, k, i, v[i], applies, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a relation's inputs");
    }
    if (c != HONE_OK) {
        hone_inputs_free(v, now);
        return c;
    }
    *out = v;
    return HONE_OK;
}

// ---- outputs

size_t relation_rounds(const relation *r, const judge_size *s, size_t b) {
    view w;
    if (r->kind != RELATION_BATCH || r->to <= r->from || !make_view(r, s->sizes, &s->base->buffers[b], &r->base->buffers[b], &w) || !w.n)
        return 1;
    return (size_t)((r->to + r->from - 1) / r->from);
}

static void move_back(const relation *r, const judge_size *s, size_t b, const uint8_t *got, size_t round, uint8_t *z) {
    const hone_plan_buffer *old = &s->base->buffers[b], *now = &relation_plan(r, s)->buffers[b];
    const size_t bytes = hone_dtype_bytes(old->arg->type);
    const bool rounds = relation_rounds(r, s, b) > 1;
    view w;
    make_view(r, s->sizes, old, now, &w);
    for (size_t i = 0, which; i < now->n_elems; i++) {
        const int64_t at = element(r, &w, old, now, i, &which);
        if (at < 0 || (rounds && which != round))
            continue;
        memcpy(z + (size_t)at * bytes, got + i * bytes, bytes);
    }
}

void relation_odd_rounds(const relation *r, const judge_size *s, size_t b, const uint8_t *got, const uint8_t *first, bool *odd) {
    const hone_plan_buffer *old = &s->base->buffers[b], *now = &relation_plan(r, s)->buffers[b];
    const size_t bytes = hone_dtype_bytes(old->arg->type);
    view w;
    make_view(r, s->sizes, old, now, &w);
    for (size_t i = 0, which; i < now->n_elems; i++) {
        const int64_t at = element(r, &w, old, now, i, &which);
        if (at >= 0 && memcmp(first + (size_t)at * bytes, got + i * bytes, bytes) != 0)
            odd[which] = true;
    }
}

static void number_back(const relation *r, const hone_plan_buffer *buffer, size_t b, const uint8_t *got, uint8_t *z) {
    const hone_dtype t = buffer->arg->type;
    const double factor = r->kind == RELATION_SCALING ? ldexp(1, -r->degree[b] * r->exponent) : 1;
    if (factor == 1 && r->kind == RELATION_SCALING) {
        memcpy(z, got, buffer->bytes);
        return;
    }
    for (size_t i = 0; i < buffer->n_elems; i++) {
        const double x = hone_dtype_get(t, got, i);
        hone_dtype_set(t, z, i, r->kind == RELATION_SCALING ? x * factor : x - hone_dtype_get(t, r->added[b], i));
    }
}

void relation_back(const relation *r, const judge_size *s, const judge_case *k, size_t b, const uint8_t *got, size_t round, uint8_t *z) {
    const hone_plan_buffer *buffer = &s->base->buffers[b];
    memcpy(z, k->refs[b].base, buffer->bytes);
    if (moves(r) && !buffer->arg->unordered) {
        move_back(r, s, b, got, round, z);
        return;
    }
    if (moves(r))
        memcpy(z, got, buffer->bytes);
    else
        number_back(r, buffer, b, got, z);
}

// ---- judging

static void weigh(relation_verdict *v, const hone_diff *d) {
    const double share = d->metric_allowed > 0 ? d->metric_candidate / d->metric_allowed : d->metric_candidate > 0 ? INFINITY : 0;
    if (v->diff.kind == HONE_F_COUNT && d->kind != HONE_F_COUNT)
        v->diff = *d;
    v->share = fmax(v->share, share);
}

static hone_code judge_rounds(const hone_judge *j, const relation *r, const judge_case *k, size_t b, const uint8_t *got, uint8_t *z, bool *odd,
                              relation_verdict *out, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    const size_t rounds = relation_rounds(r, s, b);
    const hone_tolerance tol = hone_task_tolerance(j->c.task, s->base->buffers[b].arg->name);
    hone_err why = {0};
    size_t looked = 0;
    odd[0] = true;
    for (size_t round = 0; round < rounds && looked < MOST_ROUNDS; round++) {
        if (!odd[round])
            continue;
        looked++;
        relation_back(r, s, k, b, got, round, z);
        if (round == 0 && rounds > 1)
            relation_odd_rounds(r, s, b, got, z, odd);
        const hone_diff d = hone_compare(&k->refs[b], &tol, z, k->input == HONE_INPUT_SMALL_INT, &why);
        if (why.code != HONE_OK)
            return hone_fail(e, why.code, why.sub, "%s", why.msg);
        weigh(out, &d);
    }
    return HONE_OK;
}

hone_code relation_judge(const hone_judge *j, const relation *r, const judge_case *k, size_t b, const uint8_t *got, relation_verdict *out, hone_err *e) {
    const judge_size *s = &j->sizes[k->size];
    uint8_t *z = hone_malloc(s->base->buffers[b].bytes + 1);
    bool *odd = hone_calloc(relation_rounds(r, s, b) + 1, sizeof *odd);
    *out = (relation_verdict){.diff.kind = HONE_F_COUNT};
    hone_code c = z && odd ? judge_rounds(j, r, k, b, got, z, odd, out, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a relation's outputs");
    hone_free(z);
    hone_free(odd);
    return c;
}

// ---- in words

void relation_text(const relation *r, const judge_size *s, char out[256]) {
    char which[128] = "";
    for (size_t i = 0, n = 0; i < s->base->n_buffers && n < 100; i++)
        if (r->inputs >> i & 1)
            n += (size_t)snprintf(which + n, sizeof which - n, "%s'%.40s'", n ? " and " : "", s->base->buffers[i].arg->name);
    switch (r->kind) {
    case RELATION_SCALING: snprintf(out, 256, "with %s times 2^%d, which only scales the baseline's outputs", which, r->exponent); break;
    case RELATION_ADDITIVITY: snprintf(out, 256, "with other whole numbers added to %s, whose outputs the baseline only adds", which); break;
    case RELATION_PERMUTATION: snprintf(out, 256, "with the %lld places of %s in another order, which the baseline's outputs only follow", (long long)r->from, r->size); break;
    case RELATION_PADDING: snprintf(out, 256, "with zeros added up to %s = %lld, which the baseline's other outputs do not notice", r->size, (long long)r->to); break;
    case RELATION_BATCH:
        if (r->to < r->from)
            snprintf(out, 256, "with %lld of the %lld places of %s alone, which the baseline computes each by itself", (long long)r->to, (long long)r->from, r->size);
        else
            snprintf(out, 256, "with the places of %s repeated up to %lld, which the baseline computes each by itself", r->size, (long long)r->to);
        break;
    }
}
