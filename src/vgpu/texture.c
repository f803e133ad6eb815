// Reading textures, after the CUDA programming guide's appendix on texture fetching: addressing, filtering, read modes, cube maps, levels.
//
//   point     T[floor(x)]
//   linear    (1-a) T[i] + a T[i+1] with i = floor(x - 0.5), a = frac(x - 0.5) rounded to a multiple of 1/256; likewise per dimension
//   levels    the nearest one, or two blended with a weight cut to a multiple of 1/256 (as an H100 does)
//   gradients an estimate of the longer axis of the ellipse that they span, which is not documented: fitted to an H100 (docs/exactness.md)
// The sums themselves are binary32 here; the precision of the hardware's is not documented.
#include "vgpu/texture.h"
#include "vgpu/fp.h"
#include <math.h>
#include <string.h>

typedef struct source { const vg_memory *m; const vg_alloc *a; const vg_texture *t; const vg_image *im; bool unwritten; } source;
typedef struct texel4 { float f[4]; uint32_t bits[4]; } texel4;

bool vg_texture_fits(const vg_texture *t, vg_tex_shape shape) {
    const vg_image *im = &t->level[0];
    switch (shape) {
    case VG_TEX_1D: return !im->height && !im->layers;
    case VG_TEX_2D: return im->height && !im->depth && !im->layers;
    case VG_TEX_3D: return im->depth != 0;
    case VG_TEX_A1D: return !im->height && im->layers;
    case VG_TEX_A2D: return im->height && im->layers && !im->cube;
    case VG_TEX_CUBE: return im->cube && im->layers == 6;
    case VG_TEX_ACUBE: return im->cube;
    }
    return false;
}

// ---- one texel

static float read_component(const vg_texture *t, vg_texel k, const uint8_t *p, uint32_t *bits) {
    uint32_t w = 0;
    uint16_t h = 0;
    switch (k) {
    case VG_TEXEL_U8: *bits = *p; return (float)*p / 255.0f;
    case VG_TEXEL_S8: *bits = (uint32_t)(int32_t)(int8_t)*p; return fmaxf((float)(int8_t)*p / 127.0f, -1.0f);
    case VG_TEXEL_U16: memcpy(&h, p, 2); *bits = h; return (float)h / 65535.0f;
    case VG_TEXEL_S16: memcpy(&h, p, 2); *bits = (uint32_t)(int32_t)(int16_t)h; return fmaxf((float)(int16_t)h / 32767.0f, -1.0f);
    case VG_TEXEL_F16: memcpy(&h, p, 2); *bits = vg_bits_f32(fp_f32_of_f16(h)); return fp_f32_of_f16(h);
    default: memcpy(&w, p, 4); *bits = w; return vg_f32_of(w);
    }
    (void)t;
}

static texel4 border(const vg_texture *t) {
    texel4 v = {0};
    for (int i = 0; i < 4; i++) {
        v.f[i] = t->border[i];
        v.bits[i] = t->as_integer ? (uint32_t)(int32_t)t->border[i] : vg_bits_f32(t->border[i]);
    }
    return v;
}

// An index into a dimension of n texels; -1: the border.
static int64_t wrap_index(vg_address_mode mode, int64_t i, int64_t n) {
    int64_t period = mode == VG_MIRROR ? 2 * n : n;
    if (i >= 0 && i < n)
        return i;
    if (mode == VG_BORDER)
        return -1;
    if (mode == VG_CLAMP)
        return i < 0 ? 0 : n - 1;
    i = ((i % period) + period) % period;
    return i < n ? i : period - 1 - i;
}

static texel4 texel_at(source *s, const int64_t i[3], int64_t slice) {
    const vg_image *im = s->im;
    int64_t size[3] = {(int64_t)im->width, im->height ? (int64_t)im->height : 1, im->depth ? (int64_t)im->depth : 1}, at[3];
    for (int d = 0; d < 3; d++) {
        at[d] = s->t->linear_memory && (i[d] < 0 || i[d] >= size[d]) ? -1 : wrap_index(s->t->address[d], i[d], size[d]);
        if (at[d] < 0)
            return s->t->linear_memory ? (texel4){0} : border(s->t);
    }
    size_t offset = (size_t)(im->base - s->a->base) + (size_t)((slice + at[2]) * size[1] + at[1]) * im->pitch + (size_t)at[0] * im->element;
    texel4 v = {0};
    if (offset > s->a->bytes || im->element > s->a->bytes - offset)
        return v;
    if (!vg_init_all(s->a, offset, im->element))
        s->unwritten = true;
    for (unsigned c = 0; c < im->channels; c++)
        v.f[c] = read_component(s->t, im->texel, s->a->host + offset + c * (im->element / im->channels), &v.bits[c]);
    return v;
}

// ---- filtering

static float weight(float fraction) { return rintf(fraction * 256.0f) / 256.0f; }

static int64_t to_index(float x) { return x < -9e15f || x != x ? INT64_MIN / 4 : x > 9e15f ? INT64_MAX / 4 : (int64_t)floorf(x); }

