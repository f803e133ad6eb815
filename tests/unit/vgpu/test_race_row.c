// A warp's access of shared memory looked at as a whole (vg_race_shared_row) finds and records what looking lane by lane does: random programs run
// both ways, and their findings, the records of every cell in the end, and what they read are the same. The detector's source is part of this
// test, so that the row's function can be left out and the records compared.
#define vg_race_shared_row whole_row
#define race_cells_flush flush_cells
#include "vgpu/race_shared.c"
#undef vg_race_shared_row
#undef race_cells_flush
#include "exec_fixture.h"
#include "base/rng.h"

enum { WORDS = 96, THREADS = 96, BLOCKS = 3, SHARED = WORDS * 4 + 16, CELLS = SHARED / CELL + 1, TEXT = 1 << 14, KEPT = 64 };

// ---- both ways

static bool g_by_lane;
static unsigned g_rows[2];                             // accesses done as a whole: loads, stores
static record g_records[CELLS][5];                    // as the last look left them

bool vg_race_shared_row(vg_warp *w, const vg_inst *in, const uint32_t offset[VG_LANES], uint32_t mask, unsigned bytes, char kind) {
    if (g_by_lane || !whole_row(w, in, offset, mask, bytes, kind))
        return false;
    g_rows[kind == 's']++;
    return true;
}

// Happens at barriers, before most accesses, and when a launch has ended.
void race_cells_flush(race_cells *c) {
    flush_cells(c);
    if (!c)
        return;
    for (unsigned i = 0; i < CELLS; i++) {
        const cell *k = &c->cells[i];
        const record all[5] = {k->writer[0], k->writer[1], k->reader[0], k->reader[1], k->reader[2]};
        for (unsigned j = 0; j < 5; j++)               // without bytes a record says nothing
            g_records[i][j] = all[j].mask ? all[j] : (record){0};
    }
}

// ---- programs

typedef struct text { char s[TEXT]; size_t n; hone_rng rng; } text;
static void put(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->s + t->n, TEXT - t->n, fmt, ap);
    va_end(ap);
    assert_true(t->n < TEXT);
}
static unsigned below(text *t, unsigned n) { return (unsigned)hone_rng_below(&t->rng, n); }

// %w: the word that the thread touches, from its number %t and lane %l.
static void word(text *t) {
    switch (below(t, 8)) {
    case 0: put(t, "mov.u32 %%w, %%t;\n"); break;
    case 1: put(t, "xor.b32 %%w, %%t, %u;\n", 1u << below(t, 6)); break;
    case 2: put(t, "mov.u32 %%w, %u;\n", below(t, WORDS)); break;
    case 3: put(t, "add.u32 %%w, %%l, %u;\n", below(t, 64)); break;
    case 4: put(t, "mul.lo.u32 %%w, %%t, %u;\n", 3 + below(t, 30)); break;
    case 5: put(t, "shr.u32 %%w, %%t, %u;\n", 1 + below(t, 4)); break;
    case 6: put(t, "mad.lo.u32 %%w, %%t, 26125, %u;\nshr.u32 %%w, %%w, 7;\n", below(t, 1000)); break;
    default: put(t, "sub.u32 %%w, %u, %%t;\n", WORDS); break;
    }
    put(t, "rem.u32 %%w, %%w, %u;\n", WORDS);
}

static void guard(text *t) {
    static const char *const conditions[] = {"lt.u32 %p, %l", "ge.u32 %p, %t", "eq.u32 %p, %l", "ne.u32 %p, %t"};
    const unsigned k = below(t, 2 * HONE_COUNT(conditions));
    if (k < HONE_COUNT(conditions))
        put(t, "setp.%s, %u;\n@%%p ", conditions[k], below(t, 33));
}

// An access with the bytes of its words, the parts of a word or two or four words: %a is its address.
static void access_of(text *t, bool clean) {
    static const struct { const char *ld, *st; unsigned bytes; } forms[] = {
        {"ld.shared.u32 %x, [%a];\n", "st.shared.u32 [%a], %v;\n", 4}, {"ld.shared.u32 %x, [%a];\n", "st.shared.u32 [%a], %v;\n", 4},
        {"ld.shared.u64 %q, [%a];\n", "st.shared.u64 [%a], %q;\n", 8}, {"ld.shared.v2.u32 {%x, %y}, [%a];\n", "st.shared.v2.u32 [%a], {%v, %t};\n", 8},
        {"ld.shared.v4.u32 {%x, %y, %z, %y}, [%a];\n", "st.shared.v4.u32 [%a], {%v, %t, %l, 5};\n", 16},
        {"ld.shared.u8 %h, [%a];\n", "st.shared.u8 [%a], %h;\n", 1}, {"ld.shared.u16 %h, [%a];\n", "st.shared.u16 [%a], %h;\n", 2},
        {"ld.volatile.shared.u32 %x, [%a];\n", "st.volatile.shared.u32 [%a], %v;\n", 4},
        {"atom.shared.add.u32 %x, [%a], %v;\n", "red.shared.add.u32 [%a], 1;\n", 4},
    };
    const unsigned k = below(t, HONE_COUNT(forms));
    const bool writes = below(t, 3) == 0;
    word(t);
    if (clean && writes)                               // its own word
        put(t, "mov.u32 %%w, %%t;\n");
    put(t, "shl.b32 %%a, %%w, 2;\nadd.u32 %%a, %%a, %u;\nand.b32 %%a, %%a, %u;\nadd.u32 %%a, %%a, %%s;\n", clean || below(t, 4) ? 0 : below(t, 16), ~(forms[k].bytes - 1) & 0x1ff);
    put(t, below(t, 4) ? "mov.u32 %%v, 7;\n" : "mad.lo.u32 %%v, %%t, 3, %%x;\n");
    guard(t);
    put(t, "%s", writes ? forms[k].st : forms[k].ld);
    put(t, "add.u32 %%sum, %%sum, %%x;\n");
}

