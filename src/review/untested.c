// review/untested: what the evidence of a candidate does not cover, in sentences for a reviewer: devices, sizes, inputs, stages, confirmation. Made from
// the outcome and the task alone, so that it says the same for everyone.
#include "review/review.h"
#include <string.h>

enum { MAX_LISTED = 12 };

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void add_sizes(hone_str *s, const json_t *sizes) {
    const char *name;
    json_t *v;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)sizes, name, v) {
        hone_str_addf(s, "%s%s=%lld", first ? "" : " ", name, (long long)json_integer_value(v));
        first = false;
    }
}

static void say(json_t *list, hone_str *s) {
    json_array_append_new(list, json_string(s->s));
    hone_str_clear(s);
}

static void devices(json_t *list, const json_t *device, const json_t *outcome, hone_str *s) {
    const json_t *time = json_object_get(outcome, "time");
    bool modelled = !strcmp(text_of(time, "kind"), "modelled");
    if (!strcmp(text_of(device, "kind"), "virtual")) {
        hone_str_add(s, "Real hardware: everything ran on the virtual GPU");
        double band = json_number_value(json_object_get(time, "error_band"));
        if (modelled && band > 0)
            hone_str_addf(s, ", and its time is modelled, ±%.0f %%", band * 100);
        say(list, s);
    }
    const char *name = text_of(device, "name");
    hone_str_addf(s, "Any device but %s; other compilers than NVRTC %s", *name ? name : "the one named",
                  *text_of(device, "nvrtc") ? text_of(device, "nvrtc") : "of this machine");
    say(list, s);
}

static void checked_sizes(json_t *list, const json_t *outcome, hone_str *s) {
    size_t i, used = 0;
    json_t *z;
    json_array_foreach(json_object_get(outcome, "check_sizes"), i, z) {
        if (!json_is_true(json_object_get(z, "used")))
            continue;
        if (used++ < MAX_LISTED) {
            hone_str_add(s, used == 1 ? "Results at other sizes than " : ", ");
            add_sizes(s, json_object_get(z, "sizes"));
        }
    }
    if (used > MAX_LISTED)
        hone_str_addf(s, " and %zu more", used - MAX_LISTED);
    if (used)
        say(list, s);
    json_array_foreach(json_object_get(outcome, "check_sizes"), i, z) {
        if (json_is_true(json_object_get(z, "used")))
            continue;
        hone_str_add(s, "Results at ");
        add_sizes(s, json_object_get(z, "sizes"));
        hone_str_addf(s, ": the baseline itself fails there (%.160s)", text_of(z, "why"));
        say(list, s);
    }
}

static void timed_sizes(json_t *list, const json_t *outcome, hone_str *s) {
    size_t i;
    json_t *z;
    const json_t *sizes = json_object_get(json_object_get(outcome, "time"), "sizes");
    json_array_foreach(sizes, i, z) {
        hone_str_add(s, i == 0 ? "Speed at other sizes than " : ", ");
        add_sizes(s, json_object_get(z, "sizes"));
    }
    if (json_array_size(sizes))
        say(list, s);
}

// Real numbers have no lowest and highest to fill a buffer with: `large` goes as far.
static bool is_tried(const hone_arg *a, hone_input k) {
    bool is_end = k == HONE_INPUT_LOWEST || k == HONE_INPUT_HIGHEST;
    return hone_input_applies(a, k) || (is_end && hone_input_applies(a, HONE_INPUT_LARGE));
}

static void distributions(json_t *list, const hone_task *t, hone_str *s) {
    for (size_t i = 0; t && i < t->n_args; i++) {
        const hone_arg *a = &t->args[i];
        bool any = false;
        if (a->role != HONE_IN && a->role != HONE_INOUT)
            continue;
        for (int k = HONE_INPUT_TASK + 1; k < HONE_INPUT_MIXED; k++) {
            if (is_tried(a, (hone_input)k))
                continue;
            if (!any)
                hone_str_addf(s, "Inputs of '%s' of these kinds, which its line in the task rules out: ", a->name);
            hone_str_addf(s, "%s%s", any ? ", " : "", hone_input_name((hone_input)k));
            any = true;
        }
        if (any)
            say(list, s);
    }
    hone_str_add(s, "Inputs with NaN or infinity, and values outside the task's distributions; results are tests, not proofs");
    say(list, s);
}

static void stages(json_t *list, const json_t *outcome, hone_str *s) {
    static const char *const names[] = {"static", "compile", "sanitize", "differential", "time"};
    for (size_t i = 0; i < HONE_COUNT(names); i++) {
        size_t k;
        json_t *x;
        bool passed = false;
        json_array_foreach(json_object_get(outcome, "stages"), k, x)
            passed |= !strcmp(text_of(x, "name"), names[i]) && !strcmp(text_of(x, "status"), "pass");
        if (!passed) {
            hone_str_addf(s, "Stage '%s': it was not passed", names[i]);
            say(list, s);
        }
    }
}

json_t *hone_review_untested(const json_t *outcome, const json_t *device, const hone_task *task, bool confirmed) {
    json_t *list = json_array();
    hone_str s;
    hone_str_init(&s, 1 << 16);
    if (list) {
        if (!confirmed) {
            hone_str_add(&s, "Fresh inputs: the candidate was evaluated once and not confirmed with other seeds");
            say(list, &s);
        }
        stages(list, outcome, &s);
        devices(list, device, outcome, &s);
        checked_sizes(list, outcome, &s);
        timed_sizes(list, outcome, &s);
        distributions(list, task, &s);
    }
    hone_str_free(&s);
    return list;
}
