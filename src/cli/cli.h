// cli: one file per command, options in one table (options.def), commands in another (commands.def). Only this room prints and exits: results go to
// stdout, talk to stderr. Exit codes: see exit_code.
#ifndef HONE_CLI_H
#define HONE_CLI_H
#include "evaluate/evaluate.h"
#include "task/task.h"
#include <stdio.h>

enum {
    EXIT_FINE = 0, EXIT_NO_IMPROVEMENT = 1, EXIT_USAGE = 2, EXIT_WRONG = 3, EXIT_NO_DEVICE = 4, EXIT_BUG = 70, EXIT_INTERRUPTED = 130
};

enum { CLI_MAX_PAIRS = 64, CLI_MAX_ARGS = 64 };
enum { CLI_ENERGY_WINDOW_S = 2, CLI_ENERGY_BLOCKS = 3 };   // of a search; twice of both for its best, and for a certificate that is replayed
typedef struct cli_options {
    bool help, json, quiet, force, source, mixed;
    bool manual, approve, reject, comment, log, unreviewed, reward;
    const char *progress, *reason, *by, *format, *root, *listen, *token_file;
    bool has_port;
    unsigned port, queue;
    const char *screen, *color, *device, *out, *certificate, *only_case, *html, *import, *suppress, *checks;
    bool energy, no_roofline, counters;
    const char *cache;
    unsigned repeat, energy_blocks;
    double energy_window_s;
    unsigned workers, evals, patience, batch, top, schedules, mutants;
    bool no_mutants;
    bool has_seed;
    uint64_t seed;
    double limit_s, time_s;
    hone_binding params[CLI_MAX_PAIRS]; size_t n_params;
    hone_binding sizes[CLI_MAX_PAIRS]; size_t n_sizes;
    const char *launches[CLI_MAX_PAIRS]; size_t n_launches;
    const char *models[CLI_MAX_PAIRS]; size_t n_models;
    const char *model_config, *prompts;
    unsigned max_tokens, max_requests;
    double max_cost;
    const char *args[CLI_MAX_ARGS]; size_t n_args;      // what is no option
    char **rest;                                        // `hone run`: the program and its arguments, NULL at the end
    char command[1024];                                 // the command line as given, for provenance
} cli_options;

// Parses argv after the command's name. errors: HONE_E_USAGE with a hint.
hone_code cli_parse(const char *command, int argc, char **argv, cli_options *o, hone_err *e);
void cli_usage(FILE *to);                               // hone --help
bool cli_help(const char *command, FILE *to);           // false when there is no such command
const char *cli_nearest_command(const char *name);      // for "did you mean"; NULL

// ---- what commands share (common.c)
int cli_exit_code(hone_code c);
// Prints `error: …` and `hint: …` on stderr (as JSON on stdout with o->json) and returns the exit code.
void cli_put_visible(const char *text, FILE *f);   // texts of others: what a terminal would act on is spelled out
int cli_error(const cli_options *o, const hone_err *e);
// Reads and parses a task file; diagnostics go to stderr. errors: as hone_task_parse.
hone_code cli_load_task(const char *path, hone_task **out, hone_err *e);
hone_code cli_open_pool(const cli_options *o, unsigned workers, hone_pool **out, hone_err *e);
// One job to its end. errors: HONE_E_INTERRUPTED; those of the pool.
hone_code cli_evaluate(hone_pool *p, const hone_job *j, hone_outcome **out, hone_err *e);
extern volatile int cli_interrupted;                    // set by SIGINT and SIGTERM
void cli_catch_signals(void);
bool cli_color(const cli_options *o, FILE *f);          // whether to colour what goes to f
// Escape sequences, empty strings without colour.
typedef struct cli_style { const char *bold, *dim, *red, *green, *yellow, *cyan, *off; } cli_style;
cli_style cli_style_for(const cli_options *o, FILE *f);
void cli_print_json(json_t *j);                         // to stdout, with a newline; takes the reference
void cli_print_findings(const hone_outcome *o, const cli_style *st, FILE *f);
void cli_print_why(const hone_outcome *o);               // the error of one that could not be judged
json_t *cli_findings_json(const hone_outcome *o);       // array of {kind, stage, message, …}; new reference
const char *cli_time_text(double us, char buf[32]);     // "12.3 µs", "1.24 ms"

#define CMD(name, args, summary, help) int cmd_##name(const cli_options *o);
#include "cli/commands.def"
#undef CMD
#endif
