// The higher-precision shadow: the baseline's own source with every float, half and bfloat16 spelled double, still a task file, so that it
// runs through the same compiler and runner. Token by token, without types: what does not survive that (reinterpreted bits, tensor-core
// fragments, inline assembly) is refused here, fails to compile, or diverges from the baseline, and then the judge falls back to a bound.
// Literals keep their single-precision value ((double)0.1f), because that value is what the baseline means.
#include "check/internal.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char prelude[] =
    "template <class T> __device__ __forceinline__ T hone_p_load(const T *p) { return *p; }\n"
    "template <class T, class U> __device__ __forceinline__ void hone_p_store(T *p, U x) { *p = x; }\n"
    "__device__ __forceinline__ double hone_p_same(double x) { return x; }\n"
    "__device__ __forceinline__ double2 hone_p_same2(double2 x) { return x; }\n"
    "__device__ __forceinline__ double2 hone_p_both(double x) { return make_double2(x, x); }\n"
    "__device__ __forceinline__ double hone_p_low(double2 x) { return x.x; }\n"
    "__device__ __forceinline__ double hone_p_high(double2 x) { return x.y; }\n"
    "__device__ __forceinline__ double hone_p_saturate(double x) { return x > 0 ? (x < 1 ? x : 1.0) : 0.0; }\n"
    "__device__ __forceinline__ double hone_p_rcp(double x) { return 1.0 / x; }\n"
    "__device__ __forceinline__ double hone_p_neg(double x) { return -x; }\n"
    "__device__ __forceinline__ double2 hone_p_neg2(double2 x) { return make_double2(-x.x, -x.y); }\n"
#define BINARY(name, op)                                                                                              \
    "__device__ __forceinline__ double hone_p_" name "(double a, double b) { return a " op " b; }\n"                  \
    "__device__ __forceinline__ double2 hone_p_" name "2(double2 a, double2 b) { return make_double2(a.x " op " b.x, a.y " op " b.y); }\n"
    BINARY("add", "+") BINARY("sub", "-") BINARY("mul", "*") BINARY("div", "/")
#undef BINARY
#define RELATION(name, op) "__device__ __forceinline__ bool hone_p_" name "(double a, double b) { return a " op " b; }\n"
    RELATION("gt", ">") RELATION("lt", "<") RELATION("ge", ">=") RELATION("le", "<=") RELATION("eq", "==") RELATION("ne", "!=")
#undef RELATION
    "__device__ __forceinline__ double2 hone_p_fma2(double2 a, double2 b, double2 c)"
    " { return make_double2(fma(a.x, b.x, c.x), fma(a.y, b.y, c.y)); }\n"
    "__device__ __forceinline__ double2 hone_p_max2(double2 a, double2 b) { return make_double2(fmax(a.x, b.x), fmax(a.y, b.y)); }\n"
    "__device__ __forceinline__ double2 hone_p_min2(double2 a, double2 b) { return make_double2(fmin(a.x, b.x), fmin(a.y, b.y)); }\n";

typedef struct word { const char *from, *to; } word;
#define WORD(from, to) {from, to},
static const word promoted_words[] = {
#include "check/promote.def"
};
#define REFUSE(word) word,
static const char *const refused[] = {
#include "check/promote.def"
};

typedef struct promoter {
    const hone_task *task;
    const hone_tokens *t;
    hone_str *out;
    const char *reason;      // first obstacle
    unsigned smem_factor;
    bool top;                // tokens are the file's, so that kernels' token indices apply
} promoter;

static void refuse(promoter *p, const char *reason) {
    if (!p->reason)
        p->reason = reason;
}

static bool in_value_param(const promoter *p, size_t i) {
    for (size_t k = 0; p->top && k < p->task->n_kernels; k++)
        for (size_t a = 0; a < p->task->kernels[k].n_params; a++) {
            const hone_param *x = &p->task->kernels[k].params[a];
            if (i >= x->tok_first && i <= x->tok_last)
                return !x->is_pointer;
        }
    return false;
}

