// Philox4x32-10 (Salmon et al., SC'11): a counter-based generator. The same (key, stream, index) gives the same bits on
// every machine and in any order, so inputs can be filled in parallel and runs replay bit for bit.
#ifndef HONE_BASE_RNG_H
#define HONE_BASE_RNG_H
#include "base/err.h"
void hone_philox(uint64_t key, uint64_t stream, uint64_t index, uint32_t out[4]);
typedef struct hone_rng { uint64_t key, stream, index; uint32_t buf[4]; unsigned left; } hone_rng;
void hone_rng_init(hone_rng *r, uint64_t seed, uint64_t stream);
uint32_t hone_rng_u32(hone_rng *r);
uint64_t hone_rng_u64(hone_rng *r);
uint64_t hone_rng_below(hone_rng *r, uint64_t n);       // unbiased, 0 ≤ x < n; n > 0
double hone_rng_unit(hone_rng *r);                      // [0,1), 53 bits
double hone_rng_normal(hone_rng *r);                    // N(0,1)
double hone_rng_gamma(hone_rng *r, double shape);       // Gamma(shape,1), shape > 0; for Thompson sampling (Beta = ratio)
#endif
