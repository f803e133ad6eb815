// Device files: reading them, what stands in for absent values, and occupancy. Built-in files come from share/hone/devices, embedded at
// build time (generated/vgpu_devices.h), so that libhonegpu.so needs no files beside it.
#include "vgpu/device.h"
#include "base/io.h"
#include "vgpu_devices.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const key_names[VG_DEV_COUNT] = {
#define DEV(name, key, meaning) [VG_DEV_##name] = key,
#include "vgpu/device.def"
#undef DEV
};

enum { MAX_DEVICE_FILE = 64 * 1024, MAX_IDS = 32 };

const char *const *vg_device_ids(void) {
    static const char *ids[MAX_IDS + 1];
    for (size_t i = 0; i < HONE_COUNT(vg_builtin_devices) && i < MAX_IDS; i++)
        ids[i] = vg_builtin_devices[i].id;
    return ids;
}

// ---- parsing

static int find_key(hone_span word) {
    for (int k = 0; k < VG_DEV_COUNT; k++)
        if (hone_span_eq(word, key_names[k]))
            return k;
    return -1;
}

static hone_span next_word(const char **p, const char *end) {
    while (*p < end && (**p == ' ' || **p == '\t'))
        (*p)++;
    const char *first = *p;
    while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
        (*p)++;
    return (hone_span){first, (size_t)(*p - first)};
}

static void copy_name(vg_device *d, const char *first, const char *end) {
    while (first < end && (*first == ' ' || *first == '\t'))
        first++;
    while (end > first && (end[-1] == ' ' || end[-1] == '\r'))
        end--;
    size_t n = (size_t)(end - first) < sizeof d->name - 1 ? (size_t)(end - first) : sizeof d->name - 1;
    memcpy(d->name, first, n);
    d->name[n] = '\0';
}

static hone_code parse_line(vg_device *d, const char *path, unsigned line, const char *p, const char *end, hone_err *e) {
    const char *hash = memchr(p, '#', (size_t)(end - p));
    if (hash)
        end = hash;
    hone_span key = next_word(&p, end);
    if (!key.n)
        return HONE_OK;
    if (hone_span_eq(key, "name")) {
        copy_name(d, p, end);
        return HONE_OK;
    }
    int k = find_key(key);
    if (k < 0)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: unknown device parameter '%.*s'", path, line, (int)key.n, key.s);
    hone_span value = next_word(&p, end);
    char number[64] = "", *stop = number;
    if (value.n && value.n < sizeof number)
        memcpy(number, value.s, value.n);
    double v = strtod(number, &stop);
    if (stop == number || *stop || !isfinite(v) || v < 0)
        return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: '%.*s' needs a number, not '%.*s'", path, line, (int)key.n, key.s, (int)value.n, value.s);
    d->v[k] = v;
    return HONE_OK;
}

static hone_code require_keys(const vg_device *d, const char *path, hone_err *e) {
    static const vg_dev_key needed[] = {VG_DEV_SMS, VG_DEV_CC_MAJOR, VG_DEV_BOOST_MHZ, VG_DEV_FP32_LANES, VG_DEV_WARPS_PER_SM, VG_DEV_BLOCKS_PER_SM,
                                        VG_DEV_SHARED_PER_SM, VG_DEV_L2_BYTES, VG_DEV_MEM_BYTES, VG_DEV_DRAM_PEAK_GBS};
    for (size_t i = 0; i < HONE_COUNT(needed); i++)
        if (!(d->v[needed[i]] > 0))
            return hone_fail(e, HONE_E_PARSE, 0, "%s: device parameter '%s' is missing", path, key_names[needed[i]]);
    return HONE_OK;
}

static hone_code parse_device(vg_device *d, const char *path, hone_err *e) {
    unsigned line = 1;
    for (const char *p = d->text; *p; line++) {
        const char *end = strchrnul(p, '\n');
        HONE_TRY(parse_line(d, path, line, p, end, e));
        p = *end ? end + 1 : end;
    }
    return require_keys(d, path, e);
}

static hone_code load_text(const char *spec, vg_device *d, hone_err *e) {
    for (size_t i = 0; i < HONE_COUNT(vg_builtin_devices); i++) {
        if (strcasecmp(spec, vg_builtin_devices[i].id) != 0)
            continue;
        d->text = hone_strdup(vg_builtin_devices[i].text);
        return d->text ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    }
    if (strchr(spec, '/') || strchr(spec, '.')) {
        size_t n;
        return hone_read_file(spec, MAX_DEVICE_FILE, &d->text, &n, e);
    }
    hone_str ids;
    hone_str_init(&ids, 1024);
    for (const char *const *id = vg_device_ids(); *id; id++)
        hone_str_addf(&ids, "%s%s", ids.len ? ", " : "", *id);
    hone_fail(e, HONE_E_NO_DEVICE, 0, "unknown virtual device '%s'", spec);
    hone_hint(e, "known: %s; or give the path of a device file", ids.s);
    hone_str_free(&ids);
    return HONE_E_NO_DEVICE;
}

hone_code vg_device_load(const char *spec, vg_device *out, hone_err *e) {
    memset(out, 0, sizeof *out);
    for (int k = 0; k < VG_DEV_COUNT; k++)
        out->v[k] = NAN;
    HONE_TRY(load_text(spec, out, e));
    const char *base = hone_path_base(spec);
    for (size_t i = 0; base[i] && base[i] != '.' && i + 1 < sizeof out->id; i++)
        out->id[i] = (char)(base[i] >= 'A' && base[i] <= 'Z' ? base[i] + 32 : base[i]);
    hone_code c = parse_device(out, spec, e);
    if (c != HONE_OK)
        vg_device_free(out);
    return c;
}

