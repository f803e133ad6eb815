// An archive of unknown origin: whatever bytes archive.db has, reading it is an error or gives rows, and every row's texts end where they say.
#include "store/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96];

static void clean(void) {
    unlink(path);
    rmdir(dir);
}

static int look(void *ctx, const hone_row *r) {
    unsigned *rows = ctx;
    if (!r->text || r->text[r->len] != 0)
        HONE_BUG("a text without its terminator");
    return ++*rows > 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*dir) {
        snprintf(dir, sizeof dir, "/dev/shm/hone-fuzz-XXXXXX");
        if (!mkdtemp(dir))
            return 0;
        snprintf(path, sizeof path, "%s/archive.db", dir);
        atexit(clean);
    }
    FILE *f = fopen(path, "wb");
    if (!f)
        return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    hone_store *s = NULL;
    hone_err e = {0};
    uint64_t run;
    unsigned rows = 0;
    char *best = NULL;
    if (hone_store_open(dir, true, &s, &e) != HONE_OK)
        return 0;
    if (hone_store_latest_run(s, &run, &e) == HONE_OK && hone_store_each(s, run, look, &rows, &e) == HONE_OK)
        hone_store_get(s, run, "best", &best, &e);
    hone_free(best);
    hone_store_close(s);
    return 0;
}
