// The compile cache on disk: one file per key, written to a temporary name and renamed, with a checksum instead of an fsync (a torn entry
// is found and dropped). What an entry holds is run, so the folder is its owner's alone, and a file counts only when it is a plain file of the
// same user that nobody else may write, whose SHA-256 over key and content holds; anything else is removed and compiled anew. Who may write as
// this user can still forge an entry. Bounded: when enough was written, the oldest entries go. Everything here is best effort; a cache that
// cannot be used is no error.
#include "compile/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct header {
    char magic[8];
    char check[HONE_HASH_HEX];       // SHA-256 of the key and of everything after this field
    double seconds;
    uint32_t ok, pad;
    uint64_t ptx_len, cubin_len, log_len;
} header;
static const char magic[8] = "HONECC2";
enum { MAX_ENTRY = 160 << 20 };

// A folder of this user, which nobody else may read or write from now on.
static bool own_folder(const char *dir) {
    struct stat st;
    if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return false;
    return (st.st_mode & 077) == 0 || chmod(dir, 0700) == 0;
}

void hone_disk_open(hone_disk_cache *d, const char *dir, size_t max_bytes) {
    *d = (hone_disk_cache){.max_bytes = max_bytes, .written = max_bytes / 16};   // the first store looks at what is there
    if (!*dir)
        return;
    snprintf(d->dir, sizeof d->dir, "%.700s/compile", dir);
    if (hone_mkdirs(d->dir, NULL) != HONE_OK || !own_folder(d->dir) || access(d->dir, W_OK) != 0)
        d->dir[0] = 0;
}

static void entry_path(const hone_disk_cache *d, const char *key, char out[900]) { snprintf(out, 900, "%s/%s", d->dir, key); }

static char *part(const char **at, uint64_t n) {   // NUL-terminated copy of the next n bytes
    char *b = hone_malloc(n + 1);
    if (b) {
        memcpy(b, *at, n);
        b[n] = 0;
    }
    *at += n;
    return b;
}

static void sum(const char *key, const char *data, size_t n, char out[HONE_HASH_HEX]) {
    size_t from = offsetof(header, seconds);
    hone_sha *h = hone_sha_new();
    out[0] = 0;
    if (!h)
        return;
    hone_sha_add(h, key, strlen(key) + 1);
    hone_sha_add(h, data + from, n - from);
    hone_sha_hex(h, out);
}

static bool well_formed(const char *key, const char *data, size_t n, header *h) {
    if (n < sizeof *h)
        return false;
    memcpy(h, data, sizeof *h);
    size_t left = n - sizeof *h;
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->ptx_len > left || h->cubin_len > left - h->ptx_len || h->log_len != left - h->ptx_len - h->cubin_len)
        return false;
    char check[HONE_HASH_HEX];
    sum(key, data, n, check);
    return *check && memcmp(check, h->check, sizeof check) == 0;
}

// A plain file of this user alone, whole. NULL: absent (*present false), or not to be trusted.
static char *read_own(const char *path, size_t *n, bool *present) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *present = fd >= 0 || errno != ENOENT;
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0 && st.st_nlink == 1 && st.st_size <= MAX_ENTRY;
    char *data = ok ? hone_malloc((size_t)st.st_size + 1) : NULL;
    *n = 0;
    while (data && *n < (size_t)st.st_size) {
        ssize_t r = read(fd, data + *n, (size_t)st.st_size - *n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        *n += (size_t)r;
    }
    if (fd >= 0)
        close(fd);
    return data;
}

bool hone_disk_load(hone_disk_cache *d, const char *key, const char *file, hone_entry **out) {
    if (!*d->dir)
        return false;
    char path[900], *data;
    size_t n;
    header h;
    entry_path(d, key, path);
    bool present, ok = (data = read_own(path, &n, &present)) != NULL && well_formed(key, data, n, &h);
    if (!present)
        return false;
    if (ok) {
        const char *at = data + sizeof h;
        char *ptx = part(&at, h.ptx_len), *cubin = part(&at, h.cubin_len), *log = part(&at, h.log_len);
        ok = ptx && cubin && log;
        if (ok)
            ok = hone_entry_make(key, file, h.ok, h.seconds, ptx, h.ptx_len, cubin, h.cubin_len, log, out, NULL) == HONE_OK;
        else
            hone_free(ptx), hone_free(cubin), hone_free(log);
    }
    hone_free(data);
    if (!ok)
        unlink(path);
    else
        utimensat(AT_FDCWD, path, NULL, 0);   // used now: prune takes the oldest
    return ok;
}

static bool write_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        data += w;
        n -= (size_t)w;
    }
    return true;
}

static bool write_renamed(const hone_disk_cache *d, const char *path, const char *data, size_t n) {
    char temp[900];
    snprintf(temp, sizeof temp, "%s/tmp-%ld-XXXXXX", d->dir, (long)getpid());
    int fd = mkstemp(temp);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, data, n);
    ok = close(fd) == 0 && ok && rename(temp, path) == 0;
    if (!ok)
        unlink(temp);
    return ok;
}

void hone_disk_store(hone_disk_cache *d, const hone_entry *x) {
    if (!*d->dir)
        return;
    size_t log_len = strlen(x->log), n = sizeof(header) + x->c.ptx_len + x->c.cubin_len + log_len;
    char *data = n <= MAX_ENTRY ? hone_malloc(n) : NULL;
    if (!data)
        return;
    header h = {.ok = x->c.ok, .seconds = x->c.seconds, .ptx_len = x->c.ptx_len, .cubin_len = x->c.cubin_len, .log_len = log_len};
    memcpy(h.magic, magic, sizeof magic);
    char *at = data + sizeof h;
    memcpy(at, x->ptx, x->c.ptx_len);
    memcpy(at + x->c.ptx_len, x->cubin, x->c.cubin_len);
    memcpy(at + x->c.ptx_len + x->c.cubin_len, x->log, log_len);
    memcpy(data, &h, sizeof h);
    sum(x->c.key, data, n, h.check);
    memcpy(data, &h, sizeof h);
    char path[900];
    entry_path(d, x->c.key, path);
    if (write_renamed(d, path, data, n))
        d->written += n;
    hone_free(data);
    if (d->written > d->max_bytes / 16)
        hone_disk_prune(d);
}

typedef struct aged { char name[80]; struct timespec used; size_t bytes; } aged;

static int older_first(const void *a, const void *b) {
    const struct timespec *x = &((const aged *)a)->used, *y = &((const aged *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

void hone_disk_prune(hone_disk_cache *d) {
    d->written = 0;
    DIR *dir = *d->dir ? opendir(d->dir) : NULL;
    if (!dir)
        return;
    HONE_VEC(aged) all = {0};
    size_t total = 0;
    for (struct dirent *f; (f = readdir(dir)) != NULL;) {
        struct stat st;
        aged a = {0};
        if (f->d_name[0] == '.' || strlen(f->d_name) >= sizeof a.name || fstatat(dirfd(dir), f->d_name, &st, 0) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        memcpy(a.name, f->d_name, strlen(f->d_name) + 1);
        a.used = st.st_mtim;
        a.bytes = (size_t)st.st_size;
        total += a.bytes;
        if (!hone_vec_push(&all, a))
            break;
    }
    if (total > d->max_bytes) {
        qsort(all.v, all.n, sizeof *all.v, older_first);
        for (size_t i = 0; i < all.n && total > d->max_bytes / 5 * 4; i++)
            if (unlinkat(dirfd(dir), all.v[i].name, 0) == 0)
                total -= all.v[i].bytes;
    }
    hone_vec_free(&all);
    closedir(dir);
}