void vg_device_free(vg_device *d) {
    hone_free(d->text);
    d->text = NULL;
}

// ---- absent values: what the model assumes instead. Each is a typical value of the same generation, or derived from one that is known.

bool vg_dev_has(const vg_device *d, vg_dev_key k) { return !isnan(d->v[k]); }

static double assumed(const vg_device *d, vg_dev_key k) {
    switch (k) {
    case VG_DEV_FP64_LANES: return 2;                                  // consumer parts
    case VG_DEV_INT_LANES: return vg_dev(d, VG_DEV_FP32_LANES) / 2;    // half of the FP32 lanes since sm_86, all before
    case VG_DEV_FP16_LANES: return vg_dev(d, VG_DEV_FP32_LANES);
    case VG_DEV_SFU_LANES: return 16;
    case VG_DEV_LSU_LANES: return 32;
    case VG_DEV_TENSOR_F16: return 512;
    case VG_DEV_TENSOR_TF32: return vg_dev(d, VG_DEV_TENSOR_F16) / 2;
    case VG_DEV_TENSOR_F8: return vg_dev(d, VG_DEV_TENSOR_F16) * 2;
    case VG_DEV_REGS_PER_SM: return 65536;
    case VG_DEV_SHARED_PER_BLOCK: return vg_dev(d, VG_DEV_SHARED_PER_SM) - 1024;   // 1 KB is reserved per block since sm_80
    case VG_DEV_L1_BYTES: return vg_dev(d, VG_DEV_SHARED_PER_SM) + 28 * 1024;
    case VG_DEV_L2_PARTITIONS: return 1;
    case VG_DEV_L1_LATENCY: return 35;
    case VG_DEV_SHARED_LATENCY: return 29;
    case VG_DEV_L2_LATENCY: return 270;
    case VG_DEV_DRAM_LATENCY: return 640;
    case VG_DEV_L1_BYTES_CLK: return 125;
    case VG_DEV_DRAM_GBS: return 0.9 * vg_dev(d, VG_DEV_DRAM_PEAK_GBS);
    case VG_DEV_L2_GBS: return 38e-3 * vg_dev(d, VG_DEV_SMS) * vg_dev(d, VG_DEV_BOOST_MHZ);
    case VG_DEV_LAUNCH_US: return 2.5;
    case VG_DEV_BLOCK_START_CYCLES: return 200;
    case VG_DEV_ATOM_CLK: return 1.45;              // these five: as measured on H200, in proportion to SMs × clock where they are rates
    case VG_DEV_ATOM_SLICE_CLK: return 1.02;
    case VG_DEV_ATOM_GOPS: return 0.37e-3 * vg_dev(d, VG_DEV_SMS) * vg_dev(d, VG_DEV_BOOST_MHZ);
    case VG_DEV_L2_PARTIAL_GOPS: return 0.257e-3 * vg_dev(d, VG_DEV_SMS) * vg_dev(d, VG_DEV_BOOST_MHZ);
    case VG_DEV_BLOCK_CLK: return 1.16;
    case VG_DEV_BLOCK_WARP_CLK: return 0.035;
    default: return 0;
    }
}

double vg_dev(const vg_device *d, vg_dev_key k) { return vg_dev_has(d, k) ? d->v[k] : assumed(d, k); }

// ---- occupancy

static uint32_t round_up(uint32_t x, uint32_t to) { return (x + to - 1) / to * to; }

typedef struct limit { const char *name; uint32_t blocks; } limit;

// Allocation granularities since sm_70 (CUDA occupancy data): registers by 256 per warp, warps by 4 per SM, shared memory by 128 B plus 1 KB of
// the system's per block.
void vg_occupancy_of(const vg_device *d, uint32_t threads, uint32_t registers, uint32_t shared_bytes, vg_occupancy *out) {
    uint32_t warps = (threads + 31) / 32;
    uint32_t regs_per_warp = round_up((registers ? registers : 1) * 32, 256);
    uint32_t warp_slots = (uint32_t)vg_dev(d, VG_DEV_REGS_PER_SM) / regs_per_warp / 4 * 4;
    uint32_t shared = round_up(shared_bytes, 128) + 1024;
    const limit limits[] = {
        {"warps", (uint32_t)vg_dev(d, VG_DEV_WARPS_PER_SM) / (warps ? warps : 1)},
        {"blocks", (uint32_t)vg_dev(d, VG_DEV_BLOCKS_PER_SM)},
        {"registers", warp_slots / (warps ? warps : 1)},
        {"shared", (uint32_t)vg_dev(d, VG_DEV_SHARED_PER_SM) / shared},
    };
    *out = (vg_occupancy){.blocks_per_sm = UINT32_MAX, .warps_per_block = warps};
    for (size_t i = 0; i < HONE_COUNT(limits); i++) {
        if (limits[i].blocks < out->blocks_per_sm) {
            out->blocks_per_sm = limits[i].blocks;
            out->limiter = limits[i].name;
        }
    }
    if (out->blocks_per_sm > 1 && out->limiter && !strcmp(out->limiter, "shared") && shared_bytes == 0)
        out->limiter = "blocks";
    out->occupancy = out->blocks_per_sm * warps / vg_dev(d, VG_DEV_WARPS_PER_SM);
}
