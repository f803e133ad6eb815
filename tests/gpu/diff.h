// What the files of gpu_diff share. A job is one case or one example; it runs in a child process on both devices and tells what it found through `note`.
#ifndef HONE_TEST_GPU_DIFF_H
#define HONE_TEST_GPU_DIFF_H
#include "evaluate/internal.h"
#include "objects.h"

typedef struct side { hone_device *device; objects objects; } side;        // one of the two
// REFUSED: one of the two does not load it; ABSENT: the physical one, as it is known to.
typedef enum status { SAME, WITHIN, DIFFER, UNSUPPORTED, REFUSED, FAILED, ABSENT, N_STATUS } status;
// Sends one result to the parent: detail (stolen, may be NULL) for the file, a line of text for the reader.
void note(const char *name, const char *family, status s, json_t *detail, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

// ---- instructions.c
size_t case_count(void);
const char *case_name(size_t i), *case_family(size_t i);
bool case_runs_on(size_t i, uint32_t cc);
void case_ptx(size_t i, uint32_t cc, hone_str *out);
// Runs it on both. false: the physical device's context is spoilt and this process must end.
bool case_run(size_t i, side *virt, side *phys);
enum { CASE_PTX_BYTES = 1 << 16 };

// ---- baselines.c: examples/*.cu at small sizes
typedef struct baselines { char **paths; size_t n; } baselines;
void baselines_list(const char *dir, baselines *out);
void baselines_free(baselines *b);
bool baseline_run(const char *path, hone_compiler *compiler, side *virt, side *phys);
#endif
