// Integer, float, logic and comparison families on edge values: every case is one instruction run on 32-lane warps over all triples of edge
// values, fully and under a mask, and compared with an independent definition in C.
#include "exec_fixture.h"
#include <fenv.h>
#include <math.h>

typedef uint64_t (*reference)(uint64_t a, uint64_t b, uint64_t c);
typedef struct alu_case { const char *text; const char *types; reference ref; } alu_case;   // types: d, a, b, c as 'h' 16, 'w' 32, 'd' 64, 'p' set 0/1

static float F(uint64_t x) { uint32_t b = (uint32_t)x; float f; memcpy(&f, &b, 4); return f; }
static uint64_t FB(float f) { uint32_t b; if (f != f) return 0x7fffffff; memcpy(&b, &f, 4); return b; }
static double D(uint64_t x) { double f; memcpy(&f, &x, 8); return f; }
static uint64_t DB(double f) { uint64_t b; memcpy(&b, &f, 8); return b; }
static float Z(float f) { return fabsf(f) < 0x1p-126f ? copysignf(0, f) : f; }
#define R(name, expr) static uint64_t name(uint64_t a, uint64_t b, uint64_t c) { (void)a; (void)b; (void)c; return (uint64_t)(expr); }
#define W(x) ((uint32_t)(x))
#define S(x) ((int32_t)(uint32_t)(x))
R(r_add32, W(a + b)) R(r_sub32, W(a - b)) R(r_mullo32, W(W(a) * (uint64_t)W(b))) R(r_add16, (uint16_t)(a + b)) R(r_add64, a + b) R(r_sub64, a - b)
R(r_mulhi_u32, ((uint64_t)W(a) * W(b)) >> 32) R(r_mulhi_s32, W(((int64_t)S(a) * S(b)) >> 32)) R(r_mulwide_u32, (uint64_t)W(a) * W(b))
R(r_mulwide_s32, (int64_t)S(a) * S(b)) R(r_mulwide_s16, W((int32_t)(int16_t)a * (int16_t)b)) R(r_mulhi_u64, ((unsigned __int128)a * b) >> 64)
R(r_mulhi_s64, ((__int128)(int64_t)a * (int64_t)b) >> 64) R(r_mullo64, a *b) R(r_madlo32, W(W(a) * (uint64_t)W(b) + c)) R(r_madwide, (uint64_t)((int64_t)S(a) * S(b)) + c)
R(r_madhi, W((((int64_t)S(a) * S(b)) >> 32) + S(c)))
R(r_divu32, W(b) ? W(a) / W(b) : 0xffffffff) R(r_remu32, W(b) ? W(a) % W(b) : W(a)) R(r_divs32, W(b) == 0 ? 0xffffffff : S(b) == -1 ? W(0 - a) : W(S(a) / S(b)))
R(r_rems32, W(b) == 0 ? W(a) : S(b) == -1 ? 0 : W(S(a) % S(b))) R(r_divu64, b ? a / b : UINT64_MAX) R(r_rems64, b == 0 ? a : (int64_t)b == -1 ? 0 : (uint64_t)((int64_t)a % (int64_t)b))
R(r_divs64, b == 0 ? UINT64_MAX : (int64_t)b == -1 ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b))
R(r_mins32, W(S(a) < S(b) ? S(a) : S(b))) R(r_maxu64, a > b ? a : b) R(r_mins16, (uint16_t)((int16_t)a < (int16_t)b ? a : b)) R(r_abs32, W(S(a) < 0 ? 0 - W(a) : W(a)))
R(r_neg64, 0 - a) R(r_sad, W(c + (S(a) > S(b) ? W(a) - W(b) : W(b) - W(a)))) R(r_addsat, W((int64_t)S(a) + S(b) > INT32_MAX ? INT32_MAX : (int64_t)S(a) + S(b) < INT32_MIN ? INT32_MIN : S(a) + S(b)))
R(r_popc64, __builtin_popcountll(a)) R(r_clz32, W(a) ? __builtin_clz(W(a)) : 32) R(r_clz64, a ? __builtin_clzll(a) : 64)
static uint64_t r_bfind_s32(uint64_t a, uint64_t b, uint64_t c) {
    (void)b; (void)c;
    const uint32_t v = S(a) < 0 ? ~W(a) : W(a);
    for (int i = 31; i >= 0; i--)
        if (v >> i & 1)
            return (uint64_t)i;
    return 0xffffffff;
}
static uint64_t r_brev32(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t r = 0;
    (void)b; (void)c;
    for (int i = 0; i < 32; i++)
        r |= (a >> i & 1) << (31 - i);
    return r;
}
static uint64_t bfe(uint64_t a, unsigned pos, unsigned len, unsigned msb, bool sign) {   // PTX ISA's own pseudo-code
    const unsigned top = pos + len - 1 < msb ? pos + len - 1 : msb;
    const bool sbit = sign && len && (a >> top & 1);
    uint64_t d = 0;
    for (unsigned i = 0; i <= msb; i++)
        d |= (uint64_t)(i < len && pos + i <= msb ? (a >> (pos + i) & 1) : sbit) << i;
    return d;
}
R(r_bfeu32, bfe(a, b & 255, c & 255, 31, false)) R(r_bfes32, bfe(a, b & 255, c & 255, 31, true)) R(r_bfes64, bfe(a, b & 255, c & 255, 63, true))
static uint64_t r_bfi(uint64_t a, uint64_t b, uint64_t c) {   // fixed length 7
    uint64_t f = b;
    const unsigned pos = c & 255;
    for (unsigned i = 0; i < 7 && pos + i <= 31; i++)
        f = (f & ~(1ull << (pos + i))) | (a >> i & 1) << (pos + i);
    return f;
}
static uint64_t r_bfi64(uint64_t a, uint64_t b, uint64_t c) {   // the length from c too, its bits 8 to 15
    const unsigned pos = c & 255, len = c >> 8 & 255;
    for (unsigned i = 0; i < len && pos + i <= 63; i++)
        b = (b & ~(1ull << (pos + i))) | (a >> (i & 63) & 1) << (pos + i);
    return b;
}
R(r_dp4a, W(c + W((int8_t)a * (int8_t)b + (int8_t)(a >> 8) * (int8_t)(b >> 8) + (int8_t)(a >> 16) * (int8_t)(b >> 16) + (int8_t)(a >> 24) * (int8_t)(b >> 24))))
R(r_carry, W(((uint64_t)W(a) + W(b)) >> 32)) R(r_borrow, W(0u - (W(a) < W(b)))) R(r_add128hi, c + (a + b < a))
R(r_fadd, FB(F(a) + F(b))) R(r_fmul_ftz, FB(Z(Z(F(a)) * Z(F(b))))) R(r_ffma, FB(fmaf(F(a), F(b), F(c)))) R(r_dfma, DB(fma(D(a), D(b), D(c))))
R(r_fsat, F(a) + F(b) != F(a) + F(b) ? 0 : FB(fminf(fmaxf(F(a) + F(b), 0.0f), 1.0f)))
R(r_fabs, W(a) & 0x7fffffff) R(r_fneg, W(a) ^ 0x80000000) R(r_dneg, a ^ (1ull << 63))
static uint64_t directed(int mode, uint64_t a, uint64_t b, uint64_t c) {
    volatile float x = F(a), y = F(b), z = F(c), r;
    fesetround(mode);
    r = fmaf(x, y, z);
    fesetround(FE_TONEAREST);
    return FB(r);
}
R(r_fma_rz, directed(FE_TOWARDZERO, a, b, c)) R(r_fma_rp, directed(FE_UPWARD, a, b, c)) R(r_fma_rm, directed(FE_DOWNWARD, a, b, c))
static uint64_t r_fmin(uint64_t a, uint64_t b, uint64_t c) {
    (void)c;
    const float x = F(a), y = F(b);
    if (x != x || y != y)
        return FB(x != x ? y : x);
    if (x == 0 && y == 0)
        return (a | b) & 0x80000000u;
    return FB(x < y ? x : y);
}
R(r_fmax_nan, F(a) != F(a) || F(b) != F(b) ? 0x7fffffff : F(a) == 0 && F(b) == 0 ? (a & b & 0x80000000u) : FB(F(a) > F(b) ? F(a) : F(b)))
R(r_and64, a &b) R(r_not16, (uint16_t)~a) R(r_cnot, W(a) == 0) R(r_shl32, W(b) > 31 ? 0 : W(W(a) << W(b))) R(r_shrs32, W(S(a) >> (W(b) > 31 ? 31 : W(b))))
R(r_shr64, W(b) > 63 ? 0 : a >> W(b)) R(r_shfl, W(((b << 32 | W(a)) << (W(c) & 31)) >> 32)) R(r_shfr, W(W(c) >= 32 ? W(b) : (b << 32 | W(a)) >> W(c)))
R(r_xor3, W(a ^ b ^ c)) R(r_lop_1b, W((~a & ~b & ~c) | (~a & ~b & c) | (~a & b & c) | (a & ~b & ~c)))   // minterms 0, 1, 3, 4
static uint64_t r_prmt(uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t pair = b << 32 | W(a);
    uint32_t d = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned s = c >> (4 * i) & 15;
        const uint8_t v = (uint8_t)(pair >> (8 * (s & 7)));
        d |= (uint32_t)(s & 8 ? (v & 0x80 ? 0xff : 0) : v) << (8 * i);
    }
    return d;
}
R(r_lts32, S(a) < S(b)) R(r_hiu32, W(a) > W(b)) R(r_les64, (int64_t)a <= (int64_t)b) R(r_fne, F(a) < F(b) || F(a) > F(b)) R(r_fneu, !(F(a) == F(b))) R(r_fltu, !(F(a) >= F(b)))
R(r_fnum, F(a) == F(a) && F(b) == F(b)) R(r_dge, D(a) >= D(b)) R(r_and_c, S(a) < S(b) && !(W(c) & 1)) R(r_set, S(a) < S(b) ? 0x3f800000 : 0) R(r_slct, S(c) >= 0 ? W(a) : W(b))
R(r_selp, W(c) & 1 ? a : b) R(r_pack, b << 32 | W(a)) R(r_unpack, W(a >> 32) ^ W(a))

