// What the files of check/ share and nobody else needs.
#ifndef HONE_CHECK_INTERNAL_H
#define HONE_CHECK_INTERNAL_H
#include "check/check.h"

// ---- static_asm.c
// Judges the text of one asm statement. Returns NULL when every instruction is on the allow-list, else the first offending word in `word`.
const char *hone_asm_offence(const char *text, size_t n, char word[64]);

// ---- promote.c: the baseline's text in double precision, still a task file. *reason (static text) says why not, with HONE_E_UNSUPPORTED.
hone_code hone_promote(const hone_task *t, char **out, size_t *len, const char **reason, hone_err *e);
bool hone_promoted_type(hone_dtype t);       // float half bfloat16 fp8: they become double

// ---- images.c: host images of the buffers of one run
enum { HONE_POISON_A = 0xFF, HONE_POISON_B = 0x5A };
typedef struct hone_images { hone_run_buffer *v; size_t n; uint8_t poison; } hone_images;
typedef struct hone_perturbation { double relative; uint64_t seed; } hone_perturbation;   // relative 0: none
// Inputs of one case as the baseline's plan wants them: inputs[k] for its buffer k, NULL for outputs. owns: the caller, hone_inputs_free.
hone_code hone_inputs_fill(const hone_plan *base, hone_input input, uint64_t seed, uint8_t ***out, hone_err *e);
void hone_inputs_free(uint8_t **inputs, const hone_plan *base);
// Buffers for `plan` (the baseline's own, a candidate's, or the shadow's): contract inputs from `inputs`, by name; outputs, scratch and
// guards with the poison. Where plan's type is double and base's is not, inputs are converted exactly, then perturbed.
hone_code hone_images_make(const hone_plan *plan, const hone_plan *base, uint8_t *const *inputs, uint8_t poison, size_t guard,
                           hone_perturbation p, hone_images *out, hone_err *e);
void hone_images_free(hone_images *im);
static inline uint8_t *hone_image_data(const hone_run_buffer *b) { return b->image + b->guard_bytes; }
// The values of an input as doubles, moved as hone_images_make moves them. owns: caller. NULL: out of memory.
double *hone_input_moved(const hone_plan *base, size_t buffer, const uint8_t *data, hone_perturbation p);
int hone_plan_find(const hone_plan *p, const char *buffer);   // index or -1
// First byte of a guard zone that is not the poison: true and its offset relative to the buffer's start (negative: before it).
bool hone_guard_hit(const hone_run_buffer *b, uint8_t poison, int64_t *offset);

// ---- values.c: elements first .. first+n-1 as doubles
void hone_values_get(hone_dtype t, const void *from, size_t first, size_t n, double *to);

// ---- reference.c: what one output buffer should hold in one case, and how accurate the baseline is there
typedef struct hone_scale {                  // statistics of one row, tile or magnitude bucket
    size_t n;                                // elements that count
    double scale, scale_max;                 // rms and max of |reference|
    double base_rms, base_max;               // of |baseline - reference|
    double sens_rms, sens_max;               // of |reference(inputs perturbed in their last bits) - reference|
} hone_scale;
typedef struct hone_reference {              // owns its arrays
    const hone_plan_buffer *buffer;          // borrowed: the baseline's
    size_t first, n;                         // elements of the buffer covered: all of them, or a chunk of whole rows
    uint8_t *base;                           // baseline's output
    uint8_t *unwritten;                      // bitmap: the baseline itself leaves these alone; NULL: none
    bool varying;                            // two runs of the baseline differ
    double *shadow;                          // the higher-precision result; the baseline's own values when there is none
    double *moved;                           // shadow with perturbed inputs; integer outputs only; or NULL
    size_t row_len, n_rows;
    hone_scale *rows;
    hone_scale *buckets; size_t n_buckets;   // bucket_of[binary exponent of the reference + HONE_EXPONENT_BIAS] says which
    uint16_t *bucket_of;
    double typical_rms, typical_max;         // medians over rows of base_rms/scale and base_max/scale
    double bound;                            // relative allowance when there is no shadow; else 0
    double zero_floor;                       // what counts as zero where the reference is exactly zero all over a row; see hone_zero_floor
    bool exact;                              // baseline equals the shadow in every element
} hone_reference;
enum { HONE_EXPONENT_BIAS = 1100, HONE_EXPONENTS = 2200 };
typedef struct hone_ref_spec {
    const hone_plan_buffer *buffer;
    size_t first, n;
    const uint8_t *base, *base2;             // element `first` of two baseline runs with different poison and schedule; base2 may be NULL
    const double *shadow;                    // n; NULL: none
    const double *const *moved; size_t n_moved;
    double bound, zero_floor;
} hone_ref_spec;
hone_code hone_reference_make(const hone_ref_spec *s, hone_reference *out, hone_err *e);
void hone_reference_free(hone_reference *r);
size_t hone_reference_bytes(const hone_reference *r);
size_t hone_row_length(const hone_plan_buffer *b);
bool hone_is_poison(const uint8_t *p, size_t n, uint8_t poison);
unsigned hone_bucket_index(const hone_reference *r, double reference);
double hone_unit_roundoff(hone_dtype t);     // half an ulp at 1: 2^-24 for float; 0 for integers
// Differences that cancel to exactly zero, in the shadow too, leave up to its rounding error of terms as large as the inputs: that is all a
// row of zeros can be told from. inputs[k] belongs to the plan's buffer k, or is NULL.
double hone_zero_floor(const hone_plan *p, uint8_t *const *inputs);
// Relative error that reordering a sum of n terms can explain, for use without a shadow: 16·sqrt(n)·2^-24 (2^-53 for double).
double hone_sum_bound(hone_dtype t, double n);

// ---- unordered.c: rows of outputs that may stand in any order
void hone_rows_sort(const hone_plan_buffer *b, void *data, uint8_t poison);   // in place; rows that are all poison come last
void hone_images_sort(const hone_plan *plan, hone_images *im);                // those buffers that are unordered
bool hone_plan_unordered(const hone_plan *plan);                              // whether there is one

// ---- compare.c: a candidate's output buffer against its reference
typedef struct hone_diff {                   // what comparing one buffer found
    hone_finding_kind kind;                  // HONE_F_COUNT: nothing wrong
    size_t at, count;                        // first or worst element; how many
    double expected, got, reference;         // at `at`
    double metric_baseline, metric_candidate, metric_allowed;   // of the test that came closest to its limit, or failed
    const char *metric;                      // "row-rms", "row-max", "magnitude-rms", "equal", "relative"; values relative to the scale
} hone_diff;
// got: element r->first of the candidate's output. must_match: equality is expected where the baseline is exact (small integers).
hone_diff hone_compare(const hone_reference *r, const hone_tolerance *tol, const uint8_t *got, bool must_match, hone_err *e);
// Relative allowances without a shadow (error against the baseline alone): the row's rms error may reach rms × its scale + tiny, its largest
// error max × its largest element + tiny.
typedef struct hone_row_limits { double rms, max, tiny; } hone_row_limits;
hone_row_limits hone_compare_row_limits(hone_dtype t, double bound);
// The tolerance that the task states for this buffer; auto when it states none.
hone_tolerance hone_task_tolerance(const hone_task *t, const char *buffer);
#endif
