// propose/tune: the proposer "tune": other values for the tune parameters of a parent's text, under its `where` constraints, by learn/tuner
// over everything evaluated of that text. One move, "parameters". Launch shapes and texts are changed by "rewrite".
#ifndef HONE_PROPOSE_TUNE_H
#define HONE_PROPOSE_TUNE_H
#include "learn/tuner.h"
#include "propose/propose.h"

// Parsed texts with their spaces, the newest few. A pure memory: results do not depend on it. threads: one at a time.
typedef struct hone_tune_cache hone_tune_cache;
hone_tune_cache *hone_tune_cache_new(void);   // NULL when out of memory
void hone_tune_cache_free(hone_tune_cache *c);
#endif
