// The PTX parser: what a module's tree says about its text, and which line and column an error names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "ptx/ptx.h"

#define HEAD ".version 8.0\n.target sm_90a\n.address_size 64\n"
#define BODY(text) HEAD ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n.reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<99>; .reg .f32 %f<9>; .reg .b64 %d<9>;\n" text "\nret;\n}\n"

static ptx_module *parse(const char *text) {
    hone_err e = {0};
    ptx_module *m = NULL;
    if (ptx_parse(text, strlen(text), &m, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return m;
}

static void module_and_parameters(void **s) {
    (void)s;
    ptx_module *m = parse(HEAD ".file 1 \"a.cu\"\n.file 2 \"b.h\", 1, 2\n.global .align 8 .b8 table[12] = {1, 2, 0xff};\n.extern .shared .align 16 .b8 dyn[];\n"
                               ".const .f32 c[2][2] = {{1.5, 0f3F800000}, {0d4000000000000000}};\n.global .u64 ptrs[2] = {generic(table)+4, 0};\n"
                               ".visible .entry k(.param .u8 a, .param .align 8 .b8 s[12], .param .u64 .ptr .global .align 16 q)\n"
                               ".maxntid 128, 2\n.minnctapersm 3\n.maxnreg 64\n{ ret; }\n.extern .func (.param .b32 r) vprintf (.param .b64 x, .param .b64 y) ;\n"
                               ".section .debug_str\n{\nL0:\n.b8 1,2\n.b32 L0\n}\n");
    assert_int_equal(m->version_major, 8);
    assert_int_equal(m->sm, 90);
    assert_true(m->arch_specific);
    assert_string_equal(m->files[2], "b.h");
    assert_int_equal(m->n_vars, 4);
    const uint8_t want[12] = {1, 2, 0xff};
    assert_memory_equal(m->vars[0]->init, want, 12);
    assert_int_equal(m->vars[0]->align, 8);
    assert_int_equal(m->vars[1]->bytes, 0);
    assert_true(m->vars[1]->is_extern);
    const float c[4] = {1.5f, 1.0f, 2.0f, 0.0f};
    assert_memory_equal(m->vars[2]->init, c, 16);
    assert_int_equal(m->vars[3]->n_relocs, 1);
    assert_string_equal(m->vars[3]->relocs[0].symbol, "table");
    assert_int_equal(m->vars[3]->relocs[0].addend, 4);
    assert_true(m->vars[3]->relocs[0].generic);
    const ptx_func *k = ptx_find_func(m, "k");
    assert_int_equal(k->param_offsets[1], 8);
    assert_int_equal(k->param_offsets[2], 24);
    assert_int_equal(k->param_bytes, 32);
    assert_int_equal(k->maxntid[1], 2);
    assert_int_equal(k->minnctapersm, 3);
    assert_int_equal(k->maxnreg, 64);
    assert_true(ptx_find_func(m, "vprintf")->is_extern);
    assert_null(ptx_find_func(m, "none"));
    ptx_free(m);
}

static void instructions(void **s) {
    (void)s;
    ptx_module *m = parse(BODY("@!%p1 ld.global.nc.L1::no_allocate.v4.f32 {%f1,%f2,%f3,%f4}, [%d1+-16];\nsetp.lt.and.f32 %p1|%p2, %f1, 0f3F800000, !%p3;\n"
                               "cvt.rzi.ftz.s32.f32 %r1, %f1;\nmov.u32 %r2, %tid.y;\ncp.async.cg.shared.global.L2::128B [%r1], [%d1], 16, 8;\n"
                               "atom.acquire.gpu.global.cas.b32 %r3, [%d1], 0, WARP_SZ;\nadd.s32 %r4, %r5, (1 << 4) - 017 + 0b11 * -2;\nshf.l.wrap.b32 %r1, %r2, %r3, 7U;\n"
                               "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, {%f1,%f2,%f3,%f4};\n"
                               "bar.red.and.pred %p1, 0, %p2;\nbar.warp.sync -1;\nmov.b64 {%r1, _}, %d2;\nmbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%r1], 8;"));
    const ptx_inst *i = m->funcs[0]->insts;
    assert_int_equal(m->funcs[0]->n_insts, 14);
    assert_int_equal(i[0].op, PTX_OP_LD);
    assert_true(i[0].has_guard && i[0].guard_neg);
    assert_int_equal(i[0].space, PTX_GLOBAL);
    assert_true(i[0].mods & PTX_M_NC);
    assert_int_equal(i[0].vec, 4);
    assert_int_equal(i[0].operand[0].n_elems, 4);
    assert_int_equal(i[0].operand[1].i, -16);
    assert_string_equal(m->funcs[0]->regs[i[0].operand[1].reg].name, "%d1");
    assert_int_equal(i[1].cmp, PTX_LT);
    assert_int_equal(i[1].boolop, PTX_BOOL_AND);
    assert_int_equal(i[1].operand[1].part, 1);
    assert_true(i[1].operand[4].negated);
    assert_true(i[1].operand[3].is_f32);
    assert_int_equal(i[1].operand[3].bits, 0x3f800000);
    assert_int_equal(i[2].rnd, PTX_RZI);
    assert_int_equal(i[2].type[0], PTX_S32);
    assert_int_equal(i[2].type[1], PTX_F32);
    assert_int_equal(i[3].operand[1].sreg, PTX_SREG_TID_Y);
    assert_int_equal(i[4].sub, PTX_CP_ASYNC);
    assert_int_equal(i[4].space, PTX_SHARED);
    assert_int_equal(i[4].space2, PTX_GLOBAL);
    assert_int_equal(i[5].sem, PTX_ACQUIRE);
    assert_int_equal(i[5].atom, PTX_ATOM_CAS);
    assert_int_equal(i[5].operand[3].i, 32);
    assert_int_equal(i[6].operand[2].i, 16 - 15 - 6);
    assert_true(i[7].mods & PTX_M_LEFT && i[7].mods & PTX_M_WRAP);
    assert_int_equal(i[8].shape, PTX_M16N8K16);
    assert_true(i[8].mods2 & PTX_M2_COL_B && !(i[8].mods2 & PTX_M2_COL_A));
    assert_int_equal(i[9].sub, PTX_BAR_RED);
    assert_int_equal(i[10].sub, PTX_BAR_WARP_SYNC);
    assert_int_equal(i[11].operand[0].elems[1].kind, PTX_O_SINK);
    assert_int_equal(i[12].sub, PTX_MB_ARRIVE_EXPECT_TX);
    ptx_free(m);
}

static void labels_and_scopes(void **s) {
    (void)s;
    ptx_module *m = parse(BODY("mov.u32 %r1, 0;\nTOP: add.s32 %r1, %r1, 1;\n{ .reg .b32 %r<2>; mov.u32 %r1, 7; AGAIN: @%p1 bra AGAIN; bra OUT; }\n"
                               "{ .reg .b32 t; mov.u32 t, 1; AGAIN: @%p2 bra AGAIN; bra TOP; }\nOUT: mov.u32 %r3, %r1;"));
    const ptx_inst *i = m->funcs[0]->insts;
    assert_int_equal(i[3].operand[0].label, 3);
    assert_int_equal(i[4].operand[0].label, 8);
    assert_int_equal(i[6].operand[0].label, 6);
    assert_int_equal(i[7].operand[0].label, 1);
    assert_int_equal(i[0].operand[0].reg, i[8].operand[1].reg);       // the outer %r1
    assert_int_not_equal(i[0].operand[0].reg, i[2].operand[0].reg);   // shadowed
    ptx_free(m);
}

static void falling_off_the_end_returns(void **s) {
    (void)s;
    ptx_module *m = parse(HEAD ".entry k() { .reg .pred %p; @%p bra END; { @%p bra END; } END: }\n.entry e() {}\n");
    assert_int_equal(m->funcs[0]->insts[m->funcs[0]->n_insts - 1].op, PTX_OP_RET);
    assert_int_equal(m->funcs[0]->insts[0].operand[0].label, 2);
    assert_int_equal(m->funcs[1]->n_insts, 1);
    ptx_free(m);
}

static void calls(void **s) {
    (void)s;
    ptx_module *m = parse(HEAD ".func (.param .b32 r) f(.param .b32 a, .param .align 8 .b8 b[24]);\n.entry k() {\n.reg .b32 %r<4>; .reg .b64 %d<4>;\n"
                               "{ .param .b32 p0; st.param.b32 [p0+0], %r1; .param .align 8 .b8 p1[24]; .param .b32 q; call.uni (q), f, (p0, p1); ld.param.b32 %r2, [q+0]; }\n"
                               "{ .param .b32 p0; st.param.b32 [p0], %r1; .param .align 8 .b8 p1[24]; .param .b32 q;\n"
                               "proto_0 : .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[24]);\ncall (q), %d1, (p0, p1), proto_0; }\nret; }\n"
                               ".func (.param .b32 r) f(.param .b32 a, .param .align 8 .b8 b[24]) { ret; }\n");
    const ptx_func *k = ptx_find_func(m, "k");
    assert_int_equal(m->n_funcs, 2);
    assert_false(ptx_find_func(m, "f")->is_extern);
    assert_string_equal(k->insts[1].callee, "f");
    assert_int_equal(k->insts[1].n_call_args, 2);
    assert_ptr_equal(k->insts[0].operand[0].var, k->insts[1].call_args[0]);
    assert_string_not_equal(k->insts[0].operand[0].symbol, k->insts[3].operand[0].symbol);   // two variables p0
    assert_null(k->insts[4].callee);
    assert_int_equal(k->insts[4].prototype->n_params, 2);
    ptx_free(m);
}

static void source_lines(void **s) {
    (void)s;
    ptx_module *m = parse(BODY(".loc 1 5 3\nmov.u32 %r1, 1;\n.loc 2 608 5, function_name $L__info0, inlined_at 1 7 9\nmov.u32 %r1, 2;\n"
                               ".loc 2 597 1, function_name $L__info1+8, inlined_at 2 608 5\nmov.u32 %r1, 3;\n.loc 1 0 1\nmov.u32 %r1, 4;\n"
                               ".loc 1 20 1, function_name $L__info2, inlined_at 1 9 2\nmov.u32 %r1, 5;"));
    const ptx_inst *i = m->funcs[0]->insts;
    const uint32_t want[] = {5, 7, 7, 7, 20};   // headers are reported at the line that uses them; line 0 keeps the line before
    for (unsigned k = 0; k < 5; k++) {
        assert_int_equal(i[k].src_line, want[k]);
        assert_int_equal(i[k].src_file, 1);
    }
    assert_int_equal(i[0].line, 8);
    ptx_free(m);
}

static void errors_name_the_place(void **s) {
    (void)s;
    static const struct { const char *text, *message; hone_code code; } rows[] = {
        {"", "ptx:1:1: expected .version at 'end of text'", HONE_E_PARSE},
        {BODY("frob.u32 %r1, %r2;"), "ptx:7:1: unknown opcode 'frob'", HONE_E_UNSUPPORTED},
        {BODY("add.wide.s32 %r1, %r2, %r3;"), "ptx:7:4: modifier not valid for this opcode: '.wide'", HONE_E_UNSUPPORTED},
        {BODY("add.foo.s32 %r1, %r2, %r3;"), "ptx:7:4: unknown modifier '.foo'", HONE_E_UNSUPPORTED},
        {BODY("add.s32 %r1, %d2, %r3;"), "ptx:7:1: operand is a register of another width in 'add'", HONE_E_PARSE},
        {BODY("add.s32 %r1, %r2;"), "ptx:7:1: too few operands for 'add'", HONE_E_PARSE},
        {BODY("add.s32 %r1, %r2, %r3, %r4;"), "ptx:7:1: too many operands for 'add'", HONE_E_PARSE},
        {BODY("add.s32 %r1, %p2, %r3;"), "ptx:7:1: a predicate cannot be an operand here of 'add'", HONE_E_PARSE},
        {BODY("add.f32 %f1, %f2, 1;"), "ptx:7:1: an integer constant cannot be an operand of 'add'", HONE_E_PARSE},
        {BODY("add.s32 7, %r2, %r3;"), "ptx:7:1: destination is not a register in 'add'", HONE_E_PARSE},
        {BODY("add.s32 %r1, %r2, %zz;"), "ptx:7:19: register not declared: '%zz'", HONE_E_PARSE},
        {BODY("add.s32 %r1, %r2, %r99;"), "ptx:7:19: register not declared: '%r99'", HONE_E_PARSE},
        {BODY("ld.global.v2.f32 {%f1,%f2,%f3}, [%d1];"), "ptx:7:1: wrong number of vector elements in 'ld'", HONE_E_PARSE},
        {BODY("ld.global.f32 %f1, %d1;"), "ptx:7:1: operand is not an [address] in 'ld'", HONE_E_PARSE},
        {BODY("bra NOWHERE;"), "ptx:7:5: label not defined: 'NOWHERE'", HONE_E_PARSE},
        {BODY("L: mov.u32 %r1, 1;\nL: mov.u32 %r1, 2;"), "ptx:8:1: name declared twice: 'L'", HONE_E_PARSE},
        {BODY("setp.f32 %p1, %f1, %f2;"), "ptx:7:1: a required modifier is missing from 'setp'", HONE_E_PARSE},
        {BODY("add.s32.u32 %r1, %r2, %r3;"), "ptx:7:1: wrong number of types for 'add'", HONE_E_PARSE},
        {BODY("and.f32 %f1, %f2, %f3;"), "ptx:7:1: wrong type for 'and'", HONE_E_PARSE},
        {BODY("add.rn.rz.f32 %f1, %f2, %f3;"), "ptx:7:7: modifier contradicts an earlier one: '.rz'", HONE_E_PARSE},
        {BODY("mov.u32 %r1, 1/0;"), "ptx:7:15: division by zero in a constant expression at '/'", HONE_E_PARSE},
        {BODY("mov.u32 %r1, 0xzz;"), "ptx:7:14: malformed token '0'", HONE_E_PARSE},
        {BODY("call nothing;"), "ptx:7:6: function not declared: 'nothing'", HONE_E_PARSE},
        {BODY("@%r1 ret;"), "ptx:7:2: expected a predicate at '%r1'", HONE_E_PARSE},
        {HEAD ".entry k() { ret;", "ptx:4:18: expected '}' before 'end of text'", HONE_E_PARSE},
        {HEAD ".frobnicate 7\n", "ptx:4:1: unknown directive '.frobnicate'", HONE_E_UNSUPPORTED},
        {HEAD "/* never closed", "ptx:4:1: comment without end '/*'", HONE_E_PARSE},
        {HEAD ".global .u8 x[2] = {1,2,3};", "ptx:4:25: too many initial values at '3'", HONE_E_PARSE},
        {".version 8.0\n.target sm_90\n.address_size 32\n", "ptx:3:15: only 64-bit addresses are supported, not '32'", HONE_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < HONE_COUNT(rows); i++) {
        hone_err e = {0};
        ptx_module *m = NULL;
        const hone_code c = ptx_parse(rows[i].text, strlen(rows[i].text), &m, &e);
        assert_null(m);
        assert_string_equal(e.msg, rows[i].message);
        assert_int_equal(c, rows[i].code);
    }
}

static void nesting_is_bounded(void **s) {
    (void)s;
    static char text[1 << 16];
    hone_err e = {0};
    ptx_module *m = NULL;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", HEAD ".entry k() ");
    memset(text + n, '{', 30000);
    assert_int_equal(ptx_parse(text, strlen(text), &m, &e), HONE_E_LIMIT);
    e = (hone_err){0};
    n = (size_t)snprintf(text, sizeof text, "%s", HEAD ".entry k() { .reg .b32 %r; mov.u32 %r, ");
    memset(text + n, '(', 30000);
    assert_int_equal(ptx_parse(text, strlen(text), &m, &e), HONE_E_LIMIT);
}

// As many lines as a big unrolled kernel has: every instruction is there, with its source line, its registers and its label.
static void large_module(void **s) {
    (void)s;
    enum { GROUPS = 2500 };
    hone_str b;
    hone_str_init(&b, 4u << 20);
    hone_str_add(&b, HEAD ".file 1 \"a.cu\"\n.entry k(.param .u64 p) {\n.reg .pred %p<2501>; .reg .f32 %f<2502>; .reg .b32 %r<2502>; .reg .b64 %rd<2502>;\n");
    for (int i = 0; i < GROUPS; i++)
        hone_str_addf(&b,
                      ".loc 1 %d 5\n$L_%d:\nld.global.f32 %%f%d, [%%rd%d+%d];\nfma.rn.f32 %%f%d, %%f%d, %%f%d, 0f3F800000;\n"
                      "mad.lo.s32 %%r%d, %%r%d, 17, %%r0;\nadd.s64 %%rd%d, %%rd%d, 16;\nsetp.lt.s32 %%p%d, %%r%d, %d;\n@%%p%d bra $L_%d;\n",
                      i + 1, i, i, i, 4 * i, i + 1, i, i, i + 1, i, i + 1, i, i, i, i, i, i / 2);
    hone_str_add(&b, "ret;\n}\n");
    assert_false(b.failed);
    ptx_module *m = parse(b.s);
    const ptx_func *k = m->funcs[0];
    assert_int_equal(k->n_insts, 6 * GROUPS + 1);
    for (size_t i = 0; i < GROUPS; i++) {
        const ptx_inst *in = &k->insts[6 * i];
        char name[16];
        snprintf(name, sizeof name, "%%f%zu", i);
        assert_int_equal(in->src_line, i + 1);
        assert_int_equal(in->line, 9 + 8 * i);
        assert_string_equal(k->regs[in->operand[0].reg].name, name);
        assert_int_equal(in[5].operand[0].label, 6 * (i / 2));
    }
    ptx_free(m);
    hone_str_free(&b);
}

// Each allocation fails in turn: an error, no crash, no leak.
static void every_allocation_may_fail(void **s) {
    (void)s;
    const char *text = BODY(".shared .align 4 .b8 sm[64];\nTOP: ld.shared.v2.u32 {%r1,%r2}, [sm+4];\n@%p1 bra TOP;\nLIST: .branchtargets TOP, TOP;\nbrx.idx %r1, LIST;\n{ .reg .b32 x; mov.u32 x, 1; }");
    for (uint64_t n = 1; n < 64; n++) {
        hone_err e = {0};
        ptx_module *m = NULL;
        hone_fail_alloc_at(n, false);
        const hone_code c = ptx_parse(text, strlen(text), &m, &e);
        hone_fail_alloc_at(0, false);
        if (c == HONE_OK)
            ptx_free(m);
        else
            assert_true(c == HONE_E_NOMEM || c == HONE_E_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_and_parameters), cmocka_unit_test(instructions), cmocka_unit_test(labels_and_scopes),
        cmocka_unit_test(falling_off_the_end_returns),
        cmocka_unit_test(calls), cmocka_unit_test(source_lines), cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(large_module), cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
