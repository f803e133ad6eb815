// hone doctor: what is here and what is missing. Opens each kind of device in a worker, as a run would.
#include "cli/models.h"
#include "gpu/toolkit.h"
#include <string.h>

static json_t *toolkit_json(void) {
    hone_toolkit t;
    hone_err e = {0};
    if (hone_toolkit_find(&t, &e) != HONE_OK)
        return json_pack("{s:b, s:s, s:s}", "ok", 0, "message", e.msg, "hint", e.hint);
    return json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 1, "root", t.root, "found_by", t.found_by, "nvrtc", t.nvrtc, "ptxas", t.ptxas);
}

static json_t *device_json(const cli_options *o, const char *spec) {
    cli_options one = *o;
    one.device = spec;
    one.workers = 1;
    hone_pool *pool = NULL;
    hone_err e = {0};
    if (cli_open_pool(&one, 1, &pool, &e) != HONE_OK)
        return json_pack("{s:s, s:b, s:s, s:s}", "spec", spec, "ok", 0, "message", e.msg, "hint", e.hint);
    json_t *j = json_deep_copy(hone_pool_device(pool));
    hone_pool_close(pool);
    if (!j)
        return json_null();
    json_object_set_new(j, "ok", json_true());
    json_object_set_new(j, "spec", json_string(spec));
    return j;
}

static bool ok(const json_t *j) { return json_is_true(json_object_get(j, "ok")); }

static const char *text(const json_t *j, const char *key) {
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static void print_line(const cli_style *st, bool fine, const char *what, const char *detail, const char *hint) {
    printf("%s%-8s%s %-16s %s\n", fine ? st->green : st->yellow, fine ? "ok" : "missing", st->off, what, detail);
    if (!fine && *hint)
        printf("%25s %s%s%s\n", "", st->dim, hint, st->off);
}

// What keeps workers from the rest of the machine; see docs/verification.md, Containment.
static json_t *containment_json(void) {
    int abi = hone_sandbox_landlock();
    if (abi == 0)
        return json_pack("{s:b, s:i, s:s, s:s}", "ok", 0, "landlock", 0, "message", "system calls are filtered; the kernel has no Landlock", "hint",
                         "workers can reach files like any program: use Linux 5.13 or later with 'landlock' in its lsm= list");
    char message[96];
    snprintf(message, sizeof message, "system calls are filtered, files by Landlock (version %d)", abi);
    return json_pack("{s:b, s:i, s:s}", "ok", 1, "landlock", abi, "message", message);
}

int cmd_doctor(const cli_options *o) {
    json_t *toolkit = toolkit_json(), *containment = containment_json(), *list = json_array();
    const char *specs[] = {o->device ? o->device : "virtual:h200", o->device ? NULL : "cuda:0"};
    for (size_t i = 0; i < HONE_COUNT(specs) && specs[i]; i++)
        json_array_append_new(list, device_json(o, specs[i]));
    json_t *models = cli_models_test(o), *m;
    bool usable = ok(toolkit) && ok(json_array_get(list, 0)), answer = true;
    size_t k;
    json_array_foreach(models, k, m) answer &= ok(m);
    if (o->json) {
        cli_print_json(json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "schema", "hone.doctor/1", "version", HONE_VERSION, "usable", usable, "toolkit", toolkit,
                                 "containment", containment, "devices", list, "models", models));
        return !usable ? EXIT_NO_DEVICE : answer ? EXIT_FINE : EXIT_USAGE;
    }
    cli_style st = cli_style_for(o, stdout);
    print_line(&st, ok(toolkit), "toolkit", ok(toolkit) ? text(toolkit, "root") : text(toolkit, "message"), text(toolkit, "hint"));
    print_line(&st, ok(containment), "containment", text(containment, "message"), text(containment, "hint"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *d = json_array_get(list, i);
        print_line(&st, ok(d), text(d, "spec"), ok(d) ? text(d, "name") : text(d, "message"), text(d, "hint"));
    }
    json_array_foreach(models, k, m) print_line(&st, ok(m), text(m, "model"), text(m, "message"), text(m, "hint"));
    json_decref(toolkit);
    json_decref(containment);
    json_decref(list);
    json_decref(models);
    return !usable ? EXIT_NO_DEVICE : answer ? EXIT_FINE : EXIT_USAGE;
}
