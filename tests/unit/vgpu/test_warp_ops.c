// Instructions across lanes: shfl, vote, match, redux, activemask, elect, with whole warps, groups and missing lanes.
#include "alu_fixture.h"

static alu t;
static void lanes(void) {
    t.n = 64;
    for (unsigned i = 0; i < t.n; i++)
        t.a[i] = 100 + i, t.b[i] = (i * 7) % 5, t.c[i] = i % 3;
}
static void expect(const char *line, char take, uint64_t (*want)(unsigned lane, unsigned base)) {
    alu_run(&t, line, take);
    for (unsigned i = 0; i < t.n; i++)
        if (t.d[i] != want(i % 32, i / 32 * 32))
            ALU_FAIL(&t, i, line, want(i % 32, i / 32 * 32));
}
static uint64_t up3(unsigned l, unsigned b) { return 100 + b + (l >= 3 ? l - 3 : l); }
static uint64_t down(unsigned l, unsigned b) { return 100 + b + (l + 5 < 32 ? l + 5 : l); }
static uint64_t down8(unsigned l, unsigned b) { return 100 + b + ((l & 7) + 2 < 8 ? l + 2 : l); }
static uint64_t seventh(unsigned l, unsigned b) { (void)l; return 107 + b; }
static uint64_t bfly(unsigned l, unsigned b) { return 100 + b + (l ^ 9); }
static uint64_t idx(unsigned l, unsigned b) { return 100 + b + ((b + l) * 7) % 5; }
static uint64_t idx16(unsigned l, unsigned b) { return 100 + b + (l & 16) + 3; }
static uint64_t valid_up(unsigned l, unsigned b) { (void)b; return l >= 3; }
static uint64_t valid_down8(unsigned l, unsigned b) { (void)b; return (l & 7) + 2 < 8; }
static void shuffles(void **s) {
    (void)s;
    lanes();
    expect("shfl.sync.up.b32 %d, %a, 3, 0, -1;", 'd', up3);
    expect("shfl.sync.up.b32 %d|%p, %a, 3, 0, -1;", 'p', valid_up);
    expect("shfl.sync.down.b32 %d, %a, 5, 31, -1;", 'd', down);
    expect("shfl.sync.down.b32 %d|%p, %a, 2, 0x1807, -1;", 'p', valid_down8);
    expect("shfl.sync.down.b32 %d, %a, 2, 0x181f, -1;", 'd', down8);
    expect("shfl.sync.bfly.b32 %d, %a, 9, 31, 0xffffffff;", 'd', bfly);
    expect("shfl.sync.idx.b32 %d, %a, %b, 31, -1;", 'd', idx);
    expect("shfl.sync.idx.b32 %d, %a, 3, 0x101f, -1;", 'd', idx16);
    expect("shfl.sync.idx.b32 %d, %a, 7, 31, -1;", 'd', seventh);
    expect("mov.b32 %d, %a; shfl.sync.bfly.b32 %d, %d, 9, 31, -1;", 'd', bfly);   // in place
}
static uint32_t ballot_of(unsigned base, unsigned bit) {
    uint32_t m = 0;
    for (unsigned l = 0; l < 32; l++)
        m |= (uint32_t)((((base + l) % 3) & 1) == bit) << l;
    return m;
}
static uint64_t ballot(unsigned l, unsigned b) { (void)l; return ballot_of(b, 1); }
static uint64_t nballot(unsigned l, unsigned b) { (void)l; return ballot_of(b, 0); }
static uint64_t one(unsigned l, unsigned b) { (void)l; (void)b; return 1; }
static uint64_t zero(unsigned l, unsigned b) { (void)l; (void)b; return 0; }
static uint64_t same_value(unsigned l, unsigned b) {
    uint32_t m = 0;
    for (unsigned k = 0; k < 32; k++)
        m |= (uint32_t)(((b + k) * 7) % 5 == ((b + l) * 7) % 5) << k;
    return m;
}
static uint64_t sum(unsigned l, unsigned b) { (void)l; return 32 * (100 + b) + 31 * 16; }
static uint64_t half_sum(unsigned l, unsigned b) { return l < 16 ? 16 * (100 + b) + 15 * 8 : 16 * (116 + b) + 15 * 8; }
static uint64_t top(unsigned l, unsigned b) { (void)l; return 131 + b; }
static uint64_t everyone(unsigned l, unsigned b) { (void)l; (void)b; return 0xffffffff; }
static uint64_t leader(unsigned l, unsigned b) { (void)b; return l == 0; }
static uint64_t odd_lanes(unsigned l, unsigned b) { (void)b; return l % 2 ? 0xaaaaaaaa : 0; }
static void votes_and_matches(void **s) {
    (void)s;
    lanes();
    expect("vote.sync.ballot.b32 %d, %q, -1;", 'd', ballot);
    expect("vote.sync.ballot.b32 %d, !%q, -1;", 'd', nballot);
    expect("vote.sync.any.pred %p, %q, -1;", 'p', one);
    expect("vote.sync.all.pred %p, %q, -1;", 'p', zero);
    expect("vote.sync.uni.pred %p, %q, -1;", 'p', zero);
    expect("match.any.sync.b32 %d, %b, -1;", 'd', same_value);
    expect("match.any.sync.b64 %d, %B, -1;", 'd', same_value);
    expect("match.all.sync.b32 %d|%p, %b, -1;", 'p', zero);
    expect("match.all.sync.b32 %d, 5, -1;", 'd', everyone);
    expect("redux.sync.add.u32 %d, %a, -1;", 'd', sum);
    expect("redux.sync.max.s32 %d, %a, -1;", 'd', top);
    expect("activemask.b32 %d;", 'd', everyone);
    expect("elect.sync %d|%p, -1;", 'p', leader);
    // two halves of the warp with masks of their own; and lanes that do not take part
    expect("mov.u32 %i5, %laneid; setp.lt.u32 %q, %i5, 16; selp.b32 %i6, 0xffff, 0xffff0000, %q; redux.sync.add.u32 %d, %a, %i6;", 'd',
        half_sum);
    expect("mov.u32 %i5, %laneid; and.b32 %i6, %i5, 1; setp.ne.u32 %q, %i6, 0; @%q activemask.b32 %d;", 'd', odd_lanes);
}
static void executing_outside_the_mask_is_found(void **s) {
    (void)s;
    fixture f;
    honeVgpuFinding found[4];
    fx_load(&f, PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r<3>; .reg .pred %p;\nshfl.sync.up.b32 %r1, 5, 1, 0, 0xfffffffe;\nret;\n}\n");
    fx_launch(&f, 1, 32, NULL, 0, NULL);
    assert_true(fx_findings(&f, found, 4) >= 1);
    assert_string_equal(found[0].kind, "warp.not-in-mask");
    assert_int_equal(found[0].ptx_line, 7);
    fx_free(&f);
}
int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shuffles), cmocka_unit_test(votes_and_matches),
        cmocka_unit_test(executing_outside_the_mask_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
