// Mixed inputs: one filling in which different places of a buffer have different distributions, so that a large size, where a run of its own for
// each is too much, meets all of them in one. An axis is cut into as many ranges as there are distributions. It is the outermost axis whose extent depends on a
// size that an output's extent depends on too: then the rows of A and the columns of B are of one kind each, the elements of A·B are of all pairs, and no element of an
// output is a sum over kinds of which the largest would drown the others. The order of the kinds is the seed's, the same for all buffers, so that they meet themselves in
// elementwise functions.
#include "task/internal.h"

static bool is_input(const hone_arg *a) { return a->role == HONE_IN || a->role == HONE_INOUT; }

static bool output_mentions(const hone_task *t, const char *size) {
    for (size_t i = 0; i < t->n_args; i++)
        for (size_t d = 0; (t->args[i].role == HONE_OUT || t->args[i].role == HONE_INOUT) && d < t->args[i].n_dims; d++)
            if (hone_expr_mentions(t->args[i].dims[d], size))
                return true;
    return false;
}

static bool is_shared(const hone_plan *p, const hone_expr *dim) {
    for (size_t i = 0; i < p->sizes->n; i++)
        if (hone_expr_mentions(dim, p->sizes->v[i].name) && output_mentions(p->task, p->sizes->v[i].name))
            return true;
    return false;
}

// The axis along which the buffer's kinds change: the outermost shared one that is long enough for all kinds, or the longest shared one. *shared false: there is
// none, and the outermost axis it is.
static size_t axis_of(const hone_plan *p, const hone_plan_buffer *b, size_t kinds, bool *shared) {
    size_t best = 0;
    *shared = false;
    for (size_t d = 0; d < b->n_dims; d++) {
        if (!is_shared(p, b->arg->dims[d]) || (*shared && (b->dims[best] >= kinds || b->dims[d] <= b->dims[best])))
            continue;
        *shared = true;
        best = d;
    }
    return best;
}

size_t mixed_kinds(const hone_plan *p, hone_input out[HONE_INPUT_COUNT]) {
    size_t n = 0;
    out[n++] = HONE_INPUT_TASK;
    for (hone_input k = HONE_INPUT_TASK + 1; k < HONE_INPUT_MIXED; k++) {
        bool any = false;
        for (size_t i = 0; i < p->n_buffers && !any; i++)
            any = is_input(p->buffers[i].arg) && hone_input_applies(p->buffers[i].arg, k);
        if (any)
            out[n++] = k;
    }
    return n;
}

hone_mixture hone_input_mixture(const hone_plan *p) {
    hone_input kinds[HONE_INPUT_COUNT];
    hone_mixture m = {.kinds = mixed_kinds(p, kinds)};
    m.at_once = m.kinds;
    for (size_t i = 0; i < p->n_buffers; i++) {
        const hone_plan_buffer *b = &p->buffers[i];
        bool shared;
        if (!is_input(b->arg) || !hone_input_applies(b->arg, HONE_INPUT_MIXED))
            continue;
        const size_t extent = b->dims[axis_of(p, b, m.kinds, &shared)];
        m.apart |= shared;
        m.at_once = shared && extent < m.at_once ? extent : m.at_once;
    }
    return m;
}

mixed_layout mixed_layout_of(const hone_plan *p, const hone_plan_buffer *b, uint64_t seed) {
    mixed_layout l = {.inner = 1};
    bool shared;
    l.n_kinds = mixed_kinds(p, l.kinds);
    const size_t axis = axis_of(p, b, l.n_kinds, &shared);
    for (size_t d = axis + 1; d < b->n_dims; d++)
        l.inner *= b->dims[d];
    l.extent = b->dims[axis];
    l.parts = l.extent < l.n_kinds ? l.extent : l.n_kinds;
    l.first = (size_t)(seed % l.n_kinds * hone_input_mixture(p).at_once % l.n_kinds);   // where not all kinds fit, the next seed goes on
    return l;
}

mixed_part mixed_part_at(const mixed_layout *l, uint64_t i) {
    const uint64_t place = i / l->inner % l->extent, part = place * l->parts / l->extent, parts = l->parts;
    const uint64_t from = (part * l->extent + parts - 1) / parts, to = ((part + 1) * l->extent + parts - 1) / parts;
    return (mixed_part){.kind = (part + l->first) % l->n_kinds, .from = from, .to = to, .end = i - i % l->inner + (to - place) * l->inner};
}
