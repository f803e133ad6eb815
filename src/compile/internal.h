// What the files of compile/ share: the refcounted entry behind hone_compiled, and the cache's two levels.
#ifndef HONE_COMPILE_INTERNAL_H
#define HONE_COMPILE_INTERNAL_H
#include "compile/compile.h"

typedef struct hone_entry {
    hone_compiled c;                 // first: a hone_compiled * is its entry
    unsigned refs;
    size_t bytes;
    struct hone_entry *newer, *older;
    char *ptx, *text;                // owned
    void *cubin;
    char *log;                       // NVRTC's, raw: what the disk cache keeps
    char file[128];
} hone_entry;
// Makes an entry from raw results; takes ownership of ptx, cubin and log in every case.
hone_code hone_entry_make(const char *key, const char *file, bool ok, double seconds, char *ptx, size_t ptx_len, void *cubin,
                          size_t cubin_len, char *log, hone_entry **out, hone_err *e);
void hone_entry_free(hone_entry *x);

typedef struct hone_disk_cache { char dir[768]; size_t max_bytes, written; } hone_disk_cache;
void hone_disk_open(hone_disk_cache *d, const char *dir, size_t max_bytes);      // dir "" : off; failures switch it off
bool hone_disk_load(hone_disk_cache *d, const char *key, const char *file, hone_entry **out);   // false: absent or damaged (then removed)
void hone_disk_store(hone_disk_cache *d, const hone_entry *x);                    // best effort
void hone_disk_prune(hone_disk_cache *d);                                         // oldest first, to four fifths of the maximum
#endif