static void program(text *t, uint64_t seed) {
    t->n = 0;
    hone_rng_init(&t->rng, seed, 9);
    put(t, PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n.shared .align 16 .b8 m[%u];\n.reg .pred %%p;\n.reg .b16 %%h;\n"
        ".reg .b32 %%t, %%l, %%s, %%a, %%w, %%v, %%x, %%y, %%z, %%c, %%sum;\n.reg .b64 %%q, %%o;\n", SHARED);
    put(t, "mov.u32 %%t, %%tid.x;\nmov.u32 %%l, %%laneid;\nmov.u32 %%s, m;\nmov.u32 %%x, 1;\nmov.u32 %%y, 2;\nmov.u32 %%z, 3;\nmov.u32 %%sum, 0;\nmov.u32 %%c, 0;\n"
        "mov.u64 %%q, 7;\nmov.u16 %%h, 9;\n");
    const unsigned calm = below(t, 4);                 // how often order is made; 3: always
    if (calm == 3 || below(t, 4))                      // all of it is written
        put(t, "shl.b32 %%a, %%t, 2;\nadd.u32 %%a, %%a, %%s;\nst.shared.u32 [%%a], %%t;\nsetp.ge.u32 %%p, %%t, 92;\n"
            "@%%p st.shared.u32 [%%a+16], %%t;\nbar.sync 0;\n");
    put(t, "LOOP:\n");
    for (unsigned k = 0; k < 14; k++) {
        access_of(t, calm == 3 || below(t, 3) < calm);
        if (calm == 3 || below(t, 4) < calm)
            put(t, calm == 3 || below(t, 3) ? "bar.sync 0;\n" : "bar.warp.sync 0xffffffff;\n");
    }
    put(t, "add.u32 %%c, %%c, 1;\nsetp.lt.u32 %%p, %%c, 3;\n@%%p bra LOOP;\n");
    put(t, "mov.u32 %%a, %%ctaid.x;\nmad.lo.u32 %%a, %%a, %u, %%t;\nmul.wide.u32 %%q, %%a, 4;\nld.param.u64 %%o, [out];\nadd.u64 %%o, %%o, %%q;\n"
        "st.global.u32 [%%o], %%sum;\nret;\n}\n", THREADS);
}

typedef struct outcome { uint32_t sums[BLOCKS * THREADS], n; honeVgpuFinding found[KEPT]; record records[CELLS][5]; } outcome;

static void run(const text *t, bool by_lane, outcome *o) {
    fixture f;
    fx_load(&f, t->s);
    memset(o, 0, sizeof *o);
    memset(g_records, 0, sizeof g_records);
    const uint32_t *sums = fx_buffer(&f, o->sums, sizeof o->sums);
    g_by_lane = by_lane;
    assert_int_equal(fx_launch(&f, BLOCKS, THREADS, &(fx_options){.flags = HONE_VGPU_CHECK | HONE_VGPU_RACE, .threads = 1, .budget = 1 << 20}, 0, NULL), 0);
    memcpy(o->sums, sums, sizeof o->sums);
    memcpy(o->records, g_records, sizeof g_records);
    o->n = fx_findings(&f, o->found, KEPT);
    fx_free(&f);
}

static void same_findings(const outcome *a, const outcome *b, uint64_t seed) {
    if (a->n != b->n)
        fail_msg("program %llu: %u findings, lane by lane %u", (unsigned long long)seed, a->n, b->n);
    for (unsigned i = 0; i < a->n && i < KEPT; i++)
        if (memcmp(&a->found[i], &b->found[i], sizeof a->found[i]) != 0)
            fail_msg("program %llu, PTX line %u: %llu times \"%s\", lane by lane in line %u %llu times \"%s\"", (unsigned long long)seed, a->found[i].ptx_line,
                     (unsigned long long)a->found[i].count, a->found[i].message, b->found[i].ptx_line, (unsigned long long)b->found[i].count, b->found[i].message);
}

static void random_programs_agree(void **state) {
    (void)state;
    static text t;
    static outcome rows, lanes;
    unsigned silent = 0, loud = 0;
    const char *how_many = getenv("HONE_RACE_PROGRAMS");
    const uint64_t n = how_many ? strtoull(how_many, NULL, 10) : 120;
    memset(g_rows, 0, sizeof g_rows);
    for (uint64_t seed = 1; seed <= n; seed++) {
        program(&t, seed);
        run(&t, false, &rows);
        run(&t, true, &lanes);
        same_findings(&rows, &lanes, seed);
        if (memcmp(rows.sums, lanes.sums, sizeof rows.sums) != 0)
            fail_msg("program %llu reads other values:\n%s", (unsigned long long)seed, t.s);
        if (memcmp(rows.records, lanes.records, sizeof rows.records) != 0)
            fail_msg("program %llu leaves other records:\n%s", (unsigned long long)seed, t.s);
        silent += rows.n == 0;
        loud += rows.n != 0;
    }
    assert_true(g_rows[0] > 10 * n && g_rows[1] > n);   // the ways differ
    assert_true(silent > n / 20 && loud > n / 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
