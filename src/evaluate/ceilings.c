// The two roofs of a device, by running for them: a large copy and chains of FP32 multiply-adds, as a user's kernel would. Once per worker. On the
// virtual GPU the same kernels give modelled roofs. A device that is slow by the wall clock (an emulated one) gets smaller problems: the roofs of a session
// take seconds, not minutes; how much was copied stands beside them.
#include "evaluate/internal.h"
#include <stdio.h>
#include <string.h>

enum { STEPS = 3 };
static const double SLOW_S = 0.05;   // by the wall clock: a run that takes longer is large enough
static const char copy_text[] =
    "#pragma hone size N=%zu\n#pragma hone size N=%zu\n#pragma hone size N=%zu\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n"
    "#pragma hone launch copy<<<cdiv(N/4,256), 256>>>(a, b, N/4)\n"
    "extern \"C\" __global__ void copy(const float *a, float *b, int n4) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n4) ((float4 *)b)[i] = ((const float4 *)a)[i];\n}\n";
static const char fma_text[] =
    "#pragma hone size B=%zu R=%zu\n#pragma hone size B=%zu R=%zu\n#pragma hone size B=%zu R=%zu\n#pragma hone in a float[B*256]\n#pragma hone out b float[B*256]\n"
    "#pragma hone launch fma_peak<<<B, 256>>>(a, b, R)\n"
    "extern \"C\" __global__ void fma_peak(const float *a, float *b, int R) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    float x = a[i], c[8];\n"
    "    for (int k = 0; k < 8; k++) c[k] = x + k;\n"
    "    for (int r = 0; r < R; r++)\n        for (int k = 0; k < 8; k++) c[k] = c[k] * x + 0.5f;\n"
    "    float s = 0;\n    for (int k = 0; k < 8; k++) s += c[k];\n    b[i] = s;\n}\n";

static hone_code run_once(const hone_session *s, const hone_bound *b, hone_program *p, double *wall_s, hone_err *e) {
    hone_clock clock = hone_clock_monotonic();
    double from = hone_now_s(&clock);
    HONE_TRY(hone_program_launch(p, b->plan, hone_bound_set(b, 0), NULL, NULL, e));
    CUresult r = s->device->driver->CtxSynchronize();
    *wall_s = hone_now_s(&clock) - from;
    return r == CUDA_SUCCESS ? HONE_OK : hone_driver_fail(s->device->driver, r, e, "finish a run");
}

static hone_code time_bound(hone_session *s, const hone_bound *b, hone_program *p, bool last, double *us, hone_err *e) {
    if (s->device->info.is_virtual) {
        hone_modelled m = {0};
        hone_model_config cfg = {.max_warp_insts = (uint64_t)1 << 31, .sample_warp_insts = 4 << 20};
        hone_code c = hone_measure_modelled(b, p, &cfg, &m, e);
        *us = m.time_us;
        hone_modelled_free(&m);
        return c;
    }
    double wall_s;
    HONE_TRY(run_once(s, b, p, &wall_s, e));   // the first one may load code
    HONE_TRY(run_once(s, b, p, &wall_s, e));
    if (!last && wall_s < SLOW_S)
        return HONE_OK;
    hone_pair m = {0};
    hone_pair_config cfg = {.samples = 20, .nvml = s->nvml, .max_seconds = 3};
    if (wall_s >= SLOW_S) {   // ten such runs would warm a real device; an emulated one has nothing to warm
        cfg.warmup_launches = 2;
        cfg.warmup_s = -1;
    }
    HONE_TRY(hone_measure_pair(&(hone_arm){b, p}, NULL, &cfg, &m, e));
    *us = m.a.mid;
    hone_pair_free(&m);
    return HONE_OK;
}

// *us stays 0 when a larger problem should be taken.
static hone_code time_plan(hone_session *s, const hone_compiled *k, hone_plan *plan, bool last, double *us, hone_err *e) {
    hone_workload *w = NULL;
    hone_program *p = NULL;
    hone_bound b = {0};
    hone_code c = hone_workload_open(s->device, plan, 1, 1, s->threads, &w, e);
    if (c == HONE_OK)
        c = hone_bound_make(w, plan, &b, e);
    if (c == HONE_OK)
        c = hone_program_load(s->device, k, plan, &p, e);
    if (c == HONE_OK)
        c = time_bound(s, &b, p, last, us, e);
    hone_program_free(p);
    hone_bound_free(&b);
    hone_workload_close(w);
    return c;
}

static hone_code time_sizes(hone_session *s, const hone_task *t, double *us, size_t *size, hone_err *e) {
    const hone_compiled *k = NULL;
    hone_code c = hone_compile_task(s->compiler, t, NULL, NULL, 0, s->device->info.cc, &k, e);
    *us = 0;
    for (size_t i = s->device->info.is_virtual ? t->n_sizes - 1 : 0; c == HONE_OK && i < t->n_sizes && !(*us > 0); i++) {
        hone_plan *plan = NULL;
        c = hone_plan_make(t, &t->sizes[i], NULL, &plan, e);
        if (c == HONE_OK)
            c = time_plan(s, k, plan, i + 1 == t->n_sizes, us, e);
        hone_plan_free(plan);
        *size = i;
    }
    hone_compiled_release(s->compiler, k);
    return c;
}

static hone_code time_text(hone_session *s, const char *text, double *us, size_t *size, hone_err *e) {
    hone_diags diags = {.arena = hone_arena_new(1 << 16)};
    hone_task *t = NULL;
    hone_code c = diags.arena ? hone_task_parse("ceiling.cu", text, strlen(text), &t, &diags, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    if (c == HONE_OK)
        c = time_sizes(s, t, us, size, e);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return c;
}

const json_t *hone_session_ceilings(hone_session *s) {
    if (s->ceilings)
        return s->ceilings;
    const hone_device_info *d = &s->device->info;
    char text[2048];
    hone_err e = {0};
    size_t blocks = 16 * (size_t)(d->sms ? d->sms : 1), words = d->is_virtual ? d->l2_bytes / 2 : (size_t)128 << 20, at = 0;   // 4 bytes each
    words = (words ? words : (size_t)16 << 20) / 1024 * 1024;
    size_t n[STEPS] = {words / 32, words / 4, words}, rounds[STEPS] = {16, 256, 4096};
    double copy_us = 0, fma_us = 0;
    hone_code c = hone_device_use(s->device, &e);
    snprintf(text, sizeof text, copy_text, n[0], n[1], n[2]);
    if (c == HONE_OK)
        c = time_text(s, text, &copy_us, &at, &e);
    double copied = 4.0 * (double)n[at];
    snprintf(text, sizeof text, fma_text, blocks, rounds[0], blocks, rounds[1], blocks, rounds[2]);
    if (c == HONE_OK)
        c = time_text(s, text, &fma_us, &at, &e);
    if (c == HONE_OK)
        s->ceilings = json_pack("{s:s,s:f,s:f,s:f}", "kind", d->is_virtual ? "modelled" : "measured", "copy_gbs", 2 * copied / copy_us * 1e-3, "fma_tflops",
                                16.0 * (double)rounds[at] * 256 * (double)blocks / fma_us * 1e-6, "copy_bytes", copied);
    else
        s->ceilings = json_pack("{s:s}", "reason", e.msg);
    return s->ceilings;
}
