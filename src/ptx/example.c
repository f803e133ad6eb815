// ptx examples: from the name of a form ("ld.global.nc.v4.f32") to an instruction of that form with operands that fit it, by the same rules
// that check instructions. For the coverage tool, for documentation and for tests: whether a form is supported is then decided by parsing
// and decoding a real instruction, not by looking for its name.
#include "ptx/internal.h"
#include <stdio.h>

enum { MAX_OPTIONAL = 4 };

// Operand lists that the rules leave to the decoder or cannot tell: $ and two letters stand for an operand in the notation of rules.def; $C1 for a texture's
// or surface's coordinates, $M0 for a tensor map's, $I1 for im2col offsets where there are any. The first prefix that fits counts.
static const struct { const char *prefix, *operands; } by_hand[] = {
    {"mov.pred", "%p1, %p2"}, {"mov.b128", "%q1, {%l1, %l2}"}, {"mov", "$d0, $s0"},
    {"createpolicy.fractional", "%l1, 0f3F800000"}, {"createpolicy.range", "%l1, [%l2], 16, 32"}, {"createpolicy.cvt", "%l1, %l2"},
    {"membar", ""}, {"fence.proxy.tensormap::generic.acquire", "[%l1], 128"}, {"fence", ""},
    {"bar.sync", "0"}, {"barrier.sync", "0"}, {"bar.cta.sync", "0"}, {"barrier.cta.sync", "0"},
    {"bar.red.popc", "%r1, 0, %p1"}, {"barrier.red.popc", "%r1, 0, %p1"}, {"barrier.cta.red.popc", "%r1, 0, %p1"}, {"bar.red", "%p1, 0, %p2"},
    {"barrier.red", "%p1, 0, %p2"}, {"barrier.cta.red", "%p1, 0, %p2"}, {"cp.async.cg", "[%r1], [%l1], 16"}, {"cp.async.ca", "[%r1], [%l1], 4"},
    {"tex.grad.1d", "$V0, $C1, {%r9}, {%r10}"}, {"tex.grad.a1d", "$V0, $C1, {%r9}, {%r10}"}, {"tex.grad.2d", "$V0, $C1, {%r9, %r10}, {%r11, %r12}"},
    {"tex.grad.a2d", "$V0, $C1, {%r9, %r10}, {%r11, %r12}"}, {"tex.grad", "$V0, $C1, {%r9, %r10, %r11, %r12}, {%r13, %r14, %r15, %r16}"},
    {"tex.level", "$V0, $C1, %r9"}, {"tex", "$V0, $C1"}, {"tld4", "$V0, $C1"}, {"suld", "$V0, $C1"}, {"sust", "$C1, $v0"}, {"sured", "$C1, $s0"},
    {"txq.level", "%r1, [%l1], %r2"}, {"txq", "%r1, [%l1]"}, {"tensormap.replace.tile.global_address", "[%l1], %l2"}, {"tensormap.replace.tile.rank", "[%l1], %r2"},
    {"tensormap.replace.tile.global_stride", "[%l1], 1, %l2"}, {"tensormap.replace.tile.box_dim", "[%l1], 1, %r2"},
    {"tensormap.replace.tile.global_dim", "[%l1], 1, %r2"}, {"tensormap.replace.tile.element_stride", "[%l1], 1, %r2"}, {"tensormap.replace", "[%l1], 0"},
    {"tensormap.cp_fenceproxy", "[%l1], [sv], 128"}, {"cp.async.bulk.prefetch.tensor", "$M0$I1"}, {"cp.async.bulk.tensor.1d.shared::cluster", "[%r1], $M0, [%r4]"},
    {"cp.async.bulk.tensor.2d.shared::cluster", "[%r1], $M0, [%r4]"}, {"cp.async.bulk.tensor.3d.shared::cluster", "[%r1], $M0, [%r4]$I1"},
    {"cp.async.bulk.tensor.4d.shared::cluster", "[%r1], $M0, [%r4]$I1"}, {"cp.async.bulk.tensor.5d.shared::cluster", "[%r1], $M0, [%r4]$I1"},
    {"cp.async.bulk.tensor", "$M0, [sv]"}, {"cp.reduce.async.bulk.tensor", "$M0, [sv]"}, 
    {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint", "[%r1], [%l1], 128, [%r2], %l3"},
    {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster", "[%r1], [%l1], 128, [%r2], %h1"},
    {"cp.async.bulk.shared::cluster.global", "[%r1], [%l1], 128, [%r2]"}, {"cp.async.bulk.shared::cta.global", "[%r1], [%l1], 128, [%r2]"},
    {"cp.async.bulk.shared::cluster.shared::cta", "[%r1], [%r2], 128, [%r4]"}, {"cp.async.bulk.global", "[%l1], [sv], 128"}, {"cp.async.bulk.prefetch.L2", "[%l1], 128"},
    {"cp.reduce.async.bulk.global", "[%l1], [sv], 128"}, {"cp.reduce.async.bulk.shared::cluster", "[%r1], [%r2], 128, [%r4]"},
    {"st.async", "[%r1], $v0, [%r40]"}, {"red.async", "[%r1], $s0, [%r40]"}, {"getctarank.shared::cluster", "%r1, %r2"},
    {"wgmma.mma_async.sync.aligned.m64n8k16.f16", "{%r1, %r2}, %l1, %l2, %p1, 1, 1, 0, 0"}, {"wgmma.mma_async.sync.aligned.m64n8k8.f32", "{%r1, %r2, %r3, %r4}, %l1, %l2, %p1, 1, 1"},
    {"wgmma.mma_async.sync.aligned.m64n8k32.f32", "{%r1, %r2, %r3, %r4}, %l1, %l2, %p1, 1, 1"}, {"wgmma.mma_async.sync.aligned.m64n8k32.f16", "{%r1, %r2}, %l1, %l2, %p1, 1, 1"},
    {"wgmma.mma_async.sync.aligned.m64n8k32.s32", "{%r1, %r2, %r3, %r4}, %l1, %l2, %p1"},
    {"wgmma.mma_async.sync.aligned.m64n8k16.f32", "{%r1, %r2, %r3, %r4}, %l1, %l2, %p1, 1, 1, 0, 0"},
    {"cvt.pack.sat.u16", "%r1, %r2, %r3"}, {"cvt.pack.sat.s16", "%r1, %r2, %r3"}, {"cvt.pack", "%r1, %r2, %r3, %r4"}, {"shfl.sync", "%r1, %r2, 1, 31, -1"}, {"vote.sync.ballot", "%r1, %p1, -1"}, {"vote.sync", "%p1, %p2, -1"}, {"ld.param", "$V0, [kp]"},
    {"st.param", "[cp], $v0"}, {"bra", "done"}, {"brx", "%r1, table"}, {"discard", "[%l1], 128"}, {"applypriority", "[%l1], 128"},
    {"setmaxnreg", "40"}, {"cvta", "$d0, $s0"}, {"mapa", "$d0, $s0, $su"}, {"alloca", "$d0, $s0, 16"},
    {"call.uni", "f, ()"}, {"call", "f, ()"}, {"pmevent", "1"}, {"lop3.b32", "%r1, %r2, %r3, %r4, 150"},
    {"lop3.or.b32", "%r1|%p1, %r2, %r3, %r4, 150, %p2"}, {"lop3.and.b32", "%r1|%p1, %r2, %r3, %r4, 150, %p2"},
};
// Rows of the statistics that are no opcodes.
static const struct { const char *form, *text; } notes[] = {
    {"@pred", "@%p1 bra done;"}, {"call:indirect", "call (crv), %l1, (cp4), proto;"}, {"call:malloc", "call.uni (crv), malloc, (cp8);"},
    {"call:free", "call.uni free, (cp8);"}, {"call:vprintf", "call.uni (cr4), vprintf, (cp8, cp8b);"},
    {"call:__assertfail", "call.uni __assertfail, (cp8, cp8b, cp4, cp8c, cp8d);"},
};

static const char *reg_of(unsigned bytes, bool pred) {
    return pred ? "%p" : bytes <= 2 ? "%h" : bytes == 4 ? "%r" : bytes == 8 ? "%l" : "%q";
}

typedef struct writer { const ptx_inst *in; hone_str *out; unsigned next; } writer;   // next: number of the next register

static unsigned width_of(const ptx_inst *in, char letter, bool *pred) {
    const unsigned i = letter >= '0' && letter <= '3' ? (unsigned)(letter - '0') : letter == 'n' || (letter == 'x' && in->n_types > 1) ? 1 : 0;
    const ptx_type t = i < in->n_types ? (ptx_type)in->type[i] : PTX_NOTYPE;
    *pred = t == PTX_PRED && letter != 'u' && letter != 'l' && letter != '-';
    switch (letter) {
    case 'u': return 4;
    case 'l': case '-': return 8;
    case 'y': return in->mods2 & PTX_M2_PARITY ? 4 : 8;
    case 'w': return ptx_type_bytes(t) * (in->mods & PTX_M_WIDE ? 2u : 1u);
    default: return ptx_type_bytes(t);
    }
}

static void write_reg(writer *w, unsigned bytes, bool pred) { hone_str_addf(w->out, "%s%u", reg_of(bytes, pred), w->next++); }

static void write_vector(writer *w, unsigned n, unsigned bytes) {
    hone_str_add(w->out, n == 1 ? "" : "{");
    for (unsigned i = 0; i < n; i++) {
        hone_str_add(w->out, i ? ", " : "");
        write_reg(w, bytes, false);
    }
    hone_str_add(w->out, n == 1 ? "" : "}");
}

// Registers of a matrix fragment: its share of the matrix by the shape's numbers (PTX ISA 9.7.14.4, 9.7.14.5).
static void shape_of(unsigned shape, unsigned *m, unsigned *n, unsigned *k) {
    static const uint16_t sizes[][3] = {
        [PTX_M8N8K4] = {8, 8, 4}, [PTX_M8N8K16] = {8, 8, 16}, [PTX_M8N8K32] = {8, 8, 32}, [PTX_M16N8K4] = {16, 8, 4}, [PTX_M16N8K8] = {16, 8, 8},
        [PTX_M16N8K16] = {16, 8, 16}, [PTX_M16N8K32] = {16, 8, 32}, [PTX_M16N8K64] = {16, 8, 64}, [PTX_M16N16K16] = {16, 16, 16},
        [PTX_M32N8K16] = {32, 8, 16}, [PTX_M8N32K16] = {8, 32, 16}, [PTX_M16N16K8] = {16, 16, 8}, [PTX_M8N8K128] = {8, 8, 128},
        [PTX_M16N8K128] = {16, 8, 128}, [PTX_M16N8K256] = {16, 8, 256}};
    const bool known = shape < HONE_COUNT(sizes);
    *m = known ? sizes[shape][0] : 0;
    *n = known ? sizes[shape][1] : 0;
    *k = known ? sizes[shape][2] : 0;
}
static unsigned element_bits(ptx_type t) {
    switch (t) {
    case PTX_B1: return 1;
    case PTX_S4: case PTX_U4: return 4;
    case PTX_E4M3: case PTX_E5M2: case PTX_S8: case PTX_U8: return 8;
    case PTX_F16: case PTX_BF16: return 16;
    case PTX_F64: return 64;
    default: return 32;
    }
}
static unsigned matrix_regs(const ptx_inst *in, unsigned operand, ptx_type t) {   // operand: 0 d, 1 a, 2 b, 3 c
    unsigned m, n, k;
    shape_of(in->shape, &m, &n, &k);
    const unsigned size = (operand == 1 ? m * k : operand == 2 ? k * n : m * n) / 32, bits = element_bits(t);
    if (in->op == PTX_OP_WMMA && t == PTX_F16 && (operand == 1 || operand == 2))
        return 8;
    if (in->shape == PTX_M8N8K4 && t == PTX_F16 && in->op == PTX_OP_MMA)
        return operand == 0 || operand == 3 ? 4 : 2;
    if (in->shape == PTX_M8N8K4 && t == PTX_F32)
        return 8;
    return bits == 64 ? size : (size * bits + 31) / 32;
}

static void write_matrix(writer *w, unsigned at) {
    const ptx_inst *in = w->in;
    unsigned which = at, n_types = in->n_types;
    if (in->op == PTX_OP_LDMATRIX || in->op == PTX_OP_STMATRIX) {
        hone_str_add(w->out, "{");
        for (unsigned i = 0; i < in->vec; i++)
            hone_str_addf(w->out, i ? ", %%r%u" : "%%r%u", w->next++);
        hone_str_add(w->out, "}");
        return;
    }
    ptx_type t = (ptx_type)in->type[at < n_types ? at : 0];
    if (in->op == PTX_OP_WMMA && in->sub != PTX_WMMA_MMA) {
        which = in->sub == PTX_WMMA_LOAD_A ? 1 : in->sub == PTX_WMMA_LOAD_B ? 2 : 0;
        t = (ptx_type)in->type[0];
    } else if (in->op == PTX_OP_WMMA && n_types == 2) {
        t = at == 1 || at == 2 ? PTX_F16 : (ptx_type)in->type[at == 0 ? 0 : 1];
    }
    const unsigned n = matrix_regs(in, which, t);
    hone_str_add(w->out, "{");
    for (unsigned i = 0; i < n; i++) {
        hone_str_add(w->out, i ? ", " : "");
        write_reg(w, t == PTX_F64 ? 8 : 4, false);
    }
    hone_str_add(w->out, "}");
}

static void write_list(writer *w, const char *before, unsigned n, const char *reg, const char *after) {
    hone_str_add(w->out, before);
    for (unsigned i = 0; i < n; i++)
        hone_str_addf(w->out, i ? ", %s%u" : "%s%u", reg, 20 + i);
    hone_str_add(w->out, after);
}

static void write_operand(writer *w, char kind, char letter, unsigned at) {
    static const uint8_t coordinates[] = {1, 2, 4, 2, 4, 4, 4};   // from PTX_TEX_1D on
    bool pred;
    const unsigned bytes = width_of(w->in, letter, &pred);
    switch (kind) {
    case 'C': write_list(w, "[%l1, {", w->in->sub >= PTX_TEX_1D ? coordinates[w->in->sub - PTX_TEX_1D] : 1, "%r", "}]"); break;
    case 'M': write_list(w, "[%l1, {", w->in->vec, "%r", "}]"); break;
    case 'I':
        if (w->in->mods2 & PTX_M2_IM2COL && !(w->in->mods2 & PTX_M2_NO_OFFSETS) && w->in->vec > 2)
            write_list(w, ", {", w->in->vec - 2u, "%h", "}");
        break;
    case 'D': case 'Q': case 'p': hone_str_addf(w->out, "%%p%u", w->next++); break;
    case 'a': hone_str_add(w->out, w->in->space == PTX_SHARED && w->in->op != PTX_OP_CP ? "[sv]" : "[%l90]"); break;
    case 'V': case 'v': write_vector(w, w->in->vec ? w->in->vec : 1, bytes); break;
    case 'R': write_matrix(w, at); break;
    case 'i': hone_str_add(w->out, "16"); break;
    case 'L': hone_str_add(w->out, "done"); break;
    case 'o': hone_str_add(w->out, "%l91"); break;
    default: write_reg(w, bytes, pred); break;
    }
}

// One operand list: the k-th optional place is written when bit k of `chosen` is set. Returns how many optional places there are.
static unsigned write_by_rule(writer *w, const char *rule, unsigned chosen) {
    unsigned optional = 0, at = 0;
    for (const char *r = rule; *r;) {
        const char kind = r[0], letter = r[1];
        const bool is_optional = r[2] == '?';
        r += is_optional ? 3 : 2;
        r += *r == ' ';
        if (is_optional && !(chosen >> optional++ & 1))
            continue;
        hone_str_add(w->out, at == 0 ? " " : kind == 'Q' ? "|" : ", ");
        write_operand(w, kind, letter, at++);
    }
    return optional;
}

static void write_by_hand(writer *w, const char *hand) {
    hone_str_add(w->out, *hand ? " " : "");
    for (; *hand; hand++)
        if (*hand == '$') {
            write_operand(w, hand[1], hand[2], 0);
            hand += 2;
        } else {
            hone_str_addc(w->out, *hand);
        }
}

static const char *hand_operands(const char *form) {
    for (size_t i = 0; i < HONE_COUNT(by_hand); i++) {
        const size_t n = strlen(by_hand[i].prefix);
        if (!strncmp(form, by_hand[i].prefix, n) && (form[n] == '.' || form[n] == '\0'))
            return by_hand[i].operands;
    }
    return NULL;
}

static bool write_instruction(const char *form, unsigned variant, const ptx_inst *in, hone_str *out) {
    const char *hand = hand_operands(form), *rule = hand || ptx_operands_of(in)[0] == '*' ? "" : ptx_operands_of(in);
    writer w = {.in = in, .out = out, .next = 1};
    hone_str_add(out, form);
    if (hand)
        write_by_hand(&w, hand);
    const unsigned optional = write_by_rule(&w, rule, variant);
    hone_str_add(out, ";");
    return variant < 1u << optional;
}

static hone_code read_form(const char *form, ptx_inst *in, hone_err *e) {
    ptx_parser *p = hone_calloc(1, sizeof *p);
    hone_arena *arena = hone_arena_new(1 << 22);
    if (!p || !arena) {
        hone_free(p);
        hone_arena_free(arena);
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    }
    p->arena = arena;
    p->e = e;
    p->at = form;
    p->end = form + strlen(form);
    *in = (ptx_inst){.vec = 1};
    hone_code c = ptx_tables_init(p);
    if (c == HONE_OK)
        c = ptx_lex_start(p);
    if (c == HONE_OK)
        c = ptx_parse_opcode(p, in);
    if (c == HONE_OK && p->tok.kind != PTX_T_EOF)
        c = ptx_error(p, &p->tok, HONE_E_PARSE, "is no part of an opcode:");
    ptx_parser_release(p);
    hone_arena_free(arena);
    return c;
}

static const char head[] =
    ".version 9.0\n.target sm_100a\n.address_size 64\n.extern .func (.param .b64 r) malloc (.param .b64 p);\n.extern .func free (.param .b64 p);\n"
    ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
    ".extern .func __assertfail (.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n"
    ".func f () { ret; }\n.visible .entry k (.param .align 16 .b8 kp[64])\n{\n.reg .pred %p<99>; .reg .b16 %h<99>; .reg .b32 %r<99>;"
    " .reg .b64 %l<99>; .reg .b128 %q<99>;\n.shared .align 16 .b8 sv[1024]; .param .align 16 .b8 cp[64]; .param .b64 crv, cp8, cp8b, cp8c, cp8d;"
    " .param .b32 cr4, cp4;\nproto: .callprototype (.param .b64 _) _ (.param .b32 _);\ntable: .branchtargets done;\n";
static const char tail[] = "\ndone: ret;\n}\n";

bool ptx_example(const char *form, unsigned variant, hone_str *out, hone_err *e) {
    const char *note = NULL;
    ptx_inst in;
    bool ok = true;
    if (!strncmp(form, "prototype_", 10))
        form = "call:indirect";
    for (size_t i = 0; i < HONE_COUNT(notes); i++)
        if (!strcmp(form, notes[i].form))
            note = notes[i].text;
    if (variant >= (note ? 1u : 1u << MAX_OPTIONAL) || (!note && read_form(form, &in, e) != HONE_OK))
        return false;
    hone_str_add(out, head);
    if (note)
        hone_str_add(out, note);
    else
        ok = write_instruction(form, variant, &in, out);
    hone_str_add(out, tail);
    return ok && !out->failed;
}