// __int_as_float(0x7f800000) and other literal bits become the same value in double. Returns the index of the last token used, or i.
static size_t promote_bits(promoter *p, size_t i) {
    if (!hone_tok_is(p->t, i + 1, "(") || p->t->v[i + 2].kind != HONE_TOK_NUMBER || !hone_tok_is(p->t, i + 3, ")")) {
        refuse(p, "it reads the bits of floating-point numbers");
        return i;
    }
    uint32_t bits = (uint32_t)strtoul(p->t->text + p->t->v[i + 2].at, NULL, 0);
    float value;
    memcpy(&value, &bits, sizeof value);
    double wide = (double)value;
    uint64_t wide_bits;
    memcpy(&wide_bits, &wide, sizeof wide_bits);
    hone_str_addf(p->out, "__longlong_as_double((long long)0x%016llxULL)", (unsigned long long)wide_bits);
    return i + 3;
}

static size_t promote_ident(promoter *p, size_t i) {
    hone_span w = hone_tok_span(p->t, i);
    bool member = i && (hone_tok_is(p->t, i - 1, ".") || hone_tok_is(p->t, i - 1, "->"));
    if (!member && !in_value_param(p, i)) {
        if (hone_span_eq(w, "__int_as_float") || hone_span_eq(w, "__uint_as_float"))
            return promote_bits(p, i);
        for (size_t k = 0; k < HONE_COUNT(refused); k++)
            if (hone_span_eq(w, refused[k]))
                refuse(p, "it uses inline assembly, tensor-core fragments or the bits of floating-point numbers");
        for (size_t k = 0; k < HONE_COUNT(promoted_words); k++)
            if (hone_span_eq(w, promoted_words[k].from)) {
                hone_str_add(p->out, promoted_words[k].to);
                return i;
            }
    }
    hone_str_addn(p->out, w.s, w.n);
    return i;
}

static void promote_number(promoter *p, size_t i) {
    hone_span w = hone_tok_span(p->t, i);
    bool hex = w.n > 1 && w.s[0] == '0' && (w.s[1] == 'x' || w.s[1] == 'X');
    bool exponent = memchr(w.s, 'p', w.n) || memchr(w.s, 'P', w.n);
    bool single = (w.s[w.n - 1] == 'f' || w.s[w.n - 1] == 'F') && (!hex || exponent);
    hone_str_addf(p->out, single ? "((double)%.*s)" : "%.*s", (int)w.n, w.s);
}

static const char *skip_space(const char *p, const char *end) {
    while (p < end && isspace((unsigned char)*p))
        p++;
    return p;
}
static const char *skip_word(const char *p, const char *end) {
    while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
        p++;
    return p;
}
static bool is_word(const char *from, const char *to, const char *w) { return (size_t)(to - from) == strlen(w) && memcmp(from, w,
                                                                                                                         strlen(w)) == 0; }

// in NAME type[dims] … : only the type changes
static void promote_buffer_line(promoter *p, const char *start, const char *after_role, const char *end) {
    const char *name = skip_space(after_role, end), *type = skip_space(skip_word(name, end), end), *rest = skip_word(type, end);
    bool promoted = false;
    for (int t = 0; t < HONE_DTYPE_COUNT; t++)
        promoted |= hone_promoted_type((hone_dtype)t) && is_word(type, rest, hone_dtype_name((hone_dtype)t));
    hone_str_addn(p->out, start, (size_t)(type - start));
    hone_str_addn(p->out, promoted ? "double" : type, promoted ? strlen("double") : (size_t)(rest - type));
    hone_str_addn(p->out, rest, (size_t)(end - rest));
}

// launch k<<<grid, block, smem>>>(…): the third expression grows with the element size
static void promote_launch_line(promoter *p, const char *start, const char *end) {
    const char *open = memmem(start, (size_t)(end - start), "<<<", 3), *close = open ? memmem(open, (size_t)(end - open), ">>>", 3) : NULL;
    unsigned depth = 0, commas = 0;
    const char *smem = NULL;
    for (const char *q = open ? open + 3 : end; close && q < close; q++) {
        depth = *q == '(' ? depth + 1 : *q == ')' && depth ? depth - 1 : depth;
        if (*q == ',' && !depth && ++commas == 2)
            smem = q + 1;
        else if (*q == ',' && !depth && commas == 3)
            close = q;
    }
    if (!smem) {
        hone_str_addn(p->out, start, (size_t)(end - start));
        return;
    }
    hone_str_addn(p->out, start, (size_t)(smem - start));
    hone_str_addf(p->out, "(%.*s)*%u", (int)(close - smem), smem, p->smem_factor);
    hone_str_addn(p->out, close, (size_t)(end - close));
}

