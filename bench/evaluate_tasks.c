// Times the launch plans of task files on one device, without judging them: what the timing model is compared with (bench/model_error.py), and what a
// profiler can be attached to, since everything happens in this process. One JSON object per file on stdout.
//     build/bench_evaluate_tasks DEVICE [--samples N | --sample WARP_INSTRUCTIONS | --naive | --once] FILE.cu …
// Physical: median with a 99 % interval, cold and warm L2 cache. Virtual: modelled time with counters, of so many executed instructions per launch, and what
// that took. --once: every launch of the plan once, nothing timed.
// --naive: what many harnesses do: one launch to warm up, then the mean of a hundred, one pair of events, nothing flushed (bench/reproducibility.py).
#include "evaluate/internal.h"
#include "measure/measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_BYTES = 1 << 30, FILL_THREADS = 8, SAMPLE_WARP_INSTS = 4 << 20, DEFAULT_SAMPLES = 30 };

typedef struct bench {
    hone_device *device;
    hone_compiler *compiler;
    hone_nvml *nvml;
    unsigned samples;
    uint64_t sample_warp_insts;
    bool once, naive;
} bench;

static json_t *interval(const hone_interval *i) { return json_pack("{s:f,s:f,s:f}", "median", i->mid, "lo", i->lo, "hi", i->hi); }

static hone_code measure(const bench *b, const hone_bound *bound, hone_program *p, bool warm, json_t *out, hone_err *e) {
    hone_pair pair;
    hone_pair_config c = {.samples = b->samples, .warm_cache = warm, .nvml = b->nvml, .warmup_launches = 3, .warmup_s = 0.1, .max_seconds = 2};
    HONE_TRY(hone_measure_pair(&(hone_arm){bound, p}, NULL, &c, &pair, e));
    json_t *o = interval(&pair.a);
    json_object_set_new(o, "n", json_integer((json_int_t)pair.n));
    json_object_set_new(o, "batch", json_integer(pair.batch));
    if (pair.has_clock_mhz)
        json_object_set_new(o, "clock_mhz", json_pack("[f,f]", pair.clock_mhz_lo, pair.clock_mhz_hi));
    json_object_set_new(out, warm ? "warm_us" : "cold_us", o);
    hone_pair_free(&pair);
    return HONE_OK;
}

static hone_code model(const bench *b, const hone_bound *bound, hone_program *p, json_t *out, hone_err *e) {
    hone_modelled m;
    const hone_clock clock = hone_clock_monotonic();
    const double from = hone_now_s(&clock);
    HONE_TRY(hone_measure_modelled(bound, p, &(hone_model_config){.sample_warp_insts = b->sample_warp_insts, .max_warp_insts = (uint64_t)1 << 31}, &m, e));
    json_object_set_new(out, "modelled_us", json_real(m.time_us));
    json_object_set_new(out, "model_s", json_real(hone_now_s(&clock) - from));
    json_object_set_new(out, "error_band", json_real(m.error_band));
    json_object_set(out, "launches", m.launches);
    hone_modelled_free(&m);
    return HONE_OK;
}

static hone_code run_once(const bench *b, const hone_bound *bound, hone_program *p, hone_err *e) {
    HONE_TRY(hone_program_launch(p, bound->plan, hone_bound_set(bound, 0), NULL, NULL, e));
    const CUresult r = b->device->driver->CtxSynchronize();
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(b->device->driver, r, e, "run the plan");
}

static hone_code naive_mean(const bench *b, const hone_bound *bound, hone_program *p, json_t *out, hone_err *e) {
    enum { RUNS = 100 };
    const hone_driver *drv = b->device->driver;
    CUevent at[2] = {0};
    float ms = 0;
    HONE_TRY(run_once(b, bound, p, e));
    bool fine = drv->EventCreate(&at[0], CU_EVENT_DEFAULT_FLAG) == CUDA_SUCCESS && drv->EventCreate(&at[1], CU_EVENT_DEFAULT_FLAG) == CUDA_SUCCESS &&
                drv->EventRecord(at[0], NULL) == CUDA_SUCCESS;
    for (int i = 0; fine && i < RUNS; i++)
        HONE_TRY(hone_program_launch(p, bound->plan, hone_bound_set(bound, 0), NULL, NULL, e));
    fine = fine && drv->EventRecord(at[1], NULL) == CUDA_SUCCESS && drv->EventSynchronize(at[1]) == CUDA_SUCCESS &&
           drv->EventElapsedTime(&ms, at[0], at[1]) == CUDA_SUCCESS;
    json_object_set_new(out, "naive_us", json_real((double)ms * 1e3 / RUNS));
    return fine ? HONE_OK : hone_fail(e, HONE_E_DEVICE, 0, "cannot time a hundred launches");
}

