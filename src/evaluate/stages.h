// The state of one job between its stages. Internal to evaluate/.
#ifndef HONE_EVALUATE_STAGES_H
#define HONE_EVALUATE_STAGES_H
#include "evaluate/internal.h"
#include <stdio.h>

typedef struct hone_stage_run {
    hone_session *s;
    const hone_job *job;
    hone_report *r;
    hone_arena *arena;
    hone_env env;                    // the job's tune parameters
    hone_task *candidate;            // == s->task for the baseline
    const hone_compiled *compiled;
    hone_plan **plans; size_t n_plans;   // of the candidate, one per `size` line
    bool not_the_candidate;          // the stage's error is not the candidate's fault
} hone_stage_run;
hone_code hone_stage_mutate(hone_stage_run *x, hone_err *e);
hone_code hone_stage_time(hone_stage_run *x, hone_err *e);
hone_code hone_stage_profile(hone_stage_run *x, hone_err *e);
#endif
