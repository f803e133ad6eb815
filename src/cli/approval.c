// The approval that writing a kernel out of its folder needs. See approval.h.
#include "cli/approval.h"
#include "review/review.h"

hone_code cli_need_approval(const cli_options *o, const char *dir, const char *text, size_t len, const json_t *result, hone_err *e) {
    char sha[HONE_HASH_HEX];
    const char *task_hash = json_string_value(json_object_get(json_object_get(result, "task"), "hash"));
    hone_err why = {0};
    hone_sha256_hex(text, len, sha);
    hone_code c = hone_review_require(dir, sha, task_hash ? task_hash : "", &why);
    if (c == HONE_OK)
        return HONE_OK;
    if (o->unreviewed) {
        fprintf(stderr, "warning: %s; going on as asked\n", why.msg);
        return HONE_OK;
    }
    *e = why;
    return c;
}
