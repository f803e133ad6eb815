// profile: what `hone profile` shows. One document ("hone.profile/1", docs/json.md) holds everything; the text and the page are renderings of it.
#ifndef HONE_REPORT_PROFILE_H
#define HONE_REPORT_PROFILE_H
#include "import/ncu.h"
#include "report/internal.h"

typedef struct hone_profile_input {
    const hone_task *shown;               // whose source the lines belong to
    const char *compiled_as;              // the file name that its lines carry: a candidate is compiled under the task's
    const hone_outcome *outcome;
    const json_t *device;
    const hone_ncu *hardware;             // NULL: none
    const char *hardware_path;
    const char *hardware_missing, *hardware_hint;   // they were asked for and could not be read: why, and what helps; else NULL
} hone_profile_input;
json_t *hone_profile_document(const hone_profile_input *in);                      // new reference; NULL when out of memory
// Adds `baseline` (the document of the task itself) and `compare[]` to a candidate's document. Steals nothing.
void hone_profile_compare(json_t *candidate, const json_t *baseline);

typedef struct hone_profile_style { const char *bold, *dim, *red, *green, *yellow, *cyan, *off; } hone_profile_style;   // escape sequences or ""
typedef struct hone_profile_view { hone_profile_style style; unsigned top; bool source; } hone_profile_view;   // top: lines shown; source: all of them
void hone_profile_text(const json_t *document, const hone_profile_view *v, hone_str *out);
hone_code hone_profile_html(const json_t *document, hone_str *out, hone_err *e);

// ---- shared by the renderings
const json_t *hone_profile_source_line(const json_t *document, unsigned line);   // of source[]; NULL when it has no instructions
const char *hone_profile_hardware_value(const json_t *metric, const char *key, char buf[HONE_TEXT]);   // of hardware.metrics[]; "–" when absent
const char *hone_plain_kernel(const char *name, char buf[160]);   // "_Z6rowsumPKfPfii" → "rowsum"; others as they are
hone_span hone_source_line(const char *source, unsigned line);    // without its indentation
const char *hone_profile_line_bound(const char *bound);           // short words for lines[].bound
#endif
