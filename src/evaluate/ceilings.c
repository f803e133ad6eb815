// The two roofs of a device, by running for them: a large copy and chains of FP32 multiply-adds, as a user's kernel would. Once per worker. On the
// virtual GPU the same kernels give modelled roofs.
#include "evaluate/internal.h"
#include <stdio.h>

static const char copy_text[] =
    "#pragma hone size N=%zu\n#pragma hone in a float[N]\n#pragma hone out b float[N]\n"
    "#pragma hone launch copy<<<cdiv(N/4,256), 256>>>(a, b, N/4)\n"
    "extern \"C\" __global__ void copy(const float *a, float *b, int n4) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n4) ((float4 *)b)[i] = ((const float4 *)a)[i];\n}\n";
static const char fma_text[] =
    "#pragma hone size B=%zu R=4096\n#pragma hone in a float[B*256]\n#pragma hone out b float[B*256]\n"
    "#pragma hone launch fma_peak<<<B, 256>>>(a, b, R)\n"
    "extern \"C\" __global__ void fma_peak(const float *a, float *b, int R) {\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n    float x = a[i], c[8];\n"
    "    for (int k = 0; k < 8; k++) c[k] = x + k;\n"
    "    for (int r = 0; r < R; r++)\n        for (int k = 0; k < 8; k++) c[k] = c[k] * x + 0.5f;\n"
    "    float s = 0;\n    for (int k = 0; k < 8; k++) s += c[k];\n    b[i] = s;\n}\n";

static hone_code time_plan(hone_session *s, const hone_compiled *k, hone_plan *plan, double *us, hone_err *e) {
    hone_workload *w = NULL;
    hone_program *p = NULL;
    hone_bound b = {0};
    hone_code c = hone_workload_open(s->device, plan, 1, 1, s->threads, &w, e);
    if (c == HONE_OK)
        c = hone_bound_make(w, plan, &b, e);
    if (c == HONE_OK)
        c = hone_program_load(s->device, k, plan, &p, e);
    if (c == HONE_OK && s->device->info.is_virtual) {
        hone_modelled m = {0};
        hone_model_config cfg = {.max_warp_insts = (uint64_t)1 << 31, .sample_warp_insts = 4 << 20};
        c = hone_measure_modelled(&b, p, &cfg, &m, e);
        *us = m.time_us;
        hone_modelled_free(&m);
    } else if (c == HONE_OK) {
        hone_pair m = {0};
        hone_pair_config cfg = {.samples = 20, .nvml = s->nvml};
        c = hone_measure_pair(&(hone_arm){&b, p}, NULL, &cfg, &m, e);
        *us = m.a.mid;
        hone_pair_free(&m);
    }
    hone_program_free(p);
    hone_bound_free(&b);
    hone_workload_close(w);
    return c;
}

static hone_code time_text(hone_session *s, const char *form, size_t n, double *us, hone_err *e) {
    char text[2048];
    int len = snprintf(text, sizeof text, form, n);
    hone_diags diags = {.arena = hone_arena_new(1 << 16)};
    hone_task *t = NULL;
    hone_plan *plan = NULL;
    const hone_compiled *k = NULL;
    hone_code c = diags.arena ? hone_task_parse("ceiling.cu", text, (size_t)len, &t, &diags, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    if (c == HONE_OK)
        c = hone_plan_make(t, &t->sizes[0], NULL, &plan, e);
    if (c == HONE_OK)
        c = hone_compile_task(s->compiler, t, NULL, NULL, 0, s->device->info.cc, &k, e);
    if (c == HONE_OK)
        c = time_plan(s, k, plan, us, e);
    hone_compiled_release(s->compiler, k);
    hone_plan_free(plan);
    hone_task_free(t);
    hone_arena_free(diags.arena);
    return c;
}

const json_t *hone_session_ceilings(hone_session *s) {
    if (s->ceilings)
        return s->ceilings;
    const hone_device_info *d = &s->device->info;
    hone_err e = {0};
    size_t blocks = 16 * (size_t)(d->sms ? d->sms : 1), words = d->is_virtual ? d->l2_bytes / 2 : (size_t)128 << 20;   // 4 bytes each
    words = (words ? words : (size_t)16 << 20) / 1024 * 1024;
    double copy_us = 0, fma_us = 0;
    hone_code c = hone_device_use(s->device, &e);
    if (c == HONE_OK)
        c = time_text(s, copy_text, words, &copy_us, &e);
    if (c == HONE_OK)
        c = time_text(s, fma_text, blocks, &fma_us, &e);
    if (c == HONE_OK)
        s->ceilings = json_pack("{s:s,s:f,s:f}", "kind", d->is_virtual ? "modelled" : "measured", "copy_gbs", 8.0 * (double)words / copy_us * 1e-3,
                                "fma_tflops", 16.0 * 4096 * 256 * (double)blocks / fma_us * 1e-6);
    else
        s->ceilings = json_pack("{s:s}", "reason", e.msg);
    return s->ceilings;
}