static texel4 filter(source *s, unsigned dims, const float x[3], int64_t slice) {
    texel4 sum = {0};
    int64_t first[3] = {0};
    float a[3] = {0};
    for (unsigned d = 0; d < dims; d++) {
        first[d] = to_index(x[d] - 0.5f);
        a[d] = weight(x[d] - 0.5f - floorf(x[d] - 0.5f));
    }
    for (unsigned corner = 0; corner < 1u << dims; corner++) {
        int64_t i[3] = {0};
        float w = 1;
        for (unsigned d = 0; d < dims; d++) {
            bool far = corner >> d & 1;
            i[d] = first[d] + far;
            w *= far ? a[d] : 1 - a[d];
        }
        if (w == 0)
            continue;   // not read, so that an infinity there does not become a NaN
        texel4 v = texel_at(s, i, slice);
        for (int c = 0; c < 4; c++)
            sum.f[c] += w * v.f[c];
    }
    return sum;
}

// The coordinates of a direction seen from a face of a cube: m towards it, s and t across (table of the programming guide, "cubemap textures").
static void seen_from(unsigned face, const float v[3], float *m, float *s, float *t) {
    static const struct { int8_t m, s, t; } axis[6] = {{1, -3, -2}, {-1, 3, -2}, {2, 1, 3}, {-2, 1, -3}, {3, 1, -2}, {-3, -1, -2}};   // ± number of the component
    const int8_t pick[3] = {axis[face].m, axis[face].s, axis[face].t};
    float *const to[3] = {m, s, t};
    for (int i = 0; i < 3; i++)
        *to[i] = pick[i] > 0 ? v[pick[i] - 1] : -v[-pick[i] - 1];
}

// Which face a direction meets, and where on it in [0, 1].
static unsigned cube_face(const float v[3], float st[2]) {
    const float ax = fabsf(v[0]), ay = fabsf(v[1]), az = fabsf(v[2]);
    const unsigned axis = ax >= ay && ax >= az ? 0 : ay >= az ? 1 : 2, face = 2 * axis + (v[axis] >= 0 ? 0 : 1);
    float m, s, t;
    seen_from(face, v, &m, &s, &t);
    st[0] = (s / m + 1) / 2;
    st[1] = (t / m + 1) / 2;
    return face;
}

static bool is_cube(vg_tex_shape s) { return s == VG_TEX_CUBE || s == VG_TEX_ACUBE; }
static unsigned dims_of(vg_tex_shape s) {
    static const uint8_t dims[] = {[VG_TEX_1D] = 1, [VG_TEX_2D] = 2, [VG_TEX_3D] = 3, [VG_TEX_A1D] = 1, [VG_TEX_A2D] = 2, [VG_TEX_CUBE] = 2, [VG_TEX_ACUBE] = 2};
    return dims[s];
}

// Coordinates in texels of the level, and the slice.
static int64_t locate(const source *s, const vg_fetch *f, float x[3]) {
    const vg_image *im = s->im;
    const bool cube = is_cube(f->shape);
    const float size[3] = {(float)im->width, (float)im->height, (float)im->depth};
    int64_t slice = 0;
    memcpy(x, f->at, sizeof f->at);
    if (im->layers && !cube)
        slice = f->layer < im->layers ? (int64_t)f->layer : (int64_t)im->layers - 1;
    if (cube) {
        unsigned face = cube_face(f->at, x);
        size_t cubes = im->layers / 6;
        slice = (int64_t)((f->layer < cubes ? f->layer : cubes - 1) * 6 + face);
    }
    for (unsigned d = 0; d < dims_of(f->shape) && (s->t->normalized || cube); d++)
        x[d] *= size[d];
    return slice;
}

static texel4 sample_level(source *s, const vg_fetch *f) {
    const unsigned dims = dims_of(f->shape);
    int64_t i[3] = {f->index[0], dims > 1 ? f->index[1] : 0, dims > 2 ? f->index[2] : 0};
    float x[3];
    const int64_t slice = locate(s, f, x);
    if (!f->integer && s->t->linear && !s->t->as_integer)
        return filter(s, dims, x, slice);
    for (unsigned d = 0; d < dims && !f->integer; d++)
        i[d] = to_index(x[d]);
    return texel_at(s, i, slice);
}

// ---- levels

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

// A derivative as a step in texels of level 0.
static void step_of(const vg_texture *t, const vg_fetch *f, const float d[3], double step[3]) {
    const vg_image *im = &t->level[0];
    const float size[3] = {(float)im->width, (float)im->height, (float)im->depth};
    float m, s, u, dm, ds, du;
    if (is_cube(f->shape)) {   // of s/m and t/m, each of which spans 2 on a face
        float unused[2];
        const unsigned face = cube_face(f->at, unused);
        seen_from(face, f->at, &m, &s, &u);
        seen_from(face, d, &dm, &ds, &du);
        step[0] = (double)((ds * m - s * dm) / (m * m) / 2 * size[0]);
        step[1] = (double)((du * m - u * dm) / (m * m) / 2 * size[1]);
        return;
    }
    for (unsigned i = 0; i < dims_of(f->shape); i++)
        step[i] = (double)(t->normalized ? d[i] * size[i] : d[i]);
}

