// counters: hardware counters of a physical GPU for `hone profile --counters`, read by Nsight Compute's `ncu` where it is installed and allowed to. What
// ncu starts is `hone launch-once`: one run of the launch plan, nothing else, from files that a worker compiled.
#ifndef HONE_CLI_COUNTERS_H
#define HONE_CLI_COUNTERS_H
#include "cli/cli.h"
#include "import/ncu.h"

typedef struct cli_counters {
    hone_ncu ncu;            // owned: hone_ncu_free
    char program[1024];      // the ncu that was used
} cli_counters;
// built: an outcome with PTX and cubin of `shown`. device: "cuda:0". errors: HONE_E_UNSUPPORTED: no ncu, no permission, ncu failed: the message says why, the
// hint what helps. HONE_E_PARSE: what ncu printed was not understood.
hone_code cli_counters_read(const cli_options *o, const hone_task *shown, bool with_params, const hone_outcome *built, const char *device, cli_counters *out,
                            hone_err *e);
// `hone launch-once DEVICE TASK.cu PTX CUBIN [NAME=VALUE…]`: what ncu starts. Exit code.
int cli_launch_once(int argc, char **argv);
#endif
