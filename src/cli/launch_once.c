// hone launch-once: one run of a launch plan on a device, from PTX and cubin that a worker made before. Started by ncu only (counters.h), so that what ncu
// measures is the plan's kernels and no others. It compiles nothing and judges nothing.
#include "cli/counters.h"
#include "compile/program.h"
#include "measure/workload.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 << 20 };

typedef struct launcher {
    hone_task *task;
    hone_device *device;
    hone_plan *plan;
    hone_workload *workload;
    hone_bound bound;
    hone_program *program;
    hone_compiled compiled;
    hone_kernel_info *kernels;
    char *ptx, *cubin;
} launcher;

static hone_code read_files(launcher *l, char **argv, hone_err *e) {
    HONE_TRY(cli_load_task(argv[1], &l->task, e));
    HONE_TRY(hone_read_file(argv[2], MAX_FILE_BYTES, &l->ptx, &l->compiled.ptx_len, e));
    HONE_TRY(hone_read_file(argv[3], MAX_FILE_BYTES, &l->cubin, &l->compiled.cubin_len, e));
    HONE_TRY(hone_cubin_kernels(l->cubin, l->compiled.cubin_len, &l->kernels, &l->compiled.n_kernels, e));
    l->compiled.ok = true;
    l->compiled.ptx = l->ptx;
    l->compiled.cubin = l->cubin;
    l->compiled.kernels = l->kernels;
    return HONE_OK;
}

static hone_code launch(launcher *l, int argc, char **argv, hone_err *e) {
    hone_binding values[CLI_MAX_PAIRS];
    hone_env env = {.v = values};
    for (int i = 4; i < argc && env.n < HONE_COUNT(values); i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            return hone_fail(e, HONE_E_USAGE, 0, "'%s' is no NAME=VALUE", argv[i]);
        *equals = 0;
        values[env.n++] = (hone_binding){argv[i], strtoll(equals + 1, NULL, 10)};
    }
    HONE_TRY(read_files(l, argv, e));
    HONE_TRY(hone_plan_make(l->task, &l->task->sizes[0], env.n ? &env : NULL, &l->plan, e));
    HONE_TRY(hone_device_open(argv[0], &l->device, e));
    HONE_TRY(hone_workload_open(l->device, l->plan, 1, 1, 1, &l->workload, e));
    HONE_TRY(hone_bound_make(l->workload, l->plan, &l->bound, e));
    HONE_TRY(hone_program_load(l->device, &l->compiled, l->plan, &l->program, e));
    HONE_TRY(hone_program_launch(l->program, l->plan, hone_bound_set(&l->bound, 0), NULL, NULL, e));
    CUresult r = l->device->driver->CtxSynchronize();
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(l->device->driver, r, e, "finish the run");
}

static void launcher_free(launcher *l) {
    hone_program_free(l->program);
    hone_bound_free(&l->bound);
    hone_workload_close(l->workload);
    hone_device_close(l->device);
    hone_plan_free(l->plan);
    hone_task_free(l->task);
    hone_free(l->kernels);
    hone_free(l->ptx);
    hone_free(l->cubin);
}

int cli_launch_once(int argc, char **argv) {
    hone_err e = {0};
    launcher l = {0};
    if (argc < 4)
        return EXIT_USAGE;
    hone_code c = launch(&l, argc, argv, &e);
    launcher_free(&l);
    return c == HONE_OK ? EXIT_FINE : cli_error(NULL, &e);
}
