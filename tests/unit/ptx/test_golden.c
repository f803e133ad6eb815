// Golden files: every tests/golden/ptx/NAME.ptx must give exactly NAME.txt, a dump of the module's tree or the error that refuses it. Set
// HONE_GOLDEN_WRITE=1 to write them anew.
#include "ptx/ptx.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const spaces[] = {"", "reg", "param", "global", "shared", "shared::cluster", "local", "const", "tex"};
static const char *const rounds[] = {"", "rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi"};
static const char *const cmps[] = {"",   "eq", "ne",  "lt",  "le",  "gt",  "ge",  "lo",  "ls", "hi",
                                   "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
static const char *const bools[] = {"", "and", "or", "xor"};
static const char *const sems[] = {"", "weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "sc"};
static const char *const scopes[] = {"", "cta", "cluster", "gpu", "sys"};
static const char *const mod_bits[32] = {"ftz",   "sat",   "approx", "full",        "hi",     "lo",     "wide",          "uni",
                                         "sync",  "aligned", "cc",   "wrap",        "clamp",  "relu",   "NaN",           "xorsign.abs",
                                         "noftz", "satfinite", "nc", "shiftamt",    "l",      "r",      "to",            "cg",
                                         "ca",    "arrive", "red",   "warp",        "trans",  "noinc",  "abs",           "commit"};
static const char *const mod2_bits[] = {"parity", "cache_hint", "cluster", "col_a", "col_b", "trap", "zero", "noComplete", "hint", "mbarrier", "bulk_group",
                                        "tensor", "im2col", "multicast", "read", "prefetch", "reduce"};

#define SREG(name, text) text,
static const char *const sregs[] = {
#include "ptx/sregs.def"
};
#undef SREG

static void word(hone_str *o, const char *const *names, size_t n, unsigned v) {
    if (v && v < n)
        hone_str_addf(o, ".%s", names[v]);
    else if (v)
        hone_str_addf(o, ".<%u>", v);
}
#define WORD(o, names, v) word(o, names, HONE_COUNT(names), v)

static void dump_operand(hone_str *o, const ptx_func *f, const ptx_operand *x) {
    hone_str_add(o, x->part ? "|" : "");
    hone_str_add(o, x->negated ? "!" : "");
    switch (x->kind) {
    case PTX_O_REG: hone_str_add(o, f->regs[x->reg].name); break;
    case PTX_O_INT: hone_str_addf(o, "%lld", (long long)x->i); break;
    case PTX_O_FLOAT: hone_str_addf(o, x->is_f32 ? "0f%08llx" : "0d%016llx", (unsigned long long)x->bits); break;
    case PTX_O_SREG: hone_str_add(o, sregs[x->sreg]); break;
    case PTX_O_LABEL: hone_str_addf(o, "%s->%u", x->symbol, x->label); break;
    case PTX_O_SYMBOL: hone_str_addf(o, "&%s%+lld", x->symbol, (long long)x->i); break;
    case PTX_O_ADDR:
        hone_str_addf(o, "[%s%+lld]", x->has_base ? f->regs[x->reg].name : x->symbol ? x->symbol : "", (long long)x->i);
        break;
    case PTX_O_SINK: hone_str_addc(o, '_'); break;
    default: break;
    }
    if (x->kind != PTX_O_VEC && !x->n_elems)
        return;
    hone_str_addc(o, '{');
    for (unsigned i = 0; i < x->n_elems; i++) {
        hone_str_add(o, i ? " " : "");
        dump_operand(o, f, &x->elems[i]);
    }
    hone_str_addc(o, '}');
}

static void dump_call(hone_str *o, const ptx_inst *in) {
    for (unsigned i = 0; i < in->n_call_rets; i++)
        hone_str_addf(o, " ret=%s", in->call_rets[i]->name);
    hone_str_addf(o, " callee=%s", in->callee ? in->callee : "*");
    for (unsigned i = 0; i < in->n_call_args; i++)
        hone_str_addf(o, " arg=%s", in->call_args[i]->name);
}

// "  3  12  a.cu:7  @!%p1 ld.global.nc.f32 %f1 [%rd1+4]": index, line of PTX, line of source, instruction
static void dump_inst(hone_str *o, const ptx_module *m, const ptx_func *f, size_t k) {
    const ptx_inst *in = &f->insts[k];
    hone_str_addf(o, "%3zu %4u  ", k, in->line);
    if (in->src_line)
        hone_str_addf(o, "%s:%u  ", m->files[in->src_file], in->src_line);
    if (in->has_guard)
        hone_str_addf(o, "@%s%s ", in->guard_neg ? "!" : "", f->regs[in->guard].name);
    hone_str_add(o, ptx_op_name((ptx_op)in->op));
    if (in->sub)
        hone_str_addf(o, ".sub%u", in->sub);
    WORD(o, sems, in->sem);
    WORD(o, scopes, in->scope);
    WORD(o, spaces, in->space);
    WORD(o, spaces, in->space2);
    WORD(o, rounds, in->rnd);
    WORD(o, cmps, in->cmp);
    WORD(o, bools, in->boolop);
    for (unsigned b = 0; b < 32; b++)
        if (in->mods >> b & 1)
            hone_str_addf(o, ".%s", mod_bits[b]);
    for (unsigned b = 0; b < HONE_COUNT(mod2_bits); b++)
        if (in->mods2 >> b & 1)
            hone_str_addf(o, ".%s", mod2_bits[b]);
    if (in->atom)
        hone_str_addf(o, ".atom%u", in->atom);
    if (in->shape)
        hone_str_addf(o, ".shape%u", in->shape);
    if (in->vec > 1)
        hone_str_addf(o, ".v%u", in->vec);
    for (unsigned i = 0; i < in->n_types; i++)
        hone_str_addf(o, ".%s", ptx_type_name((ptx_type)in->type[i]));
    for (unsigned i = 0; i < in->n_operands; i++) {
        hone_str_addc(o, ' ');
        dump_operand(o, f, &in->operand[i]);
    }
    if (in->op == PTX_OP_CALL)
        dump_call(o, in);
    hone_str_addc(o, '\n');
}

static void dump_var(hone_str *o, const char *what, const ptx_var *v) {
    hone_str_addf(o, "%s .%s %s: %zu bytes of %s, align %zu%s\n", what, spaces[v->space], v->name, v->bytes, ptx_type_name(v->type),
                  v->align, v->is_extern ? ", extern" : "");
    if (v->init) {
        hone_str_add(o, "  =");
        for (size_t i = 0; i < v->bytes; i++)
            hone_str_addf(o, " %02x", v->init[i]);
        hone_str_addc(o, '\n');
    }
    for (size_t i = 0; i < v->n_relocs; i++)
        hone_str_addf(o, "  at %zu: %s%s%+lld\n", v->relocs[i].at, v->relocs[i].generic ? "generic " : "", v->relocs[i].symbol,
                      (long long)v->relocs[i].addend);
}

static void dump_func(hone_str *o, const ptx_module *m, const ptx_func *f) {
    hone_str_addf(o, "%s %s%s: %zu registers, %zu instructions, %zu parameter bytes\n", f->is_entry ? "entry" : "func", f->name,
                  f->is_extern ? " (extern)" : "", f->n_regs, f->n_insts, f->param_bytes);
    if (f->maxntid[0] || f->reqntid[0] || f->minnctapersm || f->maxnreg)
        hone_str_addf(o, "  maxntid %u %u %u, reqntid %u, minnctapersm %u, maxnreg %u\n", f->maxntid[0], f->maxntid[1], f->maxntid[2],
                      f->reqntid[0], f->minnctapersm, f->maxnreg);
    for (size_t i = 0; i < f->n_rets; i++)
        dump_var(o, "  ret", f->rets[i]);
    for (size_t i = 0; i < f->n_params; i++)
        dump_var(o, "  param", f->params[i]);
    for (size_t i = 0; i < f->n_vars; i++)
        dump_var(o, "  var", f->vars[i]);
    for (size_t i = 0; i < f->n_insts; i++)
        dump_inst(o, m, f, i);
}

static void dump(const char *text, size_t len, hone_str *o) {
    ptx_module *m = NULL;
    hone_err e = {0};
    const hone_code c = ptx_parse(text, len, &m, &e);
    if (c != HONE_OK) {
        hone_str_addf(o, "%s: %s\n", hone_code_name(c), e.msg);
        return;
    }
    hone_str_addf(o, "ptx %u.%u for sm_%u%s\n", m->version_major, m->version_minor, m->sm, m->arch_specific ? "a" : "");
    for (size_t i = 0; i < m->n_vars; i++)
        dump_var(o, "var", m->vars[i]);
    for (size_t i = 0; i < m->n_funcs; i++)
        dump_func(o, m, m->funcs[i]);
    ptx_free(m);
}

static void check_file(const char *name) {
    char source[1024], expected[1024], *text, *want = NULL;
    size_t len;
    hone_str got;
    snprintf(source, sizeof source, TESTS_DIR "/golden/ptx/%s", name);
    snprintf(expected, sizeof expected, TESTS_DIR "/golden/ptx/%.*s.txt", (int)strlen(name) - 4, name);
    assert_int_equal(hone_read_file(source, 1u << 20, &text, &len, NULL), HONE_OK);
    hone_str_init(&got, 1u << 20);
    dump(text, len, &got);
    if (getenv("HONE_GOLDEN_WRITE"))
        assert_int_equal(hone_write_file(expected, got.s, got.len, NULL), HONE_OK);
    assert_int_equal(hone_read_file(expected, 1u << 20, &want, &len, NULL), HONE_OK);
    if (strcmp(got.s, want) != 0)
        print_error("%s:\n", name);
    assert_string_equal(got.s, want);
    hone_free(want);
    hone_free(text);
    hone_str_free(&got);
}

static void test_golden(void **s) {
    (void)s;
    DIR *dir = opendir(TESTS_DIR "/golden/ptx");
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *f; (f = readdir(dir));) {
        const size_t k = strlen(f->d_name);
        if (k < 5 || strcmp(f->d_name + k - 4, ".ptx") != 0)
            continue;
        check_file(f->d_name);
        n++;
    }
    closedir(dir);
    assert_true(n >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
