// mcp: hone for coding agents, over the Model Context Protocol on stdio: newline-delimited JSON-RPC. Both protocol eras: stateless 2026-07-28
// (server/discover, _meta in every request) and 2025-11-25 and older (initialize). Every tool that judges or times is the program's own command in a
// process of its own (`hone check …`), so an agent gets exactly the cascade that a person gets, a call is cancelled by ending its process, and no
// argument reaches further than the command line does. There is no tool that approves, changes a contract, a tolerance or a limit.
// source: modelcontextprotocol.io/specification/2026-07-28 and /2025-11-25
#ifndef HONE_SERVE_MCP_H
#define HONE_SERVE_MCP_H
#include "base/base.h"

typedef struct hone_mcp_config {
    const char *root;                // every path of a request lies in it
    const char *program;             // the hone program; NULL: /proc/self/exe
    const char *device;              // for calls that name none; NULL: the program's default
    unsigned max_evals; double max_time_s;   // the most that a run may ask for
    int in_fd, out_fd;
    const volatile int *interrupt;   // non-zero: end. May be NULL
} hone_mcp_config;
// Serves until the end of input. What is under way then is ended; a run's archive is valid at every instant. errors: HONE_E_IO, HONE_E_USAGE (no such root).
hone_code hone_mcp_serve(const hone_mcp_config *c, hone_err *e);
#endif
