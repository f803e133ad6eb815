// The short ways through granules of global memory (race_global.c: next_of_few, and a granule like the one before) find and record what taking each
// granule apart does: random programs run both ways, and their findings and what all granules say in the end are the same. The detector's source is part
// of this test, so that its walk over granules can be replaced.
#define race_touch short_touch
#define vg_race_global_end end_global
#include "vgpu/race_global.c"
#undef race_touch
#undef vg_race_global_end
#include "exec_fixture.h"
#include "base/rng.h"

enum { WORDS = 1024, THREADS = 64, BLOCKS = 3, GRANULES = WORDS * 4 / GRANULE, TEXT = 1 << 14, KEPT = 64 };

// ---- both ways

typedef struct entry { access a; uint8_t bytes, lane; } entry;
typedef struct said { entry e[LIST]; uint8_t n, shared; } said;
static bool g_apart;
static unsigned g_fresh, g_halves;                     // granules taken apart that nobody had touched, or one access in one half
static said g_said[GRANULES];

void race_touch(cursor *k, uint32_t *cells, size_t first_byte, size_t end_byte) {
    vg_race_global *g = k->w->block->race->global;
    if (!g_apart) {
        short_touch(k, cells, first_byte, end_byte);
        return;
    }
    for (size_t i = first_byte / GRANULE; i * GRANULE < end_byte; i++) {
        const size_t at = i * GRANULE, lo = first_byte > at ? first_byte - at : 0, hi = end_byte - at < GRANULE ? end_byte - at : GRANULE;
        const uint8_t bytes = (uint8_t)(((1u << hi) - 1) & ~((1u << lo) - 1));
        if (says_enough(g, k->w->block->race, cells[i], k->x, k->lane, bytes))
            continue;
        state s;
        bool local = false;
        g_fresh += !is_live(g, cells[i]);
        g_halves += is_live(g, cells[i]) && !(cells[i] & STATE) && (cells[i] & BOTH) != BOTH;
        expand(g, cells[i], &s);
        look(k->w, k->in, &s, k->x, k->lane, k->a, at, bytes, k->kind, &local);
        cells[i] = next_state(k, &s, cells[i], (uint32_t)at, bytes);
    }
}

