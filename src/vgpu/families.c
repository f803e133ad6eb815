// families: which build of the handlers runs here. Each op_*.c is compiled for three instruction sets; this file asks the CPU once and
// returns the table of bind functions. HONE_VGPU_ISA=baseline|avx2 chooses a lower one (for tests and for reports of wrong results).
#include "vgpu/exec.h"
#include <stdlib.h>
#include <string.h>

#define FAMILIES(X) X(int) X(float) X(half) X(cvt) X(logic) X(cmp) X(mem) X(atom) X(warp) X(special) X(mma) X(linear) X(video) X(fused)
#define DECLARE(isa, f) bool vg_bind_##f##_##isa(vg_binder *b, const ptx_inst *in, vg_inst *out);
#define TABLE(isa)                                                                                                       \
    static const vg_bind_fn g_##isa[VG_FAM_COUNT] = {                                                                    \
        [VG_FAM_INT] = vg_bind_int_##isa, [VG_FAM_FLOAT] = vg_bind_float_##isa, [VG_FAM_DOUBLE] = vg_bind_float_##isa,   \
        [VG_FAM_HALF] = vg_bind_half_##isa, [VG_FAM_CVT] = vg_bind_cvt_##isa, [VG_FAM_LOGIC] = vg_bind_logic_##isa,      \
        [VG_FAM_CMP] = vg_bind_cmp_##isa, [VG_FAM_MEM] = vg_bind_mem_##isa, [VG_FAM_ATOM] = vg_bind_atom_##isa,          \
        [VG_FAM_WARP] = vg_bind_warp_##isa, [VG_FAM_SPECIAL] = vg_bind_special_##isa, [VG_FAM_MMA] = vg_bind_mma_##isa,  \
        [VG_FAM_LINEAR] = vg_bind_linear_##isa, [VG_FAM_FUSED] = vg_bind_fused_##isa,                                    \
        [VG_FAM_VIDEO] = vg_bind_video_##isa,                                                                            \
    }
#define DECLARE_BASELINE(f) DECLARE(baseline, f)
#define DECLARE_AVX2(f) DECLARE(avx2, f)
#define DECLARE_AVX512(f) DECLARE(avx512, f)
FAMILIES(DECLARE_BASELINE)
TABLE(baseline);
#if defined(VG_WITH_AVX2)
FAMILIES(DECLARE_AVX2)
TABLE(avx2);
#endif
#if defined(VG_WITH_AVX512)
FAMILIES(DECLARE_AVX512)
TABLE(avx512);
#endif

typedef struct isa { const char *name; const vg_bind_fn *families; } isa;

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    return 1;
#else
    return 0;
#endif
}

static isa choose(void) {
    static const isa all[] = {
        {"baseline", g_baseline},
#if defined(VG_WITH_AVX2)
        {"avx2", g_avx2},
#endif
#if defined(VG_WITH_AVX512)
        {"avx512", g_avx512},
#endif
    };
    int level = best_level();
    if (level >= (int)HONE_COUNT(all))
        level = (int)HONE_COUNT(all) - 1;
    const char *want = getenv("HONE_VGPU_ISA");
    for (int i = 0; want && i < level; i++)
        if (strcmp(all[i].name, want) == 0)
            level = i;
    return all[level];
}

const char *vg_isa_name(void) { return choose().name; }
const vg_bind_fn *vg_families(void) { return choose().families; }
