// intrinsics: functions that device code calls and the device itself provides: vprintf (device printf), __assertfail, malloc and free. Formats are
// read from device memory and checked piece by piece: a format never reaches the host's printf with arguments it did not ask for.
#include "vgpu/run.h"
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 4096, FORMAT_MAX = 1024 };

static uint64_t arg_u64(vg_warp *w, const vg_call *c, unsigned i, unsigned lane) {
    const vg_wx *x = vg_wx_of(w);
    const vg_frame *f = x->split[x->cur].frame;
    uint32_t lo = 0, hi = 0;
    memcpy(&lo, vg_param_byte(w, f, c->args[i], lane), 4);
    if (c->arg_bytes[i] > 4)
        memcpy(&hi, vg_param_byte(w, f, c->args[i] + 4, lane), 4);
    return (uint64_t)hi << 32 | lo;
}

static void read_text(vg_warp *w, unsigned lane, uint64_t at, char *out, size_t max) {
    size_t n = 0;
    while (n + 1 < max && at && vg_generic_read(w, lane, at + n, &out[n], 1) && out[n])
        n++;
    out[n] = '\0';
}

typedef struct format_state { vg_warp *w; unsigned lane; uint64_t args; size_t at; hone_str *out; unsigned n; } format_state;

static bool next_arg(format_state *s, size_t bytes, void *value) {
    s->at = (s->at + bytes - 1) / bytes * bytes;
    if (!vg_generic_read(s->w, s->lane, s->args + s->at, value, bytes))
        return false;
    s->at += bytes;
    s->n++;
    return true;
}

// One conversion. spec: "%-08.3" without length and conversion; wide: l, ll, z, j, t.
static bool convert(format_state *s, const char *spec, bool wide, char conversion) {
    char f[48];
    if (strchr("fFeEgGaA", conversion)) {
        double d;
        snprintf(f, sizeof f, "%s%c", spec, conversion);
        if (!next_arg(s, 8, &d))
            return false;
        hone_str_addf(s->out, f, d);
    } else if (strchr("di", conversion)) {
        int64_t v = 0;
        int32_t v32 = 0;
        if (!(wide ? next_arg(s, 8, &v) : next_arg(s, 4, &v32)))
            return false;
        snprintf(f, sizeof f, "%slld", spec);
        hone_str_addf(s->out, f, (long long)(wide ? v : v32));
    } else if (strchr("uxXoc", conversion)) {
        uint64_t v = 0;
        if (!next_arg(s, wide ? 8 : 4, &v))
            return false;
        snprintf(f, sizeof f, conversion == 'c' ? "%sc" : "%sll%c", spec, conversion);
        if (conversion == 'c')
            hone_str_addf(s->out, f, (int)(v & 0xff));
        else
            hone_str_addf(s->out, f, (unsigned long long)v);
    } else if (conversion == 'p') {
        uint64_t v = 0;
        if (!next_arg(s, 8, &v))
            return false;
        hone_str_addf(s->out, "0x%llx", (unsigned long long)v);
    } else if (conversion == 's') {
        uint64_t v = 0;
        char text[FORMAT_MAX];
        if (!next_arg(s, 8, &v))
            return false;
        read_text(s->w, s->lane, v, text, sizeof text);
        snprintf(f, sizeof f, "%ss", spec);
        hone_str_addf(s->out, f, text);
    } else {
        return false;
    }
    return true;
}

static const char *one_spec(format_state *s, const char *p) {
    char spec[32] = "%";
    size_t n = 1;
    bool wide = false;
    for (p++; *p && strchr("-+ #0123456789.*", *p); p++) {
        if (*p == '*') {
            int32_t v = 0;
            if (!next_arg(s, 4, &v))
                return p;
            n += (size_t)snprintf(spec + n, sizeof spec - n, "%d", v % 1000);
        } else if (n + 8 < sizeof spec) {
            spec[n++] = *p;
        }
        spec[n] = '\0';
    }
    for (; *p && strchr("hlLzjt", *p); p++)
        wide |= *p != 'h' && *p != 'L';
    if (*p && !convert(s, spec, wide, *p))
        hone_str_add(s->out, "(?)");
    return *p ? p + 1 : p;
}

static unsigned print_lane(vg_warp *w, unsigned lane, uint64_t format, uint64_t args) {
    char text[FORMAT_MAX];
    read_text(w, lane, format, text, sizeof text);
    hone_str out;
    hone_str_init(&out, TEXT_MAX);
    format_state s = {.w = w, .lane = lane, .args = args, .out = &out};
    for (const char *p = text; *p;) {
        if (*p != '%') {
            hone_str_addc(&out, *p++);
        } else if (p[1] == '%') {
            hone_str_addc(&out, '%');
            p += 2;
        } else {
            p = one_spec(&s, p);
        }
    }
    vg_print(w->block->launch, out.s, out.len);
    hone_str_free(&out);
    return s.n;
}

static void do_print(vg_warp *w, const vg_call *c, uint32_t mask) {
    const vg_wx *x = vg_wx_of(w);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint32_t n = print_lane(w, l, arg_u64(w, c, 0, l), arg_u64(w, c, 1, l));
        if (c->n_rets)
            memcpy(vg_param_byte(w, x->split[x->cur].frame, c->rets[0], l), &n, 4);
    }
}

static void do_assert(vg_warp *w, const vg_inst *in, const vg_call *c, uint32_t mask) {
    const unsigned l = (unsigned)__builtin_ctz(mask);
    char what[FORMAT_MAX / 4], file[FORMAT_MAX / 4], function[FORMAT_MAX / 4];
    read_text(w, l, arg_u64(w, c, 0, l), what, sizeof what);
    read_text(w, l, arg_u64(w, c, 1, l), file, sizeof file);
    read_text(w, l, arg_u64(w, c, 3, l), function, sizeof function);
    vg_report(w, in, l, "kernel.assert", 0, 0, false, "assertion '%.160s' failed at %.80s:%u in %.60s", what, file, (unsigned)arg_u64(w, c, 2, l), function);
    vg_fault(w, VG_CU_ASSERT);
}

static void do_heap(vg_warp *w, const vg_inst *in, const vg_call *c, uint32_t mask) {
    const vg_wx *x = vg_wx_of(w);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const uint64_t value = arg_u64(w, c, 0, l);
        if (c->kind == VG_CALL_FREE) {
            vg_heap_free(w, in, l, value);
            continue;
        }
        const uint64_t address = vg_heap_alloc(w, in, l, value);
        const uint32_t half[2] = {(uint32_t)address, (uint32_t)(address >> 32)};
        memcpy(vg_param_byte(w, x->split[x->cur].frame, c->rets[0], l), &half[0], 4);
        memcpy(vg_param_byte(w, x->split[x->cur].frame, c->rets[0] + 4, l), &half[1], 4);
    }
}

void vg_intrinsic_call(vg_warp *w, const vg_inst *in, const vg_call *c, uint32_t mask) {
    if (c->kind == VG_CALL_VPRINTF && c->n_args >= 2)
        do_print(w, c, mask);
    else if (c->kind == VG_CALL_ASSERT && c->n_args >= 4)
        do_assert(w, in, c, mask);
    else if (c->kind == VG_CALL_MALLOC || c->kind == VG_CALL_FREE)
        do_heap(w, in, c, mask);
}
