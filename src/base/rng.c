// Philox4x32-10 and the distributions hone draws from. See rng.h.
#include "base/rng.h"
#include <math.h>

// Constants of Philox4x32 from Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC'11), table 2.
void hone_philox(uint64_t key, uint64_t stream, uint64_t index, uint32_t out[4]) {
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)p1;
        c[3] = (uint32_t)p0;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

void hone_rng_init(hone_rng *r, uint64_t seed, uint64_t stream) { *r = (hone_rng){.key = seed, .stream = stream}; }

uint32_t hone_rng_u32(hone_rng *r) {
    if (!r->left) {
        hone_philox(r->key, r->stream, r->index++, r->buf);
        r->left = 4;
    }
    return r->buf[4 - r->left--];
}

uint64_t hone_rng_u64(hone_rng *r) {
    uint64_t high = hone_rng_u32(r);
    return high << 32 | hone_rng_u32(r);
}

uint64_t hone_rng_below(hone_rng *r, uint64_t n) {
    if (!n)
        HONE_BUG("hone_rng_below(0)");
    uint64_t reject_below = (0 - n) % n;   // 2^64 mod n: values under it would favour small results
    uint64_t x;
    do
        x = hone_rng_u64(r);
    while (x < reject_below);
    return x % n;
}

double hone_rng_unit(hone_rng *r) { return (double)(hone_rng_u64(r) >> 11) * 0x1p-53; }

double hone_rng_normal(hone_rng *r) {   // Box–Muller, one of the pair: stateless beats saving half of the work here
    double u = 1.0 - hone_rng_unit(r), v = hone_rng_unit(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

double hone_rng_gamma(hone_rng *r, double shape) {   // Marsaglia and Tsang 2000; shapes under 1 by the power trick
    if (shape < 1.0) {
        double u = 1.0 - hone_rng_unit(r);
        return hone_rng_gamma(r, shape + 1.0) * pow(u, 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = hone_rng_normal(r), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        double u = 1.0 - hone_rng_unit(r);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}
