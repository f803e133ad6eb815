// hone report: writes report.html again from result.json, beside it or into another folder. Runs nothing.
#include "cli/archive.h"
#include "report/report.h"

enum { MAX_REPORT_BYTES = 128 << 20 };

static hone_code target(const cli_options *o, char **path, hone_err *e) {
    const char *dir = o->out ? o->out : o->args[0];
    HONE_TRY(hone_mkdirs(dir, e));
    *path = hone_path_join(dir, "report.html");
    if (!*path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory");
    if (o->out && !o->force && hone_is_file(*path)) {
        hone_fail(e, HONE_E_USAGE, 0, "'%s' exists already", *path);
        return hone_hint(e, "--force overwrites it");
    }
    return HONE_OK;
}

static hone_code write_report(const cli_options *o, const json_t *result, char **path, hone_err *e) {
    hone_str html;
    HONE_TRY(target(o, path, e));
    hone_str_init(&html, MAX_REPORT_BYTES);
    hone_code c = hone_report_html(result, &html, e);
    if (c == HONE_OK)
        c = hone_str_check(&html, "the report", e);
    if (c == HONE_OK)
        c = hone_write_file(*path, html.s, html.len, e);
    hone_str_free(&html);
    return c;
}

int cmd_report(const cli_options *o) {
    hone_err e = {0};
    json_t *result = NULL;
    char *path = NULL;
    if (o->n_args != 1) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone report' needs a result folder");
        hone_hint(&e, "hone report matmul.hone");
        return cli_error(o, &e);
    }
    hone_code c = cli_read_result(o->args[0], &result, &e);
    if (c == HONE_OK)
        c = write_report(o, result, &path, &e);
    if (c == HONE_OK && o->json)
        cli_print_json(json_pack("{s:s, s:s, s:s}", "schema", "hone.report/1", "folder", o->args[0], "path", path));
    else if (c == HONE_OK)
        printf("%s\n", path);
    hone_free(path);
    json_decref(result);
    return c == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
