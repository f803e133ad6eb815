// report, inside the room: reading the result document, numbers as people write them, line diffs, token classes, and pieces of SVG and
// HTML.
#ifndef HONE_REPORT_INTERNAL_H
#define HONE_REPORT_INTERNAL_H
#include "report/report.h"

enum { HONE_RESULT_JSON_FLAGS = JSON_INDENT(1) | JSON_REAL_PRECISION(9) };
#define HONE_RESULT_SCHEMA "hone.result/1"
#define HONE_CERTIFICATE_SCHEMA "hone.certificate/2"

// ---- read.c: the document, leniently: absent is 0, "" or NULL
double hone_doc_number(const json_t *o, const char *key);
bool hone_doc_has_number(const json_t *o, const char *key);
const char *hone_doc_text(const json_t *o, const char *key);
const json_t *hone_doc_at(const json_t *o, const char *path);         // "best.outcome.time"
json_t *hone_doc_list(const json_t *o, const char *path);             // for json_array_foreach; NULL when absent
hone_code hone_doc_check(const json_t *result, hone_err *e);          // HONE_E_PARSE unless hone.result/1

// What one evaluation did on the machine: sums over the launches of the first size.
typedef struct hone_profile {
    bool has;                               // counters are there
    bool measured;                          // time is a measured one, counters are the virtual GPU's
    double time_us;
    double flops_fp32, flops_fp64, flops_fp16, flops_tensor;
    double thread_insts, warp_insts, dram_bytes, compulsory_bytes;
    double sectors, sectors_ideal, wavefronts, wavefronts_ideal;
    size_t launches;
    // of the launch that takes longest
    const char *kernel, *bottleneck, *limiter;
    double occupancy, share;                // share: of the bottleneck, 0..1
    int grid[3], block[3];
    double registers, shared_bytes;
    double spill_bytes;                     // worst kernel
} hone_profile;
void hone_profile_read(const json_t *outcome, hone_profile *p);

// ---- numbers for people; all return buf
enum { HONE_TEXT = 48 };
const char *hone_text_time(double us, char buf[HONE_TEXT]);           // "12.3 µs"
const char *hone_text_scaled(double v, const char *unit, char buf[HONE_TEXT]);   // "1.23 GB"
const char *hone_text_round_time(double us, char buf[HONE_TEXT]);     // "5 ms": for ticks, which are round
const char *hone_text_round(double v, const char *unit, char buf[HONE_TEXT]);    // "20 T"
const char *hone_text_energy(double joules, char buf[HONE_TEXT]);      // "12.3 mJ", "31 kJ"
const char *hone_text_count(double v, char buf[HONE_TEXT]);           // exact below a hundred thousand: "16384", "1.23 M"
const char *hone_text_factor(double v, char buf[HONE_TEXT]);          // "4.02×"
const char *hone_text_duration(double s, char buf[HONE_TEXT]);        // "1 min 24 s"
const char *hone_bottleneck_words(const char *bottleneck);            // "device memory bandwidth"
const char *hone_stop_words(const char *stop);                        // "the evaluation budget was used up"

// ---- diff.c: an edit script of lines
typedef enum hone_edit_kind { HONE_EDIT_SAME, HONE_EDIT_REMOVED, HONE_EDIT_ADDED } hone_edit_kind;
typedef struct hone_edit {
    hone_edit_kind kind;
    uint32_t a, b;
} hone_edit;   // 0-based lines; a for SAME and REMOVED, b for SAME and ADDED
typedef struct hone_line_diff {
    hone_span *a, *b; size_t n_a, n_b;      // lines without their newline
    hone_edit *v; size_t n;                 // removed lines of a change come before its added ones
    size_t added, removed;
} hone_line_diff;
hone_code hone_line_diff_make(const char *a, const char *b, hone_line_diff *out, hone_err *e);
void hone_line_diff_free(hone_line_diff *d);

// ---- tokens.c: what to colour in CUDA source; one class per byte
typedef enum hone_code_class {
    HONE_CODE_PLAIN, HONE_CODE_KEYWORD, HONE_CODE_TYPE, HONE_CODE_BUILTIN, HONE_CODE_NUMBER, HONE_CODE_STRING, HONE_CODE_COMMENT,
    HONE_CODE_DIRECTIVE, HONE_CODE_PRAGMA, HONE_CODE_CLASSES
} hone_code_class;
// NULL when out of memory; all plain for text that does not lex. owns: the caller frees (hone_free).
uint8_t *hone_code_classes(const char *text, size_t len);

// ---- energy.c: the document's member "energy". New reference
json_t *hone_report_energy(const hone_report_input *in, const json_t *baseline_outcome);

// ---- html.c
void hone_html_text(hone_str *out, const char *s);                    // escaped
void hone_html_textn(hone_str *out, const char *s, size_t n);
extern const char *const hone_html_style;                             // style.c: the style sheet

// ---- charts; each appends one <figure>, or nothing when the document has no data for it
void hone_chart_times(const json_t *result, hone_str *out);           // baseline against best with their intervals
void hone_chart_convergence(const json_t *result, hone_str *out);
void hone_chart_energy(const json_t *result, hone_str *out);          // time against energy, and their front
void hone_chart_roofline(const json_t *result, hone_str *out);        // labels{baseline,best}: other names for the two dots
void hone_text_payback(const json_t *result, hone_str *out);          // what the search itself took, and when that is saved again; or nothing
double hone_roof_peak(const json_t *device, const char *what);        // "FP32", "FP64", "FP16", "tensor": FLOP/s; "instruction issue": thread inst/s
void hone_html_diff(const json_t *result, hone_str *out, hone_err *e);   // side by side

// ---- axis.c: scales
typedef struct hone_axis { double lo, hi, from_px, to_px; bool log; } hone_axis;
double hone_axis_px(const hone_axis *a, double v);
// Round values on the axis, at most cap; 1-2-5 steps, for log axes 1 (and 2, 5 within few decades) per decade.
size_t hone_axis_ticks(const hone_axis *a, double *out, size_t cap);
// Grid lines of a vertical axis from x1 to x2 pixels, each tick's text to the left of its line.
void hone_axis_rows(hone_str *out, const hone_axis *y, int x1, int x2, const char *(*text)(double value, char buf[HONE_TEXT]));
#endif
