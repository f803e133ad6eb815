// hone export: the best kernel of a result folder with loaders for C, Python and PyTorch. Everything comes from the folder; nothing is run. A person has
// to have approved that very text (approval.h). `hone export rollouts` is in rollouts.c.
#include "cli/archive.h"
#include "cli/approval.h"
#include "cli/rollouts.h"
#include "export/export.h"
#include <string.h>

enum { MAX_BINARY_BYTES = 256 << 20, MAX_TEXT_BYTES = 16 << 20 };

typedef struct export_job {
    hone_task *task;
    json_t *result;
    char *ptx, *cubin;
    size_t ptx_len, cubin_len;
} export_job;

static void job_free(export_job *x) {
    hone_task_free(x->task);
    json_decref(x->result);
    hone_free(x->ptx);
    hone_free(x->cubin);
}

static hone_code no_best(const char *dir, hone_err *e) {
    hone_fail(e, HONE_E_USAGE, 0, "'%s' has no best.cu: nothing better than the baseline was found", dir);
    return hone_hint(e, "run 'hone optimize' with a larger budget; 'hone log %s' lists what was tried", dir);
}

// A file of the folder; *out stays NULL when it is optional and absent.
static hone_code read_part(const char *dir, const char *name, size_t max, char **out, size_t *len, hone_err *e) {
    char *path = hone_path_join(dir, name);
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = hone_is_file(path) ? hone_read_file(path, max, out, len, e) : HONE_OK;
    hone_free(path);
    return c;
}

static hone_code load(const char *dir, export_job *x, hone_err *e) {
    HONE_TRY(cli_read_result(dir, &x->result, e));
    char *path = hone_path_join(dir, "best.cu");
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    hone_code c = hone_is_file(path) ? cli_load_task(path, &x->task, e) : no_best(dir, e);
    hone_free(path);
    HONE_TRY(c);
    HONE_TRY(read_part(dir, "best.ptx", MAX_TEXT_BYTES, &x->ptx, &x->ptx_len, e));
    return read_part(dir, "best.cubin", MAX_BINARY_BYTES, &x->cubin, &x->cubin_len, e);
}

static void print_done(const cli_options *o, const json_t *files) {
    size_t i;
    json_t *f;
    if (o->json) {
        cli_print_json(json_pack("{s:s, s:s, s:O}", "schema", "hone.export/1", "folder", o->args[1], "files", files));
        return;
    }
    json_array_foreach(files, i, f) printf("%s/%s\n", o->args[1], json_string_value(f));
}

int cmd_export(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args > 1 && !strcmp(o->args[0], "rollouts"))
        return cli_export_rollouts(o);
    if (o->n_args != 2 || o->out || o->format) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone export' needs a result folder and the folder to write");
        hone_hint(&e, "hone export matmul.hone out/");
        return cli_error(o, &e);
    }
    export_job x = {0};
    json_t *files = NULL;
    hone_code c = load(o->args[0], &x, &e);
    if (c == HONE_OK)
        c = cli_need_approval(o, o->args[0], x.task->text, x.task->len, x.result, &e);
    if (c == HONE_OK) {
        hone_export_input in = {.task = x.task,
                                .result = x.result,
                                .ptx = x.ptx,
                                .ptx_len = x.ptx_len,
                                .cubin = x.cubin,
                                .cubin_len = x.cubin_len,
                                .overwrite = o->force};
        c = hone_export_write(o->args[1], &in, &files, &e);
    }
    if (c == HONE_OK)
        print_done(o, files);
    json_decref(files);
    job_free(&x);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
