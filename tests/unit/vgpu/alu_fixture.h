// One instruction over many operands: builds a kernel around a line of PTX, runs it on all combinations given, returns the results.
// The line uses %a %b %c → %d (32 bits), %A %B %C → %D (64), %ha %hb %hc → %hd (16), predicates %p (destination) and %q (a, odd).
#ifndef ALU_FIXTURE_H
#define ALU_FIXTURE_H
#include "exec_fixture.h"
#include <math.h>

enum { ALU_MAX = 1 << 14 };
typedef struct alu { uint64_t a[ALU_MAX], b[ALU_MAX], c[ALU_MAX], d[ALU_MAX]; unsigned n; } alu;

static inline uint64_t alu_rand(uint64_t *s) { return hone_hash64(s, sizeof *s, (*s)++); }

// take: what is stored: 'd' %d, 'D' %D, 'h' %hd, 'p' the predicate %p
// alu_open loads the kernel for n elements, alu_again runs it on new operands; alu_run does both once.
static inline void alu_open(fixture *f, const char *line, char take, unsigned n) {
    static const struct { char take; const char *text; } takes[] = {
        {'d', "cvt.u64.u32 %D, %d;"}, {'D', ""}, {'h', "cvt.u64.u16 %D, %hd;"}, {'p', "selp.u64 %D, 1, 0, %p;"}};
    char text[4096];
    const char *convert = "";
    for (size_t i = 0; i < HONE_COUNT(takes); i++)
        if (takes[i].take == take)
            convert = takes[i].text;
    snprintf(text, sizeof text,
             PTX_HEAD ".visible .entry k(.param .u64 pd, .param .u64 pa, .param .u64 pb, .param .u64 pc)\n{\n"
             ".reg .b64 %%A, %%B, %%C, %%D, %%x<9>; .reg .b32 %%a, %%b, %%c, %%d, %%i<9>; .reg .b16 %%ha, %%hb, %%hc, %%hd; .reg .pred %%p, %%q;\n"
             "mov.u32 %%i1, %%ctaid.x; mov.u32 %%i2, %%ntid.x; mov.u32 %%i3, %%tid.x; mad.lo.s32 %%i4, %%i1, %%i2, %%i3; mul.wide.u32 %%x1, %%i4, 8;\n"
             "ld.param.u64 %%x2, [pa]; add.s64 %%x2, %%x2, %%x1; ld.global.u64 %%A, [%%x2]; ld.param.u64 %%x3, [pb]; add.s64 %%x3, %%x3, %%x1; ld.global.u64 %%B, [%%x3];\n"
             "ld.param.u64 %%x4, [pc]; add.s64 %%x4, %%x4, %%x1; ld.global.u64 %%C, [%%x4]; ld.param.u64 %%x5, [pd]; add.s64 %%x5, %%x5, %%x1;\n"
             "cvt.u32.u64 %%a, %%A; cvt.u32.u64 %%b, %%B; cvt.u32.u64 %%c, %%C; cvt.u16.u64 %%ha, %%A; cvt.u16.u64 %%hb, %%B; cvt.u16.u64 %%hc, %%C;\n"
             "and.b64 %%x6, %%C, 1; setp.ne.s64 %%q, %%x6, 0; mov.u64 %%D, 0; mov.u32 %%d, 0; mov.u16 %%hd, 0; setp.ne.s64 %%p, %%x5, %%x5;\n"
             "%s\n%s st.global.u64 [%%x5], %%D; ret;\n}\n", line, convert);
    fx_load(f, text);
    assert_int_equal(n % 32, 0);
    for (unsigned i = 0; i < 4; i++)
        fx_buffer(f, NULL, n * sizeof(uint64_t));
}
static inline void alu_again(fixture *f, alu *t) {
    const size_t bytes = t->n * sizeof(uint64_t);
    memcpy(f->buf[1]->host, t->a, bytes);
    memcpy(f->buf[2]->host, t->b, bytes);
    memcpy(f->buf[3]->host, t->c, bytes);
    assert_int_equal(fx_launch(f, t->n / 32, 32, NULL, 0, NULL), 0);
    memcpy(t->d, f->buf[0]->host, bytes);
}
static inline void alu_run(alu *t, const char *line, char take) {
    fixture f;
    alu_open(&f, line, take, t->n);
    alu_again(&f, t);
    fx_free(&f);
}
// All pairs (with a rotating third) of the edge values, then random ones.
static inline void alu_fill(alu *t, const uint64_t *edge, size_t n_edge, uint64_t seed) {
    unsigned n = 0;
    for (size_t i = 0; i < n_edge; i++)
        for (size_t j = 0; j < n_edge && n < ALU_MAX / 2; j++, n++) {
            t->a[n] = edge[i];
            t->b[n] = edge[j];
            t->c[n] = edge[(i * 7 + j * 3) % n_edge];
        }
    for (; n < ALU_MAX; n++) {
        t->a[n] = alu_rand(&seed);
        t->b[n] = alu_rand(&seed);
        t->c[n] = alu_rand(&seed);
        if (n % 3 == 0)   // values of one magnitude, so that sums cancel and tie
            t->c[n] = (t->c[n] & 0x80ff80ff80ff80ffull) | (t->a[n] & 0x7f007f007f007f00ull);
    }
    t->n = ALU_MAX;
}
#define ALU_FAIL(t, i, line, want) \
    fail_msg("%s: a=%016llx b=%016llx c=%016llx: got %016llx, want %016llx", line, (unsigned long long)(t)->a[i], \
        (unsigned long long)(t)->b[i], \
             (unsigned long long)(t)->c[i], (unsigned long long)(t)->d[i], (unsigned long long)(want))
static inline float f32_of(uint64_t x) { uint32_t u = (uint32_t)x; float f; memcpy(&f, &u, 4); return f; }
static inline uint32_t bits_of(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline double f64_of(uint64_t x) { double f; memcpy(&f, &x, 8); return f; }
static inline uint64_t bits_of64(double f) { uint64_t u; memcpy(&u, &f, 8); return u; }
#endif
