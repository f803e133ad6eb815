// Files: bounded reads, atomic writes, paths. Child processes are in proc.c. See io.h.
#include "base/io.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static hone_code read_all(int fd, const char *path, size_t max, hone_str *b, hone_err *e) {
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0)
            return HONE_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hone_fail(e, HONE_E_IO, errno, "cannot read '%s': %s", path, strerror(errno));
        hone_str_addn(b, chunk, (size_t)n);
        if (b->failed) {
            if (b->len + (size_t)n > max)
                return hone_fail(e, HONE_E_LIMIT, 0, "'%s' is larger than %zu bytes", path, max);
            return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", path);
        }
    }
}

hone_code hone_read_file(const char *path, size_t max_bytes, char **out, size_t *len, hone_err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        hone_fail(e, HONE_E_IO, errno, "cannot open '%s': %s", path, strerror(errno));
        return HONE_E_IO;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return hone_fail(e, HONE_E_IO, EISDIR, "cannot read '%s': it is a folder", path);
    }
    hone_str b;
    hone_str_init(&b, max_bytes);
    hone_code c = read_all(fd, path, max_bytes, &b, e);
    close(fd);
    if (c == HONE_OK) {
        size_t n = b.len;
        *out = hone_str_take(&b);
        *len = n;
        if (!*out)
            c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", path);
    }
    hone_str_free(&b);
    return c;
}

static int write_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? errno : EIO;
        data += w;
        n -= (size_t)w;
    }
    return 0;
}

hone_code hone_write_file(const char *path, const void *data, size_t n, hone_err *e) {
    hone_str tmp;
    hone_str_init(&tmp, 8192);
    hone_str_addf(&tmp, "%s.tmp-%ld", path, (long)getpid());
    hone_code c = hone_str_check(&tmp, "a temporary file's name", e);
    if (c == HONE_OK) {
        int fd = open(tmp.s, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666), err = 0;
        if (fd < 0) {
            err = errno;
        } else {
            err = write_all(fd, data, n);
            if (!err && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
                err = errno;
            if (close(fd) != 0 && !err)
                err = errno;
            if (!err && rename(tmp.s, path) != 0)
                err = errno;
            if (err)
                unlink(tmp.s);
        }
        if (err)
            c = hone_fail(e, HONE_E_IO, err, "cannot write '%s': %s", path, strerror(err));
    }
    hone_str_free(&tmp);
    return c;
}

hone_code hone_mkdirs(const char *path, hone_err *e) {
    char *p = hone_strdup(path);
    if (!p)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    int err = 0;
    for (char *s = p + 1; !err; s++) {
        if (*s != '/' && *s != '\0')
            continue;
        char keep = *s;
        *s = '\0';
        if (*p && mkdir(p, 0777) != 0 && errno != EEXIST)
            err = errno;
        *s = keep;
        if (!keep)
            break;
    }
    struct stat st;
    if (!err && (stat(p, &st) != 0 || !S_ISDIR(st.st_mode)))
        err = ENOTDIR;
    hone_free(p);
    return err ? hone_fail(e, HONE_E_IO, err, "cannot create folder '%s': %s", path, strerror(err)) : HONE_OK;
}

bool hone_is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *hone_path_join(const char *dir, const char *name) {
    size_t n = strlen(dir), m = strlen(name);
    bool slash = n && dir[n - 1] != '/';
    char *p = hone_malloc(n + m + 2);
    if (!p)
        return NULL;
    memcpy(p, dir, n);
    if (slash)
        p[n++] = '/';
    memcpy(p + n, name, m);
    return p;
}

const char *hone_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