static const alu_case g_cases[] = {
    {"add.u32 d,a,b", "wwww", r_add32}, {"sub.s32 d,a,b", "wwww", r_sub32}, {"mul.lo.u32 d,a,b", "wwww", r_mullo32}, {"add.u16 d,a,b", "hhhh", r_add16},
    {"add.s64 d,a,b", "dddd", r_add64}, {"sub.u64 d,a,b", "dddd", r_sub64}, {"mul.hi.u32 d,a,b", "wwww", r_mulhi_u32}, {"mul.hi.s32 d,a,b", "wwww", r_mulhi_s32},
    {"mul.wide.u32 d,a,b", "dwww", r_mulwide_u32}, {"mul.wide.s32 d,a,b", "dwww", r_mulwide_s32}, {"mul.wide.s16 d,a,b", "whhh", r_mulwide_s16},
    {"mul.hi.u64 d,a,b", "dddd", r_mulhi_u64}, {"mul.hi.s64 d,a,b", "dddd", r_mulhi_s64}, {"mul.lo.s64 d,a,b", "dddd", r_mullo64},
    {"mad.lo.s32 d,a,b,c", "wwww", r_madlo32}, {"mad.wide.s32 d,a,b,c", "dwwd", r_madwide}, {"mad.hi.s32 d,a,b,c", "wwww", r_madhi},
    {"div.u32 d,a,b", "wwww", r_divu32}, {"rem.u32 d,a,b", "wwww", r_remu32}, {"div.s32 d,a,b", "wwww", r_divs32}, {"rem.s32 d,a,b", "wwww", r_rems32},
    {"div.u64 d,a,b", "dddd", r_divu64}, {"div.s64 d,a,b", "dddd", r_divs64}, {"rem.s64 d,a,b", "dddd", r_rems64},
    {"min.s32 d,a,b", "wwww", r_mins32}, {"max.u64 d,a,b", "dddd", r_maxu64}, {"min.s16 d,a,b", "hhhh", r_mins16}, {"abs.s32 d,a", "wwww", r_abs32},
    {"neg.s64 d,a", "dddd", r_neg64}, {"sad.s32 d,a,b,c", "wwww", r_sad}, {"add.sat.s32 d,a,b", "wwww", r_addsat}, {"popc.b64 d,a", "wddd", r_popc64},
    {"clz.b32 d,a", "wwww", r_clz32}, {"clz.b64 d,a", "wddd", r_clz64}, {"bfind.s32 d,a", "wwww", r_bfind_s32}, {"brev.b32 d,a", "wwww", r_brev32},
    {"bfe.u32 d,a,b,c", "wwww", r_bfeu32}, {"bfe.s32 d,a,b,c", "wwww", r_bfes32}, {"bfe.s64 d,a,b,c", "ddww", r_bfes64}, {"bfi.b32 d,a,b,c,7", "wwww", r_bfi},
    {"shr.u32 t,c,8; bfi.b64 d,a,b,c,t", "dddw", r_bfi64},
    {"dp4a.s32.s32 d,a,b,c", "wwww", r_dp4a}, {"add.cc.u32 d,a,b; addc.u32 d,0,0", "wwww", r_carry}, {"sub.cc.u32 d,a,b; subc.u32 d,0,0", "wwww", r_borrow},
    {"add.cc.u64 d,a,b; addc.u64 d,c,0", "dddd", r_add128hi},
    {"add.f32 d,a,b", "wwww", r_fadd}, {"mul.ftz.f32 d,a,b", "wwww", r_fmul_ftz}, {"fma.rn.f32 d,a,b,c", "wwww", r_ffma}, {"fma.rn.f64 d,a,b,c", "dddd", r_dfma},
    {"add.sat.f32 d,a,b", "wwww", r_fsat}, {"abs.f32 d,a", "wwww", r_fabs}, {"neg.f32 d,a", "wwww", r_fneg}, {"neg.f64 d,a", "dddd", r_dneg},
    {"fma.rz.f32 d,a,b,c", "wwww", r_fma_rz}, {"fma.rp.f32 d,a,b,c", "wwww", r_fma_rp}, {"fma.rm.f32 d,a,b,c", "wwww", r_fma_rm},
    {"min.f32 d,a,b", "wwww", r_fmin}, {"max.NaN.f32 d,a,b", "wwww", r_fmax_nan},
    {"and.b64 d,a,b", "dddd", r_and64}, {"not.b16 d,a", "hhhh", r_not16}, {"cnot.b32 d,a", "wwww", r_cnot}, {"shl.b32 d,a,b", "wwww", r_shl32},
    {"shr.s32 d,a,b", "wwww", r_shrs32}, {"shr.u64 d,a,b", "ddww", r_shr64}, {"shf.l.wrap.b32 d,a,b,c", "wwww", r_shfl}, {"shf.r.clamp.b32 d,a,b,c", "wwww", r_shfr},
    {"lop3.b32 d,a,b,c,0x96", "wwww", r_xor3}, {"lop3.b32 d,a,b,c,0x1b", "wwww", r_lop_1b}, {"prmt.b32 d,a,b,c", "wwww", r_prmt},
    {"setp.lt.s32 p,a,b", "pwww", r_lts32}, {"setp.hi.u32 p,a,b", "pwww", r_hiu32}, {"setp.le.s64 p,a,b", "pddd", r_les64}, {"setp.ne.f32 p,a,b", "pwww", r_fne},
    {"setp.neu.f32 p,a,b", "pwww", r_fneu}, {"setp.ltu.f32 p,a,b", "pwww", r_fltu}, {"setp.num.f32 p,a,b", "pwww", r_fnum}, {"setp.ge.f64 p,a,b", "pddd", r_dge},
    {"and.b32 t,c,1; setp.eq.u32 q,t,1; setp.lt.and.s32 p,a,b,!q", "pwww", r_and_c}, {"set.lt.f32.s32 d,a,b", "wwww", r_set}, {"slct.b32.s32 d,a,b,c", "wwww", r_slct},
    {"and.b32 t,c,1; setp.eq.u32 q,t,1; selp.b64 d,a,b,q", "dddw", r_selp}, {"mov.b64 d,{a,b}", "dwww", r_pack}, {"mov.b64 {t,u},a; xor.b32 d,t,u", "wddd", r_unpack},
};

