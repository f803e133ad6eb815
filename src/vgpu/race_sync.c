// race_sync: see race_sync.h. Two hash tables (address → object, object and block → latest release) and a depth-first search.
#include "vgpu/race_sync.h"
#include <string.h>

typedef struct object { uint64_t address; uint32_t n, stamp, visited; HONE_VEC(uint32_t) informed; } object;   // informed: releases with knowledge
typedef struct slot { uint64_t key; uint32_t value; } slot;             // value + 1; 0: free
typedef struct table { slot *v; size_t cap, n; } table;
typedef struct visit { const vg_knowledge *k; uint32_t n; const vg_clocks *now; } visit;

struct vg_sync {
    table by_address, by_block;
    HONE_VEC(object) objects;
    HONE_VEC(vg_release *) releases;
    HONE_VEC(vg_knowledge *) known;
    HONE_VEC(visit) stack;
    uint32_t stamp;
};

static uint64_t mix(uint64_t x) {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static uint32_t *find(const table *t, uint64_t key) {
    if (!t->cap)
        return NULL;
    for (size_t i = mix(key) & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        if (!t->v[i].value)
            return NULL;
        if (t->v[i].key == key)
            return &t->v[i].value;
    }
}

static void put(table *t, uint64_t key, uint32_t value);
static bool grow(table *t) {
    table bigger = {.cap = t->cap ? 2 * t->cap : 64};
    bigger.v = hone_calloc(bigger.cap, sizeof *bigger.v);
    if (!bigger.v)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->v[i].value)
            put(&bigger, t->v[i].key, t->v[i].value - 1);
    hone_free(t->v);
    *t = bigger;
    return true;
}

static void put(table *t, uint64_t key, uint32_t value) {
    uint32_t *at = find(t, key);
    if (at) {
        *at = value + 1;
        return;
    }
    if (2 * (t->n + 1) > t->cap && !grow(t))
        return;   // without memory the object is not known: an alarm too many at worst
    size_t i = mix(key) & (t->cap - 1);
    while (t->v[i].value)
        i = (i + 1) & (t->cap - 1);
    t->v[i] = (slot){key, value + 1};
    t->n++;
}

vg_sync *vg_sync_new(void) { return hone_calloc(1, sizeof(vg_sync)); }

void vg_sync_clear(vg_sync *s) {
    if (!s->objects.n)
        return;
    for (size_t i = 0; i < s->objects.n; i++)
        hone_vec_free(&s->objects.v[i].informed);
    for (size_t i = 0; i < s->releases.n; i++)
        hone_free(s->releases.v[i]);
    for (size_t i = 0; i < s->known.n; i++) {
        hone_vec_free(&s->known.v[i]->items);
        hone_free(s->known.v[i]);
    }
    s->objects.n = s->releases.n = s->known.n = 0;
    table *const all[] = {&s->by_address, &s->by_block};
    for (size_t i = 0; i < HONE_COUNT(all); i++) {
        if (all[i]->cap)
            memset(all[i]->v, 0, all[i]->cap * sizeof(slot));
        all[i]->n = 0;
    }
}

void vg_sync_free(vg_sync *s) {
    if (!s)
        return;
    vg_sync_clear(s);
    hone_vec_free(&s->objects);
    hone_vec_free(&s->releases);
    hone_vec_free(&s->known);
    hone_vec_free(&s->stack);
    hone_free(s->by_address.v);
    hone_free(s->by_block.v);
    hone_free(s);
}

uint32_t vg_sync_object(vg_sync *s, uint64_t address, bool make) {
    const uint32_t *at = find(&s->by_address, address);
    if (at)
        return *at - 1;
    if (!make || !hone_vec_push(&s->objects, ((object){.address = address})))
        return UINT32_MAX;
    put(&s->by_address, address, (uint32_t)s->objects.n - 1);
    return (uint32_t)s->objects.n - 1;
}