static hone_code timed(const bench *b, const hone_plan *plan, const hone_compiled *k, json_t *out, hone_err *e) {
    const bool is_virtual = b->device->info.is_virtual;
    const unsigned sets = is_virtual || b->once || b->naive ? 1 : hone_workload_sets_for(plan, b->device->info.l2_bytes, 3, SETS_BYTES);
    hone_workload *w = NULL;
    hone_program *p = NULL;
    hone_bound bound = {0};
    hone_code c = hone_workload_open(b->device, plan, 1, sets, FILL_THREADS, &w, e);
    if (c == HONE_OK)
        c = hone_program_load(b->device, k, plan, &p, e);
    if (c == HONE_OK)
        c = hone_bound_make(w, plan, &bound, e);
    for (unsigned i = 0; c == HONE_OK && i < sets; i++)
        c = hone_bound_reset(&bound, i, 0, e);
    if (c == HONE_OK && b->once)
        c = run_once(b, &bound, p, e);
    else if (c == HONE_OK && b->naive)
        c = naive_mean(b, &bound, p, out, e);
    else if (c == HONE_OK && is_virtual)
        c = model(b, &bound, p, out, e);
    else if (c == HONE_OK) {
        c = measure(b, &bound, p, false, out, e);
        c = c == HONE_OK ? measure(b, &bound, p, true, out, e) : c;
    }
    hone_bound_free(&bound);
    hone_program_free(p);
    hone_workload_close(w);
    return c;
}

static hone_code one_file(const bench *b, const char *path, json_t *out, hone_err *e) {
    char *text;
    size_t len;
    hone_task *task = NULL;
    hone_plan *plan = NULL;
    const hone_compiled *k = NULL;
    HONE_TRY(hone_read_file(path, HONE_SOURCE_MAX, &text, &len, e));
    hone_code c = hone_task_parse(path, text, len, &task, NULL, e);
    if (c == HONE_OK)
        c = hone_plan_make(task, &task->sizes[0], NULL, &plan, e);
    if (c == HONE_OK)
        c = hone_compile_task(b->compiler, task, NULL, NULL, 0, b->device->info.cc, &k, e);
    if (c == HONE_OK)
        c = timed(b, plan, k, out, e);
    hone_compiled_release(b->compiler, k);
    hone_plan_free(plan);
    hone_task_free(task);
    hone_free(text);
    return c;
}

static bool open_all(bench *b, const char *spec, hone_err *e) {
    if (hone_device_open(spec, &b->device, e) != HONE_OK || hone_compiler_open(&(hone_compiler_config){0}, &b->compiler, e) != HONE_OK)
        return false;
    hone_err ignored = {0};
    if (!b->device->info.is_virtual && hone_nvml_open(b->device->info.pci_bus_id, &b->nvml, &ignored) != HONE_OK)
        b->nvml = NULL;
    return true;
}

int main(int argc, char **argv) {
    bench b = {.samples = DEFAULT_SAMPLES, .sample_warp_insts = SAMPLE_WARP_INSTS};
    hone_err e = {0};
    int first = 2, bad = 0;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--once") == 0)
            b.once = true;
        else if (strcmp(argv[first], "--naive") == 0)
            b.naive = true;
        else if (strcmp(argv[first], "--samples") == 0 && first + 1 < argc)
            b.samples = (unsigned)atoi(argv[++first]);
        else if (strcmp(argv[first], "--sample") == 0 && first + 1 < argc)
            b.sample_warp_insts = strtoull(argv[++first], NULL, 10);
    }
    if (first >= argc) {
        fprintf(stderr, "usage: evaluate_tasks DEVICE [--samples N | --sample WARP_INSTRUCTIONS | --naive | --once] FILE.cu …\n");
        return 2;
    }
    if (!open_all(&b, argv[1], &e)) {
        fprintf(stderr, "evaluate_tasks: %s\n", e.msg);
        return 1;
    }
    for (int i = first; i < argc; i++) {
        json_t *out = json_pack("{s:s,s:s}", "file", argv[i], "device", b.device->info.name);
        hone_err_clear(&e);
        if (one_file(&b, argv[i], out, &e) != HONE_OK) {
            json_object_set_new(out, "error", json_string(e.msg));
            bad++;
        }
        json_dumpf(out, stdout, JSON_COMPACT);
        printf("\n");
        fflush(stdout);
        json_decref(out);
    }
    hone_nvml_close(b.nvml);
    hone_compiler_close(b.compiler);
    hone_device_close(b.device);
    return bad ? 1 : 0;
}