// Numbers say nothing by themselves: what they stand for is compared.
static void take_down(vg_alloc *a, void *self) {
    const vg_race_global *g = self;
    for (size_t i = 0; a->bytes == WORDS * 4 && a->granules && i < GRANULES; i++) {
        state s;
        expand(g, a->granules[i], &s);
        said *x = &g_said[i];
        memset(x, 0, sizeof *x);
        x->n = s.n;
        x->shared = s.n ? s.shared : 0;
        for (unsigned k = 0; k < s.n; k++) {
            const access one = access_at(g, s.access[k]);
            x->e[k].a = one;
            x->e[k].bytes = s.mask[k];
            x->e[k].lane = (uint8_t)(s.access[k] >> 2 & 31);
        }
    }
}
void vg_race_global_end(vg_race_global *g) {
    if (g->launch)
        vg_memory_each(g->launch->ctx->memory, take_down, g);
    end_global(g);
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

// %w: the word that the thread touches, from its number in the grid %t and its lane %l.
static void word(text *t) {
    switch (below(t, 8)) {
    case 0: put(t, "mov.u32 %%w, %%t;\n"); break;
    case 1: put(t, "xor.b32 %%w, %%t, %u;\n", 1u << below(t, 8)); break;
    case 2: put(t, "mad.lo.u32 %%w, %%t, 2, %u;\n", below(t, 2)); break;
    case 3: put(t, "add.u32 %%w, %%l, %u;\n", below(t, WORDS)); break;
    case 4: put(t, "mul.lo.u32 %%w, %%t, %u;\n", 3 + below(t, 30)); break;
    case 5: put(t, "shr.u32 %%w, %%t, %u;\n", 1 + below(t, 4)); break;
    case 6: put(t, "mad.lo.u32 %%w, %%t, 26125, %u;\nshr.u32 %%w, %%w, 7;\n", below(t, 1000)); break;
    default: put(t, "sub.u32 %%w, %u, %%t;\n", WORDS); break;
    }
    put(t, "and.b32 %%w, %%w, %u;\n", WORDS - 1);
}

// calm: plain writes only of words of the thread's own.
static void access_of(text *t, bool calm) {
    static const struct { const char *ld, *st; unsigned bytes; } forms[] = {
        {"ld.global.u32 %x, [%o];\n", "st.global.u32 [%o], %v;\n", 4}, {"ld.global.u32 %x, [%o];\n", "st.global.u32 [%o], %v;\n", 4},
        {"ld.global.u64 %q, [%o];\n", "st.global.u64 [%o], %q;\n", 8}, {"ld.global.v4.u32 {%x, %y, %z, %y}, [%o];\n", "st.global.v4.u32 [%o], {%v, %t, %l, 5};\n", 16},
        {"ld.global.u8 %h, [%o];\n", "st.global.u8 [%o], %h;\n", 1}, {"ld.global.u16 %h, [%o];\n", "st.global.u16 [%o], %h;\n", 2},
        {"ld.volatile.global.u32 %x, [%o];\n", "st.volatile.global.u32 [%o], %v;\n", 4}, {"atom.global.add.u32 %x, [%o], %v;\n", "red.global.add.u32 [%o], 1;\n", 4},
    };
    const unsigned k = below(t, HONE_COUNT(forms));
    const bool writes = below(t, 3) == 0;
    word(t);
    if (calm && writes)
        put(t, "mad.lo.u32 %%w, %%t, 4, %u;\n", below(t, 4));
    put(t, "mad.lo.u32 %%a, %%w, 4, %u;\nand.b32 %%a, %%a, %u;\ncvt.u64.u32 %%o, %%a;\nadd.u64 %%o, %%o, %%m;\n", forms[k].bytes < 4 ? below(t, 4) : 0,
        ~(forms[k].bytes - 1) & (WORDS * 4 - 1));
    put(t, below(t, 4) ? "mov.u32 %%v, 7;\n" : "mad.lo.u32 %%v, %%t, 3, %%x;\n");
    if (!below(t, 3))
        put(t, "setp.%s.u32 %%p, %%l, %u;\n@%%p ", below(t, 2) ? "lt" : "ne", below(t, 33));
    put(t, "%s", writes ? forms[k].st : forms[k].ld);
}

static void program(text *t, uint64_t seed) {
    t->n = 0;
    hone_rng_init(&t->rng, seed, 11);
    put(t, PTX_HEAD ".visible .entry k(.param .u64 buffer)\n{\n.reg .pred %%p;\n.reg .b16 %%h;\n.reg .b32 %%t, %%l, %%a, %%w, %%v, %%x, %%y, %%z, %%c;\n"
        ".reg .b64 %%q, %%o, %%m;\n");
    put(t, "mov.u32 %%l, %%laneid;\nmov.u32 %%t, %%ctaid.x;\nmov.u32 %%x, %%tid.x;\nmad.lo.u32 %%t, %%t, %u, %%x;\nmov.u32 %%y, 2;\nmov.u32 %%z, 3;\nmov.u32 %%c, 0;\n"
        "mov.u64 %%q, 7;\nmov.u16 %%h, 9;\nld.param.u64 %%m, [buffer];\n", THREADS);
    const unsigned calm = below(t, 3);                 // 2: always
    put(t, "LOOP:\n");
    for (unsigned k = 0, n = 3 + below(t, 8); k < n; k++) {
        access_of(t, calm == 2 || below(t, 3) < calm);
        if (!below(t, 4))
            put(t, below(t, 3) ? "bar.sync 0;\n" : below(t, 2) ? "bar.warp.sync 0xffffffff;\n" : "membar.gl;\n");
    }
    put(t, "add.u32 %%c, %%c, 1;\nsetp.lt.u32 %%p, %%c, 2;\n@%%p bra LOOP;\nret;\n}\n");
}

typedef struct outcome { uint32_t words[WORDS], n; honeVgpuFinding found[KEPT]; said granules[GRANULES]; } outcome;

static void run(const text *t, bool apart, outcome *o) {
    fixture f;
    fx_load(&f, t->s);
    memset(o, 0, sizeof *o);
    memset(g_said, 0, sizeof g_said);
    const uint32_t *words = fx_buffer(&f, o->words, sizeof o->words);
    g_apart = apart;
    assert_int_equal(fx_launch(&f, BLOCKS, THREADS, &(fx_options){.flags = HONE_VGPU_CHECK | HONE_VGPU_RACE_GLOBAL, .threads = 1, .budget = 1 << 20}, 0, NULL), 0);
    memcpy(o->words, words, sizeof o->words);
    memcpy(o->granules, g_said, sizeof g_said);
    o->n = fx_findings(&f, o->found, KEPT);
    for (unsigned i = 0; i < o->n && i < KEPT; i++)
        o->found[i].count = 1;                         // equal granules of one access count once, or each
    fx_free(&f);
}

static void random_programs_agree(void **unused) {
    (void)unused;
    static text t;
    static outcome quick, apart;
    unsigned silent = 0, loud = 0;
    const char *how_many = getenv("HONE_RACE_PROGRAMS");
    const uint64_t n = how_many ? strtoull(how_many, NULL, 10) : 100;
    for (uint64_t seed = 1; seed <= n; seed++) {
        program(&t, seed);
        run(&t, false, &quick);
        run(&t, true, &apart);
        if (quick.n != apart.n || memcmp(quick.found, apart.found, sizeof quick.found) != 0)
            fail_msg("program %llu: %u findings, granules taken apart %u, or others:\n%s", (unsigned long long)seed, quick.n, apart.n, t.s);
        if (memcmp(quick.words, apart.words, sizeof quick.words) != 0)
            fail_msg("program %llu leaves other words:\n%s", (unsigned long long)seed, t.s);
        for (unsigned i = 0; i < GRANULES; i++)
            if (memcmp(&quick.granules[i], &apart.granules[i], sizeof apart.granules[i]) != 0)
                fail_msg("program %llu: granule %u has %u accesses, taken apart %u, or others:\n%s", (unsigned long long)seed, i, quick.granules[i].n,
                         apart.granules[i].n, t.s);
        silent += quick.n == 0;
        loud += quick.n != 0;
    }
    assert_true(g_fresh > 10 * n && g_halves > 10 * n);   // the ways differ
    assert_true(silent > n / 20 && loud > n / 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
