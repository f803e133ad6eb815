// hone apply: the best kernel back over the file it came from. The original is kept beside it, and a file that changed since the run started is left
// alone: what was verified was verified against the old text.
#include "cli/approval.h"
#include "cli/archive.h"
#include <errno.h>
#include <string.h>

enum { MAX_TASK_BYTES = 4 << 20, MAX_BACKUPS = 100 };

typedef struct applying { json_t *result; char *best, *original; size_t best_len, original_len; char backup[4096]; } applying;

static void applying_free(applying *x) {
    json_decref(x->result);
    hone_free(x->best);
    hone_free(x->original);
}

static hone_code read_best(const char *dir, applying *x, hone_err *e) {
    char *path = hone_path_join(dir, "best.cu");
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = HONE_OK;
    if (hone_is_file(path)) {
        c = hone_read_file(path, MAX_TASK_BYTES, &x->best, &x->best_len, e);
    } else {
        c = hone_fail(e, HONE_E_USAGE, 0, "'%s' has no best.cu: nothing better than the baseline was found", dir);
        hone_hint(e, "run 'hone optimize' with a larger budget");
    }
    hone_free(path);
    return c;
}

static hone_code check_original(const cli_options *o, const applying *x, hone_err *e) {
    char sha[HONE_HASH_HEX], best[HONE_HASH_HEX];
    const char *want = json_string_value(json_object_get(json_object_get(x->result, "task"), "hash"));
    hone_sha256_hex(x->original, x->original_len, sha);
    hone_sha256_hex(x->best, x->best_len, best);
    if (want && !strcmp(sha, want))
        return HONE_OK;
    if (!strcmp(sha, best))
        return hone_fail(e, HONE_E_USAGE, 0, "'%s' is the best kernel of '%s' already", o->args[1], o->args[0]);
    hone_fail(e, HONE_E_USAGE, 0, "'%s' is not the text that the run in '%s' started from: it changed, or it is another file", o->args[1], o->args[0]);
    return hone_hint(e, "run 'hone optimize %s' again; what was verified was the old text", o->args[1]);
}

// FILE.cu.orig, or the first FILE.cu.orig.N that is free: no backup is ever overwritten.
static hone_code name_backup(const char *path, applying *x, hone_err *e) {
    for (int i = 1; i <= MAX_BACKUPS; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof number, ".%d", i);
        int n = snprintf(x->backup, sizeof x->backup, "%s.orig%s", path, number);
        if (n < 0 || (size_t)n >= sizeof x->backup)
            return hone_fail(e, HONE_E_LIMIT, ENAMETOOLONG, "the name of '%s' is too long", path);
        if (!hone_is_file(x->backup))
            return HONE_OK;
    }
    return hone_fail(e, HONE_E_USAGE, EEXIST, "there are %d backups of '%s' already", MAX_BACKUPS, path);
}

static hone_code apply(const cli_options *o, applying *x, hone_err *e) {
    HONE_TRY(cli_read_result(o->args[0], &x->result, e));
    HONE_TRY(read_best(o->args[0], x, e));
    HONE_TRY(hone_read_file(o->args[1], MAX_TASK_BYTES, &x->original, &x->original_len, e));
    HONE_TRY(check_original(o, x, e));
    HONE_TRY(cli_need_approval(o, o->args[0], x->best, x->best_len, x->result, e));
    HONE_TRY(name_backup(o->args[1], x, e));
    HONE_TRY(hone_write_file(x->backup, x->original, x->original_len, e));
    return hone_write_file(o->args[1], x->best, x->best_len, e);
}

int cmd_apply(const cli_options *o) {
    hone_err e = {0};
    applying x = {0};
    if (o->n_args != 2) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone apply' needs a result folder and the task file to write");
        hone_hint(&e, "hone apply matmul.hone matmul.cu");
        return cli_error(o, &e);
    }
    hone_code c = apply(o, &x, &e);
    if (c == HONE_OK && o->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "schema", "hone.apply/1", "folder", o->args[0], "path", o->args[1], "backup", x.backup));
    else if (c == HONE_OK)
        printf("%s\n%s (as it was)\n", o->args[1], x.backup);
    applying_free(&x);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
