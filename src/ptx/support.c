// ptx support: expands the patterns of forms.def and writes the page of supported forms. A pattern whose every form is supported stands in
// the page as it is; otherwise the missing forms are listed, or the pattern is marked as missing as a whole.
#include "ptx/support.h"
#include <stdio.h>
#include <string.h>

enum { FORM_MAX = 256 };

typedef enum exactness { EXACT, APPROX, MODEL, HINT, NONE } exactness;
typedef struct entry { const char *section, *pattern; exactness how; const char *note; } entry;
#define SECTION(title) {title, NULL, NONE, NULL},
#define FORMS(pattern, how, note) {NULL, pattern, how, note},
static const entry entries[] = {
#include "ptx/forms.def"
};
#undef SECTION
#undef FORMS

// done: what is written of the form so far
static void expand(char form[FORM_MAX], size_t done, const char *pattern, void (*each)(void *, const char *), void *self) {
    for (; *pattern && *pattern != '{' && done + 1 < FORM_MAX; pattern++)
        form[done++] = *pattern;
    form[done] = '\0';
    const char *close = *pattern == '{' ? strchr(pattern, '}') : NULL;
    if (!close) {
        each(self, form);
        return;
    }
    for (const char *at = pattern + 1; at <= close;) {
        const size_t n = strcspn(at, ",}");
        if (done + n < FORM_MAX) {
            memcpy(form + done, at, n);
            expand(form, done + n, close + 1, each, self);
        }
        at += n + 1;
    }
}

void ptx_forms_expand(const char *pattern, void (*each)(void *self, const char *form), void *self) {
    char form[FORM_MAX];
    expand(form, 0, pattern, each, self);
}

void ptx_forms_each(void (*each)(void *self, const char *form), void *self) {
    for (size_t i = 0; i < HONE_COUNT(entries); i++)
        if (entries[i].pattern)
            ptx_forms_expand(entries[i].pattern, each, self);
}

typedef struct tally { bool (*supported)(void *, const char *); void *self; size_t all, have; hone_str missing; } tally;

static void count(void *self, const char *form) {
    tally *t = self;
    const bool ok = t->supported(t->self, form);
    t->all++;
    t->have += ok;
    if (!ok)
        hone_str_addf(&t->missing, "%s`%s`", t->missing.len ? " " : "", form);
}

static const char *exactness_name(exactness how) {
    static const char *const names[] = {"exact", "within PTX's error", "see note", "hint", ""};
    return names[how];
}

static void add_entry(const entry *e, tally *t, hone_str *out) {
    enum { LISTED = 12 };
    const size_t all = t->all, have = t->have;
    hone_str_clear(&t->missing);
    ptx_forms_expand(e->pattern, count, t);
    const size_t n = t->all - all, lacking = n - (t->have - have);
    hone_str_addf(out, "| `%s` | %zu | %s | %s", e->pattern, n, lacking < n ? exactness_name(e->how) : "**not supported**", e->note);
    if (lacking && lacking < n && lacking <= LISTED)
        hone_str_addf(out, "%snot supported: %s", *e->note ? "; " : "", t->missing.s);
    else if (lacking && lacking < n)
        hone_str_addf(out, "%s%zu forms are not supported", *e->note ? "; " : "", lacking);
    hone_str_add(out, " |\n");
}

void ptx_support_page(bool (*supported)(void *self, const char *form), void *self, hone_str *out) {
    tally t = {.supported = supported, .self = self};
    hone_str body;
    hone_str_init(&t.missing, (size_t)1 << 20);
    hone_str_init(&body, (size_t)4 << 20);
    for (size_t i = 0; i < HONE_COUNT(entries); i++)
        if (entries[i].section)
            hone_str_addf(&body, "\n## %s\n\n| forms | number | exactness | notes |\n|---|---:|---|---|\n", entries[i].section);
        else
            add_entry(&entries[i], &t, &body);
    hone_str_addf(out,
                  "# PTX that the virtual GPU runs\n\nMade by `make docs` from `src/ptx/forms.def` by decoding one instruction of each form; do not edit. "
                  "Braces list alternatives.\n*exact*: bit for bit as PTX defines it, checked against MPFR where it rounds; *within PTX's error*: "
                  "[exactness.md](exactness.md) has the measured errors;\n*hint*: accepted, changes no result. `hone-ptx-coverage FILE.ptx` tells what "
                  "of a file is missing. **%zu of %zu forms** are supported.\n", t.have, t.all);
    hone_str_add(out, body.s);
    hone_str_free(&body);
    hone_str_free(&t.missing);
}
