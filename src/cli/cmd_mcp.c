// hone mcp: the server for coding agents on stdin and stdout. Nothing else goes to stdout.
#include "cli/cli.h"
#include "serve/mcp.h"
#include <unistd.h>

enum { MAX_EVALS = 1000, MAX_TIME_S = 3600 };

int cmd_mcp(const cli_options *o) {
    hone_err e = {0};
    if (o->n_args) {
        hone_fail(&e, HONE_E_USAGE, 0, "'hone mcp' takes no arguments");
        hone_hint(&e, "hone mcp --root FOLDER");
        return cli_error(o, &e);
    }
    hone_mcp_config c = {.root = o->root ? o->root : ".", .device = o->device, .max_evals = o->evals ? o->evals : MAX_EVALS,
                         .max_time_s = o->time_s > 0 ? o->time_s : MAX_TIME_S, .in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO, .interrupt = &cli_interrupted};
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "hone mcp: waiting for JSON-RPC lines; this is for agents (docs/agents.md)\n");
    return hone_mcp_serve(&c, &e) == HONE_OK ? EXIT_FINE : cli_error(o, &e);
}