static const uint64_t g_edges[] = {
    0, 1, 2, 5, 7, 31, 32, 33, 63, 64, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x3f800000, 0xbf800000, 0x3f000001, 0x7f800000, 0xff800000,
    0x7fc00000, 0x00000123, 0x80400000, 0x7f7fffff, 0x12345678, 0xdeadbeefcafebabe, 0x8000000000000000, 0x7fffffffffffffff, 0xffffffffffffffff, 0x3ff0000000000000,
    0x7ff8000000000000,
};
enum { N = HONE_COUNT(g_edges), CASES = N * N * N };

static unsigned width(char t) { return t == 'h' ? 2 : t == 'd' ? 8 : 4; }

static void build(const alu_case *k, bool masked, char *out, size_t n) {
    char load[768] = "";
    for (int i = 1; i < 4; i++)
        snprintf(load + strlen(load), sizeof load - strlen(load), "ld.global.u%u %c, [%%rd%d];\n", 8 * width(k->types[i]), "dabc"[i], i + 3);
    char reg[256] = "";
    for (int i = k->types[0] == 'p'; i < 4; i++)
        snprintf(reg + strlen(reg), sizeof reg - strlen(reg), ".reg .b%u %c;\n", 8 * width(k->types[i]), "dabc"[i]);
    if (k->types[0] == 'p')
        strcat(reg, ".reg .b32 d;\n");
    snprintf(out, n, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u32 p2)\n{\n.reg .pred p, q, g; .reg .b32 t, u, %%r<8>; .reg .b64 %%rd<12>;\n%s"
             "ld.param.u64 %%rd1, [p0]; ld.param.u64 %%rd2, [p1]; ld.param.u32 %%r6, [p2];\n"
             "mov.u32 %%r1, %%ctaid.x; mov.u32 %%r2, %%ntid.x; mov.u32 %%r3, %%tid.x; mad.lo.u32 %%r4, %%r1, %%r2, %%r3;\n"
             "setp.ge.u32 g, %%r4, %%r6; @g ret;\n"
             "rem.u32 %%r5, %%r4, %d; mul.wide.u32 %%rd4, %%r5, 8; add.u64 %%rd4, %%rd4, %%rd1;\n"
             "div.u32 %%r5, %%r4, %d; rem.u32 %%r5, %%r5, %d; mul.wide.u32 %%rd5, %%r5, 8; add.u64 %%rd5, %%rd5, %%rd1;\n"
             "div.u32 %%r5, %%r4, %d; mul.wide.u32 %%rd6, %%r5, 8; add.u64 %%rd6, %%rd6, %%rd1;\n%s"
             "mul.wide.u32 %%rd7, %%r4, 8; add.u64 %%rd7, %%rd7, %%rd2;\n%s"
             "%s;\n%sst.global.u%u [%%rd7], d;\nSKIP: ret;\n}\n",
             reg, (int)N, (int)N, (int)N, (int)(N * N), load, masked ? "and.b32 %r5, %r4, 1; setp.eq.u32 g, %r5, 1; @g bra SKIP;\n" : "", k->text,
             k->types[0] == 'p' ? "selp.b32 d, 1, 0, p;\n" : "", 8 * width(k->types[0]));
}

