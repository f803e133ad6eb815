// score: the number that a learner gets for a candidate, and what it is made of. The same for rollouts of an archive and for the reward server.
// source: correct counts 0.3 and the speedup itself ("Kevin", multi-turn RL for CUDA kernels, 2025); the speedup is cut to two decimals towards 1, so that noise
// below one percent earns nothing (CUDA-L1, 2025).
#ifndef HONE_EXPORT_SCORE_H
#define HONE_EXPORT_SCORE_H
#include "base/base.h"
#include <jansson.h>

#define HONE_SCORE_CORRECT 0.3
double hone_score_speedup(double speedup);                 // cut towards 1; 0 for what is no positive number
double hone_score_reward(bool correct, double speedup);    // 0 when it is not correct
// {parsed, compiled, correct, speedup, time_us, lo_us, hi_us, kind, verdict} of an outcome (hone.outcome/1, or NULL: the text was no candidate). Absent numbers are
// not known. baseline_us 0: unknown. New reference; *reward as above.
json_t *hone_score_components(const json_t *outcome, double baseline_us, double *reward);
#endif
