// The exchanges that a run kept (NAME.hone/exchanges), for rollouts: what a model was really asked and what it really answered.
#ifndef HONE_CLI_EXCHANGES_H
#define HONE_CLI_EXCHANGES_H
#include "cli/cli.h"

typedef struct cli_exchange {
    char key[HONE_HASH_HEX];
    uint64_t asked;              // the generation; 0: not known
    char *prompt;                // the messages' texts, an empty line between
    char prompt_sha[HONE_HASH_HEX];
    json_t *messages;            // [{role, content}], the system's first
    char *model, *reply;
    hone_span file;              // the task file in the reply; n 0: none, and `why` says it ("reply.no-block" …)
    const char *why, *words;
} cli_exchange;
typedef struct cli_exchanges { cli_exchange *v; size_t n; } cli_exchanges;

// Those of a result folder that were answered with a text and show this baseline, in the order asked. No folder: none. A file that is no exchange is left out.
// errors: HONE_E_NOMEM, HONE_E_IO, HONE_E_LIMIT.
hone_code cli_exchanges_read(const char *dir, const char *baseline, cli_exchanges *out, hone_err *e);
void cli_exchanges_free(cli_exchanges *x);
// The first whose file is this text; NULL when there is none.
const cli_exchange *cli_exchanges_find(const cli_exchanges *x, const char *text);
#endif