static uint64_t cut(uint64_t v, char t) { return t == 'h' ? (uint16_t)v : t == 'd' ? v : (uint32_t)v; }
static bool same(const alu_case *k, uint64_t got, uint64_t want) {
    // NaN payloads of f64 are not specified
    return got == want || (strstr(k->text, "f64") && k->types[0] == 'd' && D(got) != D(got) && D(want) != D(want));
}

static void run_case(const alu_case *k, bool masked) {
    char ptx[4096];
    fixture f;
    build(k, masked, ptx, sizeof ptx);
    fx_load(&f, ptx);
    fx_buffer(&f, g_edges, sizeof g_edges);
    uint64_t *out = fx_buffer(&f, NULL, CASES * 8);
    const uint32_t n = CASES;
    assert_int_equal(fx_launch(&f, (CASES + 255) / 256, 256, NULL, 1, &n), 0);
    for (uint32_t i = 0; i < CASES; i++) {
        const uint64_t a = cut(g_edges[i % N], k->types[1]), b = cut(g_edges[i / N % N], k->types[2]), c = cut(g_edges[i / N / N], k->types[3]);
        const uint64_t want = masked && i % 2 ? 0 : k->ref(a, b, c), got = out[i];
        if (!same(k, got, cut(want, k->types[0])))
            fail_msg("%s%s: a=%llx b=%llx c=%llx: %llx, expected %llx", k->text, masked ? " (masked)" : "", (unsigned long long)a, (unsigned long long)b,
                     (unsigned long long)c, (unsigned long long)got, (unsigned long long)want);
    }
    fx_free(&f);
}

static void every_family_on_edge_values(void **state) {
    (void)state;
    const char *only = getenv("ALU_ONLY");
    for (size_t i = 0; i < HONE_COUNT(g_cases); i++)
        for (int masked = 0; masked < 2; masked++)
            if (!only || strstr(g_cases[i].text, only))
                run_case(&g_cases[i], masked);
}

static void every_instruction_set_agrees(void **state) {
    (void)state;
    setenv("HONE_VGPU_ISA", "baseline", 1);
    assert_string_equal(vg_isa_name(), "baseline");
    for (size_t i = 0; i < HONE_COUNT(g_cases); i++)
        run_case(&g_cases[i], false);
    unsetenv("HONE_VGPU_ISA");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_family_on_edge_values), cmocka_unit_test(every_instruction_set_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
