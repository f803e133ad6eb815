// What values may a buffer hold? Each initialiser promises something (an index stays below n, row pointers never fall), and every other way to fill the
// buffer, and every change that check/ makes to its contents, has to keep that promise. See hone_input_applies and hone_input_closed.
#include "task/internal.h"
#include <math.h>

static const char *const input_names[HONE_INPUT_COUNT] = {"task", "normal", "tiny", "large", "one-hot", "small-int", "clustered",
                                                             "lowest", "highest", "mixed"};
const char *hone_input_name(hone_input k) { return input_names[k]; }

static bool constant(const hone_expr *x, const hone_env *env, double *v) {
    expr_fault f;
    return expr_eval_double(x, env, v, &f);
}

domain domain_of_type(hone_dtype t) {
    if (hone_dtype_is_float(t))
        return (domain){DOMAIN_SIGNED, true, 0, 0};
    if (t == HONE_BOOL)
        return (domain){DOMAIN_WHOLE, true, 0, 1};
    return dtype_is_signed(t) ? (domain){DOMAIN_WHOLE, true, -100, 100} : (domain){DOMAIN_WHOLE, true, 0, 200};
}

domain domain_of(const hone_arg *a, const hone_env *env) {
    domain d = {DOMAIN_FIXED, false, 0, 0};
    bool lo = a->init.n_p > 0 && constant(a->init.p[0], env, &d.lo), hi = a->init.n_p > 1 && constant(a->init.p[1], env, &d.hi);
    switch (a->init.kind) {
    case HONE_INIT_DEFAULT: return domain_of_type(a->type);
    case HONE_INIT_NORMAL: d.kind = DOMAIN_SIGNED; break;
    case HONE_INIT_UNIFORM:
        if (lo && hi && d.lo < 0 && d.hi > 0)
            d.kind = DOMAIN_SIGNED;
        else if (lo && hi && d.lo >= 0)
            d.kind = DOMAIN_RANGE;
        break;
    case HONE_INIT_INT: d.kind = DOMAIN_WHOLE; break;
    case HONE_INIT_INDEX:
        d.kind = DOMAIN_WHOLE;
        d.hi = d.lo - 1;
        d.lo = 0;
        hi = lo;
        break;
    case HONE_INIT_ZIPF:
        d.kind = DOMAIN_WHOLE;
        d.hi -= 1;
        d.lo = 0;
        lo = hi;
        break;
    case HONE_INIT_SPARSE: d.kind = hone_dtype_is_float(a->type) ? DOMAIN_SCALED : DOMAIN_FIXED; break;
    case HONE_INIT_CSR: d.kind = DOMAIN_CSR; break;
    default: break;
    }
    d.known = lo && hi;
    return d;
}

bool domain_small_ints(const domain *d, int64_t *lo, int64_t *hi) {
    if (d->kind == DOMAIN_SIGNED) {
        *lo = -4;
        *hi = 4;
    } else if (d->kind == DOMAIN_RANGE) {
        *lo = (int64_t)ceil(fmin(d->lo, 1e9));
        *hi = (int64_t)fmin(ceil(fmin(d->hi, 2e9)) - 1, (double)*lo + 8);
    } else {
        *lo = (int64_t)fmax(d->lo, -4);
        *hi = (int64_t)fmin(d->hi, 4);
    }
    return *lo < *hi;
}

static bool applies_some(const hone_arg *a) {
    for (hone_input k = HONE_INPUT_TASK + 1; k < HONE_INPUT_MIXED; k++)
        if (hone_input_applies(a, k))
            return true;
    return false;
}

bool hone_input_applies(const hone_arg *a, hone_input k) {
    if (k == HONE_INPUT_TASK)
        return true;
    if (a->role != HONE_IN && a->role != HONE_INOUT)
        return false;
    domain d = domain_of(a, NULL);
    int64_t lo, hi;
    if (k == HONE_INPUT_MIXED)
        return d.kind != DOMAIN_FIXED && applies_some(a);
    switch (d.kind) {
    case DOMAIN_SIGNED: return k != HONE_INPUT_LOWEST && k != HONE_INPUT_HIGHEST;
    case DOMAIN_RANGE:
        if (k == HONE_INPUT_NORMAL)
            return d.hi > d.lo;
        if (k == HONE_INPUT_SMALL_INT)
            return domain_small_ints(&d, &lo, &hi);
        if (k == HONE_INPUT_LARGE)
            return d.known;
        return k != HONE_INPUT_LOWEST && k != HONE_INPUT_HIGHEST && d.lo == 0 && d.hi > 0;
    case DOMAIN_WHOLE:
        if (k == HONE_INPUT_SMALL_INT)
            return d.known && domain_small_ints(&d, &lo, &hi);
        if (k == HONE_INPUT_ONE_HOT)
            return d.known && d.lo <= 0 && d.hi >= 1;
        return k == HONE_INPUT_LARGE || k == HONE_INPUT_CLUSTERED || k == HONE_INPUT_LOWEST || k == HONE_INPUT_HIGHEST;
    case DOMAIN_SCALED: return k == HONE_INPUT_TINY || k == HONE_INPUT_LARGE;
    case DOMAIN_CSR: return k == HONE_INPUT_CLUSTERED || k == HONE_INPUT_LOWEST || k == HONE_INPUT_HIGHEST;
    default: return false;
    }
}

// Whether the elements are independent of each other and of their places, so that any order and any choice of them is as good.
static bool independent(hone_init_kind k) {
    switch (k) {
    case HONE_INIT_PERMUTATION:
    case HONE_INIT_SORTED:
    case HONE_INIT_ONE_HOT:
    case HONE_INIT_IOTA:
    case HONE_INIT_CSR: return false;
    default: return true;
    }
}

static bool holds_zero(const hone_arg *a, const domain *d) {
    if (d->kind == DOMAIN_SIGNED || d->kind == DOMAIN_SCALED || a->init.kind == HONE_INIT_ZEROS || a->init.kind == HONE_INIT_SPARSE ||
        a->init.kind == HONE_INIT_HASH32)
        return true;
    if (a->init.kind == HONE_INIT_INDEX || a->init.kind == HONE_INIT_ZIPF)
        return true;
    return (d->kind == DOMAIN_RANGE || d->kind == DOMAIN_WHOLE) && d->known && d->lo <= 0 && d->hi >= 0;
}

bool hone_input_closed(const hone_arg *a, hone_closure c) {
    const domain d = domain_of(a, NULL);
    switch (c) {
    case HONE_CLOSED_ORDER: return independent(a->init.kind) || a->init.kind == HONE_INIT_PERMUTATION;
    case HONE_CLOSED_CHOICE: return independent(a->init.kind);
    case HONE_CLOSED_ZERO: return independent(a->init.kind) && holds_zero(a, &d);
    case HONE_CLOSED_SMALLER: return d.kind == DOMAIN_SIGNED || (d.kind == DOMAIN_SCALED) || (d.kind == DOMAIN_RANGE && d.known && d.lo == 0);
    case HONE_CLOSED_LARGER: return d.kind == DOMAIN_SIGNED || d.kind == DOMAIN_SCALED;
    }
    return false;
}

bool hone_input_mentions(const hone_arg *a, const char *size) {
    for (unsigned i = 0; i < a->init.n_p; i++)
        if (hone_expr_mentions(a->init.p[i], size))
            return true;
    return false;
}
