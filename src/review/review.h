// review: what people decided about candidates. FOLDER/reviews.jsonl is append-only and chained: every line carries the hash of the line before it,
// so that an edit, a removal or an exchange of lines in the middle shows, and where. A decision holds for one text and one task: it names both by
// SHA-256, and whoever changes best.cu afterwards has no approval. The chain is no signature: whoever rewrites the file from some line to its end
// makes a chain that holds. The last hash, kept elsewhere, shows that too.
#ifndef HONE_REVIEW_H
#define HONE_REVIEW_H
#include "task/task.h"
#include <jansson.h>

#define HONE_REVIEW_SCHEMA "hone.review/1"
enum { HONE_REVIEW_MAX_REASON = 4096, HONE_REVIEW_MAX_NAME = 128 };

typedef enum hone_review_action { HONE_REVIEW_APPROVE, HONE_REVIEW_REJECT, HONE_REVIEW_COMMENT, HONE_REVIEW_ACTIONS } hone_review_action;
const char *hone_review_action_name(hone_review_action a);   // "approve" …

typedef struct hone_review_entry {
    hone_review_action action;
    uint64_t candidate;
    const char *text_sha256, *task_hash;   // of the candidate with tune values filled in, and of the task it was judged against
    const char *by, *reason;
    const char *time;                      // ISO 8601, UTC
} hone_review_entry;

typedef struct hone_review_log {
    json_t *entries;                 // those that hold, oldest first: {seq, prev, time, action, candidate, text_sha256, task_hash, by, reason, hash}
    size_t broken_line;              // 1-based; 0: the whole chain holds
    char why[256];                   // what is wrong with that line
    char head[HONE_HASH_HEX];        // hash of the last entry that holds; 64 zeros for none
} hone_review_log;

// A folder without reviews.jsonl has an empty log. A chain that does not hold is a success with broken_line. errors: HONE_E_IO, HONE_E_LIMIT, HONE_E_NOMEM.
hone_code hone_review_read(const char *dir, hone_review_log *out, hone_err *e);
hone_code hone_review_parse(const char *text, size_t n, hone_review_log *out, hone_err *e);
void hone_review_log_free(hone_review_log *l);
// Adds one line, durable when it returns. errors: HONE_E_CORRUPT when the chain does not hold (nothing is added), HONE_E_USAGE for an empty or too long
// name or reason, HONE_E_IO.
hone_code hone_review_append(const char *dir, const hone_review_entry *x, hone_err *e);
// The last approval or rejection of this text for this task; NULL when there is none. Borrowed from the log.
const json_t *hone_review_decision(const hone_review_log *l, const char *text_sha256, const char *task_hash);
// HONE_OK when that is an approval. errors: HONE_E_USAGE with a hint (not reviewed, or rejected, by whom and why), HONE_E_CORRUPT.
hone_code hone_review_require(const char *dir, const char *text_sha256, const char *task_hash, hone_err *e);

// untested.c: what the evidence does not say, as sentences; new reference. outcome: hone.outcome/1. task: the candidate's contract; may be NULL.
json_t *hone_review_untested(const json_t *outcome, const json_t *device, const hone_task *task, bool confirmed);
#endif
