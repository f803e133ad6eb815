// search/map: a small hash table from text to number. Keys are borrowed.
#include "search/internal.h"
#include <string.h>

static struct hone_map_slot *slot_of(const hone_map *m, const char *key, uint64_t hash) {
    size_t i = (size_t)hash & (m->cap - 1);
    while (m->v[i].key && (m->v[i].hash != hash || strcmp(m->v[i].key, key) != 0))
        i = (i + 1) & (m->cap - 1);
    return &m->v[i];
}

static bool grow(hone_map *m) {
    hone_map bigger = {.cap = m->cap ? 2 * m->cap : 64, .n = m->n};
    bigger.v = hone_calloc(bigger.cap, sizeof *bigger.v);
    if (!bigger.v)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->v[i].key)
            *slot_of(&bigger, m->v[i].key, m->v[i].hash) = m->v[i];
    hone_free(m->v);
    *m = bigger;
    return true;
}

bool hone_map_put(hone_map *m, const char *key, uint64_t value) {
    if (2 * (m->n + 1) > m->cap && !grow(m))
        return false;
    uint64_t hash = hone_hash64(key, strlen(key), 0);
    struct hone_map_slot *s = slot_of(m, key, hash);
    if (!s->key) {
        *s = (struct hone_map_slot){key, hash, value};
        m->n++;
    }
    return true;
}

bool hone_map_get(const hone_map *m, const char *key, uint64_t *value) {
    if (m->cap == 0)
        return false;
    const struct hone_map_slot *s = slot_of(m, key, hone_hash64(key, strlen(key), 0));
    if (s->key)
        *value = s->value;
    return s->key != NULL;
}

void hone_map_free(hone_map *m) {
    hone_free(m->v);
    *m = (hone_map){0};
}
