// serve/mcp_paths: the only places that requests reach. A path is resolved with its links before it is compared with the root, so that neither .. nor a
// link leads out.
#include "serve/mcp_internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool inside(const char *root, const char *path) {
    size_t n = strlen(root);
    return !strcmp(root, "/") || (!strncmp(root, path, n) && (path[n] == '/' || path[n] == 0));
}

static hone_code join(const mcp *m, const char *name, char out[MCP_PATH], hone_err *e) {
    int n = name[0] == '/' ? snprintf(out, MCP_PATH, "%s", name) : snprintf(out, MCP_PATH, "%s/%s", m->root, name);
    return n < 0 || n >= MCP_PATH ? hone_fail(e, HONE_E_USAGE, ENAMETOOLONG, "a path is too long") : HONE_OK;
}

static hone_code outside(const mcp *m, const char *name, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, EACCES, "'%.300s' lies outside the folder that this server works in", name);
    return hone_hint(e, "the folder is '%.300s'; it was given as --root when the server was started", m->root);
}

hone_code mcp_path(const mcp *m, const char *name, char out[MCP_PATH], hone_err *e) {
    char joined[MCP_PATH], *real;
    HONE_TRY(join(m, name, joined, e));
    if (!(real = realpath(joined, NULL))) {
        int why = errno;
        return hone_fail(e, HONE_E_USAGE, why, "cannot find '%.300s': %s", name, strerror(why));
    }
    int n = snprintf(out, MCP_PATH, "%s", real);
    free(real);
    return n < MCP_PATH && inside(m->root, out) ? HONE_OK : outside(m, name, e);
}

hone_code mcp_new_path(const mcp *m, const char *name, char out[MCP_PATH], hone_err *e) {
    char joined[MCP_PATH], parent[MCP_PATH];
    hone_err why = {0};
    HONE_TRY(join(m, name, joined, e));
    if (access(joined, F_OK) == 0)
        return mcp_path(m, name, out, e);
    char *slash = strrchr(joined, '/');
    const char *last = slash + 1;
    if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
        return hone_fail(e, HONE_E_USAGE, 0, "'%.300s' names no file or folder", name);
    *slash = 0;
    if (mcp_path(m, *joined ? joined : "/", parent, &why) != HONE_OK)
        return why.sub == EACCES ? outside(m, name, e) : hone_fail(e, HONE_E_USAGE, why.sub, "there is no folder for '%.300s'", name);
    int n = snprintf(out, MCP_PATH, "%s/%s", parent, last);
    return n < 0 || n >= MCP_PATH ? hone_fail(e, HONE_E_USAGE, ENAMETOOLONG, "a path is too long") : HONE_OK;
}

hone_code mcp_scratch_file(mcp *m, const char *text, const char *name, char out[MCP_PATH], hone_err *e) {
    if (!m->scratch[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(m->scratch, sizeof m->scratch, "%.1000s/hone-mcp-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        if (!mkdtemp(m->scratch)) {
            int why = errno;
            m->scratch[0] = 0;
            return hone_fail(e, HONE_E_IO, why, "cannot make a folder for candidates: %s", strerror(why));
        }
    }
    snprintf(out, MCP_PATH, "%.2000s/%u-%.64s", m->scratch, ++m->n_files, name);
    return hone_write_file(out, text, strlen(text), e);
}

void mcp_scratch_remove(mcp *m) {
    DIR *d = m->scratch[0] ? opendir(m->scratch) : NULL;
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            unlinkat(dirfd(d), x->d_name, 0);
    if (d)
        closedir(d);
    if (m->scratch[0])
        rmdir(m->scratch);
}