static void promote_tokens(promoter *p);

static void promote_define(promoter *p, const char *start, const char *body, const char *end) {
    hone_arena *a = hone_arena_new(1u << 24);
    hone_tokens inner;
    hone_str_addn(p->out, start, (size_t)(body - start));
    if (!a || hone_lex(a, body, (size_t)(end - body), &inner, NULL) != HONE_OK) {
        refuse(p, "a macro has unbalanced brackets");
    } else {
        promoter sub = {p->task, &inner, p->out, p->reason, p->smem_factor, false};
        promote_tokens(&sub);
        p->reason = sub.reason;
    }
    hone_arena_free(a);
}

static void promote_directive(promoter *p, hone_span w) {
    const char *end = w.s + w.n, *q = skip_space(w.s + 1, end), *after = skip_word(q, end);
    if (is_word(q, after, "define")) {
        promote_define(p, w.s, skip_word(skip_space(after, end), end), end);
        return;
    }
    const char *hone = skip_space(after, end), *verb = skip_space(skip_word(hone, end), end), *after_verb = skip_word(verb, end);
    if (is_word(q, after, "pragma") && is_word(hone, skip_word(hone, end), "hone")) {
        static const char *const roles[] = {"in", "out", "inout", "scratch"};
        for (size_t k = 0; k < HONE_COUNT(roles); k++)
            if (is_word(verb, after_verb, roles[k])) {
                promote_buffer_line(p, w.s, after_verb, end);
                return;
            }
        if (is_word(verb, after_verb, "launch")) {
            promote_launch_line(p, w.s, end);
            return;
        }
    }
    hone_str_addn(p->out, w.s, w.n);
}

static void promote_tokens(promoter *p) {
    size_t at = 0;
    for (size_t i = 0; i < p->t->n; i++) {
        const hone_tok *k = &p->t->v[i];
        hone_str_addn(p->out, p->t->text + at, k->at - at);
        if (k->kind == HONE_TOK_EOF)
            break;
        hone_span w = hone_tok_span(p->t, i);
        if (k->kind == HONE_TOK_IDENT)
            i = promote_ident(p, i);
        else if (k->kind == HONE_TOK_NUMBER)
            promote_number(p, i);
        else if (k->kind == HONE_TOK_DIRECTIVE)
            promote_directive(p, w);
        else
            hone_str_addn(p->out, w.s, w.n);
        at = p->t->v[i].at + p->t->v[i].len;
    }
}

// What there is to promote, and by how much shared memory grows: 8 bytes over the smallest type that becomes double.
static const char *survey(const hone_task *t, unsigned *factor) {
    bool any = false, wide = false;
    *factor = 2;
    for (size_t i = 0; i < t->n_args; i++) {
        any |= t->args[i].role != HONE_SCALAR && hone_promoted_type(t->args[i].type);
        wide |= t->args[i].type == HONE_DOUBLE && t->args[i].role != HONE_SCALAR;
        if (hone_promoted_type(t->args[i].type) && 8 / hone_dtype_bytes(t->args[i].type) > *factor)
            *factor = (unsigned)(8 / hone_dtype_bytes(t->args[i].type));
    }
    return any ? NULL : wide ? "it is in double precision already" : "it has no floating-point buffers";
}

hone_code hone_promote(const hone_task *t, char **out, size_t *len, const char **reason, hone_err *e) {
    unsigned factor;
    *out = NULL;
    *reason = survey(t, &factor);
    if (*reason)
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "no higher-precision run: %s", *reason);
    hone_str text;
    hone_str_init(&text, (size_t)1 << 24);
    hone_str_add(&text, prelude);
    promoter p = {t, &t->tokens, &text, NULL, factor, true};
    promote_tokens(&p);
    if (p.reason) {
        hone_str_free(&text);
        *reason = p.reason;
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "no higher-precision run: %s", p.reason);
    }
    *len = text.len;
    *out = hone_str_take(&text);
    return *out ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the higher-precision source");
}
