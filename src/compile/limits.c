// Does a launch plan fit the device? The same checks the driver makes at launch, made earlier and with words.
#include "compile/compile.h"
#include <string.h>

// Registers are given out per warp in units of 256 (compute capability 3.0 and later).
static uint64_t registers_per_block(uint32_t registers, uint64_t threads) {
    uint64_t per_warp = ((uint64_t)registers * 32 + 255) / 256 * 256;
    return per_warp * ((threads + 31) / 32);
}

static hone_code check_launch(const hone_compiled *k, const hone_plan_launch *l, const hone_device_info *d, hone_err *e) {
    const hone_kernel_info *f = hone_compiled_kernel(k, l->kernel);
    if (!f) {
        hone_fail(e, HONE_E_PARSE, 0, "the compiled file has no kernel '%s'", l->kernel);
        return hone_hint(e, "a template needs an explicit instantiation; extern \"C\" keeps the plain name");
    }
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2], shared = (uint64_t)f->static_shared_bytes + l->smem_bytes;
    if (d->max_threads_per_block && threads > d->max_threads_per_block)
        return hone_fail(e, HONE_E_LIMIT, 0, "cannot launch '%s': %llu threads per block, device allows %u", l->kernel,
                         (unsigned long long)threads, d->max_threads_per_block);
    if (d->shared_per_block_optin && shared > d->shared_per_block_optin)
        return hone_fail(e, HONE_E_LIMIT, 0, "cannot launch '%s': needs %llu B shared memory, device allows %u", l->kernel,
                         (unsigned long long)shared, d->shared_per_block_optin);
    uint64_t registers = registers_per_block(f->registers, threads);
    if (d->registers_per_block && registers > d->registers_per_block) {
        hone_fail(e, HONE_E_LIMIT, 0, "cannot launch '%s': needs %llu registers per block (%u per thread), device allows %u", l->kernel,
                  (unsigned long long)registers, f->registers, d->registers_per_block);
        return hone_hint(e, "use __launch_bounds__(%llu) or fewer threads", (unsigned long long)threads);
    }
    return HONE_OK;
}

hone_code hone_check_limits(const hone_compiled *k, const hone_plan *p, const hone_device_info *d, hone_err *e) {
    for (size_t i = 0; i < p->n_launches; i++)
        HONE_TRY(check_launch(k, &p->launches[i], d, e));
    return HONE_OK;
}
