// The task's own test against mutants of the baseline, for `hone check TASK.cu`.
#ifndef HONE_CLI_ADMISSION_H
#define HONE_CLI_ADMISSION_H
#include "cli/cli.h"

bool cli_admission_wanted(const cli_options *o, bool has_candidate);
// Whether it needs a job of its own: mutants run on the virtual GPU, never on a physical device.
bool cli_admission_apart(hone_pool *p);
// That job. `of` is the baseline's. *out: its "admission" member, the caller's reference; NULL when there is none.
hone_code cli_admission_run(hone_pool *p, const hone_job *of, json_t **out, hone_err *e);
void cli_admission_print(const json_t *admission, const cli_style *st);
#endif
