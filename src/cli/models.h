// What `optimize` and `doctor` do with --model: opens the models of a run (models/), shows what they do, tests endpoints.
#ifndef HONE_CLI_MODELS_H
#define HONE_CLI_MODELS_H
#include "cli/cli.h"
#include "models/models.h"
#include <pthread.h>

typedef struct cli_models {
    hone_authors *authors;   // NULL: no --model
    pthread_mutex_t lock;    // of what is shown, which comes from the thread that waits for the endpoint
    char shown[160];
    bool live, finishing;    // on a terminal: the search is over, an answer is not
} cli_models;
// dir: the result folder. Without --model nothing is opened. m must not move while it is open.
hone_code cli_models_open(const cli_options *o, const hone_task *task, const json_t *device, const char *dir, cli_models *m, hone_err *e);
void cli_models_finish(cli_models *m, bool cancel);   // as hone_authors_finish
void cli_models_close(cli_models *m);
void cli_models_shown(void *self, char *text, size_t size);   // what the model does now, for the progress line; "" nothing
json_t *cli_models_json(const cli_models *m);   // for the report; NULL without models
// One line per --model: whether it answers. New reference: array of {model, ok, message, seconds …}.
json_t *cli_models_test(const cli_options *o);
#endif
