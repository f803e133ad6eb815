// What `optimize` and `doctor` do with --model: opens the models, joins llm/ (the wire) to propose/ (what is asked), and tells what they did.
#ifndef HONE_CLI_MODELS_H
#define HONE_CLI_MODELS_H
#include "cli/cli.h"
#include "llm/llm.h"
#include "propose/llm.h"

typedef struct cli_models {
    hone_llm *llm;   // NULL: no --model
    hone_models as_seen;
    hone_prompts prompts;
    hone_writer *writer;
    char *device, *identity;
    bool live;       // progress on a terminal
} cli_models;
// dir: the result folder; exchanges are kept in its folder "exchanges". Without --model nothing is opened. m must not move while it is open.
hone_code cli_models_open(const cli_options *o, const hone_task *task, const json_t *device, const char *dir, cli_models *m, hone_err *e);
void cli_models_close(cli_models *m);
json_t *cli_models_json(const cli_models *m);   // for the report; NULL without models
// One line per --model: whether it answers. New reference: array of {model, ok, message, seconds …}.
json_t *cli_models_test(const cli_options *o);
#endif