uint32_t vg_sync_releases(const vg_sync *s, uint32_t i) { return i < s->objects.n ? s->objects.v[i].n : 0; }

static uint64_t pair(uint32_t o, uint32_t block) { return (uint64_t)o << 32 | block; }

static bool adds_nothing(const vg_release *old, const vg_release *r) {
    if (old->warp != r->warp || old->epoch != r->epoch || old->knowledge != r->knowledge || old->n_known != r->n_known)
        return false;
    for (unsigned i = 0; i < VG_RACE_WARPS; i++)
        if (r->device.v[i] > old->device.v[i] || r->local.v[i] > old->local.v[i])
            return false;
    return true;
}

void vg_sync_release(vg_sync *s, const vg_release *r) {
    if (r->object >= s->objects.n)
        return;
    object *o = &s->objects.v[r->object];
    const uint32_t *before = find(&s->by_block, pair(r->object, r->block));
    const vg_release *old = before ? s->releases.v[*before - 1] : NULL;
    if (old && adds_nothing(old, r))
        return;
    vg_release *x = hone_malloc(sizeof *x);
    if (!x || !hone_vec_push(&s->releases, x)) {
        hone_free(x);
        return;
    }
    *x = *r;
    x->at = o->n++;
    x->before = before ? *before : 0;
    if (old) {                                 // of one block the later release says what the earlier ones said
        vg_clocks_join(&x->device, &old->device);
        vg_clocks_join(&x->local, &old->local);
    }
    const uint32_t index = (uint32_t)s->releases.n - 1;
    put(&s->by_block, pair(r->object, r->block), index);
    if (r->knowledge && r->n_known)
        (void)!hone_vec_push(&o->informed, index);
}

const vg_release *vg_sync_latest(const vg_sync *s, uint32_t o, uint32_t n, uint32_t block) {
    const uint32_t *at = find(&s->by_block, pair(o, block));
    for (uint32_t i = at ? *at : 0; i;) {
        const vg_release *r = s->releases.v[i - 1];
        if (r->at < n)
            return r;
        i = r->before;
    }
    return NULL;
}

vg_knowledge *vg_sync_knowledge(vg_sync *s) {
    vg_knowledge *k = hone_calloc(1, sizeof *k);
    if (k && !hone_vec_push(&s->known, k)) {
        hone_free(k);
        return NULL;
    }
    return k;
}

// Looks at the first n releases of an object; pushes what their blocks knew.
static bool look(vg_sync *s, const vg_acquired *a, uint32_t block, uint32_t warp, uint32_t clock) {
    object *o = &s->objects.v[a->object];
    if (o->stamp == s->stamp && o->visited >= a->n)
        return false;
    const uint32_t from = o->stamp == s->stamp ? o->visited : 0;
    o->stamp = s->stamp;
    o->visited = a->n;
    const vg_release *r = vg_sync_latest(s, a->object, a->n, block);
    if (r && r->device.v[warp] >= clock)
        return true;
    for (size_t i = o->informed.n; i-- > 0;) {
        const vg_release *x = s->releases.v[o->informed.v[i]];
        if (x->at < from)
            break;
        if (x->at < a->n)
            (void)!hone_vec_push(&s->stack, ((visit){x->knowledge, x->n_known, &x->device}));
    }
    return false;
}

bool vg_sync_knows(vg_sync *s, const vg_knowledge *k, const vg_clocks *now, uint32_t block, uint32_t warp, uint32_t clock) {
    if (!k || !k->items.n)
        return false;
    s->stamp++;
    s->stack.n = 0;
    (void)!hone_vec_push(&s->stack, ((visit){k, (uint32_t)k->items.n, now}));
    while (s->stack.n) {
        const visit v = s->stack.v[--s->stack.n];
        for (uint32_t i = v.n; i-- > 0;) {
            const vg_acquired *a = &v.k->items.v[i];
            if (a->clock <= v.now->v[a->warp] && look(s, a, block, warp, clock))
                return true;
        }
    }
    return false;
}
