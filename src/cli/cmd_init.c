// hone init: drafts a task file from a bare kernel, its launch and its sizes.
#include "cli/cli.h"
#include "cli/observe.h"
#include <string.h>

enum { MAX_SOURCE_BYTES = 4 << 20 };

static hone_code join_launches(const cli_options *o, hone_str *s, hone_err *e) {
    for (size_t i = 0; i < o->n_launches; i++)
        hone_str_addf(s, "%s%s", i ? "\n" : "", o->launches[i]);
    return hone_str_check(s, "the launches", e);
}

static hone_code draft(const cli_options *o, const char *text, size_t len, char **out, size_t *out_len, hone_err *e) {
    hone_sizes sizes = {.v = (hone_binding *)(uintptr_t)o->sizes, .n = o->n_sizes};
    hone_observation seen;
    hone_code c = hone_observe(o->args[0], text, len, &sizes, o->launches, o->n_launches, &seen, e);
    hone_str launches;
    hone_str_init(&launches, 65536);
    if (c == HONE_OK)
        c = join_launches(o, &launches, e);
    if (c == HONE_OK)
        c = hone_draft(o->args[0], text, len, &sizes, launches.s, seen.params, seen.n, out, out_len, e);
    hone_str_free(&launches);
    hone_observation_free(&seen);
    return c;
}

int cmd_init(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args != 1 || o->n_launches == 0) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone init' needs a kernel file and its launch");
        hone_hint(&e, "hone init k.cu --size N=1000000 --launch 'k<<<cdiv(N,256), 256>>>(x, y, N)'");
        return cli_error(o, &e);
    }
    char *text = NULL, *task = NULL;
    size_t len, task_len = 0;
    hone_code c = hone_read_file(o->args[0], MAX_SOURCE_BYTES, &text, &len, &e);
    if (c == HONE_OK)
        c = draft(o, text, len, &task, &task_len, &e);
    int code = EXIT_FINE;
    if (c != HONE_OK)
        code = cli_error(o, &e);
    else if (o->json)
        cli_print_json(json_pack("{s:s, s:s, s:s}", "schema", "hone.init/1", "path", o->args[0], "task", task));
    else
        fwrite(task, 1, task_len, stdout);
    hone_free(task);
    hone_free(text);
    return code;
}