// The next number of 9 significant bits.
static double rounded_up(double x) {
    int e;
    const double m = frexp(x, &e);
    return ldexp(ceil(m * 512) / 512, e);
}

// Instead of a root: the greater of two and 5/16 of the other one.
static double longer(double a, double b) { return rounded_up(a > b ? a + b * 5 / 16 : b + a * 5 / 16); }
static double length(const double v[3]) { return longer(longer(v[0], v[1]), v[2]); }   // of three as seen: no instruction; the third is a guess

// Half the longer axis of the ellipse into which a pixel's circle goes: the longest of both steps and of 11/16 (about half a root of two) of their sum and difference.
static float footprint(const vg_texture *t, const vg_fetch *f) {
    double x[3] = {0}, y[3] = {0}, sum[3], difference[3];
    step_of(t, f, f->dx, x);
    step_of(t, f, f->dy, y);
    for (unsigned i = 0; i < 3; i++) {
        sum[i] = rounded_up(fabs(x[i] + y[i]));
        difference[i] = rounded_up(fabs(x[i] - y[i]));
        x[i] = fabs(x[i]);
        y[i] = fabs(y[i]);
    }
    return (float)rounded_up(fmax(fmax(length(x), length(y)), fmax(length(sum), length(difference)) * 11 / 16));
}

static float level_of(const vg_texture *t, const vg_fetch *f) {
    if (t->n_levels <= 1)
        return 0;
    float level = f->level;
    if (f->has_grad)
        level = log2f(footprint(t, f));   // -inf for no step at all: the first level
    return clamp(clamp(level + t->mip_bias, t->mip_min, t->mip_max), 0, (float)(t->n_levels - 1));
}

vg_fetch_result vg_texture_fetch(const vg_memory *m, const vg_texture *t, const vg_fetch *f, uint32_t out[4]) {
    const float level = level_of(t, f);
    unsigned low = (unsigned)(t->mip_linear ? floorf(level) : floorf(level + 0.5f));
    float blend = t->mip_linear ? floorf((level - floorf(level)) * 256) / 256 : 0;
    texel4 v[2];
    source s = {.m = m, .t = t};
    low = low < t->n_levels ? low : t->n_levels - 1;
    for (unsigned k = 0; k < (blend > 0 ? 2u : 1u); k++) {
        s.im = &t->level[low + k < t->n_levels ? low + k : low];
        s.a = vg_memory_find(m, s.im->base, 1);
        if (!s.a)
            return VG_FETCH_FREED;
        v[k] = sample_level(&s, f);
    }
    for (int c = 0; c < 4; c++)
        out[c] = t->as_integer ? v[0].bits[c] : vg_bits_f32(blend > 0 ? (1 - blend) * v[0].f[c] + blend * v[1].f[c] : v[0].f[c]);
    return s.unwritten ? VG_FETCH_UNWRITTEN : VG_FETCHED;
}

vg_fetch_result vg_texture_gather(const vg_memory *m, const vg_texture *t, const vg_fetch *f, unsigned component, uint32_t out[4]) {
    static const uint8_t order[4][2] = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
    source s = {.m = m, .t = t, .im = &t->level[0]};
    float x[3];
    if (!(s.a = vg_memory_find(m, s.im->base, 1)))
        return VG_FETCH_FREED;
    const int64_t slice = locate(&s, f, x);
    for (unsigned k = 0; k < 4; k++) {   // the first texel's place is rounded like a weight: programming guide, "texture gather"
        const int64_t i[3] = {to_index(rintf((x[0] - 0.5f) * 256) / 256) + order[k][0], to_index(rintf((x[1] - 0.5f) * 256) / 256) + order[k][1], 0};
        const texel4 v = texel_at(&s, i, slice);
        out[k] = t->as_integer ? v.bits[component] : vg_bits_f32(v.f[component]);
    }
    return s.unwritten ? VG_FETCH_UNWRITTEN : VG_FETCHED;
}

// ---- surfaces

bool vg_surface_address(const vg_image *im, vg_tex_shape shape, int32_t x, int32_t y, int32_t z, unsigned bytes, bool clamp_in, uint64_t *address) {
    int64_t row = (int64_t)(im->width * im->element), rows = im->height ? (int64_t)im->height : 1;
    int64_t slices = im->layers ? (int64_t)im->layers : im->depth ? (int64_t)im->depth : 1, px = x, py = y, pz = z;
    if (shape == VG_TEX_1D || shape == VG_TEX_A1D)
        py = 0;
    if (shape == VG_TEX_1D || shape == VG_TEX_2D)
        pz = 0;
    if (clamp_in) {
        px = px < 0 ? 0 : px > row - (int64_t)bytes ? row - (int64_t)bytes : px;
        py = py < 0 ? 0 : py >= rows ? rows - 1 : py;
        pz = pz < 0 ? 0 : pz >= slices ? slices - 1 : pz;
    }
    if (px < 0 || px > row - (int64_t)bytes || py < 0 || py >= rows || pz < 0 || pz >= slices)
        return false;
    *address = im->base + (uint64_t)(pz * rows + py) * im->pitch + (uint64_t)px;
    return true;
}
