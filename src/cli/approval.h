// The approval that `hone export` and `hone apply` need; see review/review.h.
#ifndef HONE_CLI_APPROVAL_H
#define HONE_CLI_APPROVAL_H
#include "cli/cli.h"
// HONE_OK when somebody approved this text for the result's task, or with --accept-unreviewed, which is told on stderr. errors: as hone_review_require.
hone_code cli_need_approval(const cli_options *o, const char *dir, const char *text, size_t len, const json_t *result, hone_err *e);
#endif
