// The live line on stderr of `hone optimize`: evaluations, best so far, rate, ETA, what is being tried. Only on a terminal.
#ifndef HONE_CLI_PROGRESS_H
#define HONE_CLI_PROGRESS_H
#include "cli/cli.h"
#include "search/search.h"

// more: something else that goes on meanwhile, shown at the end of the line; may be NULL.
// With --progress json: one object per line instead (schema "hone.progress/1"), at most five a second.
typedef struct cli_progress { bool live, lines; int shown; double last_s; hone_clock clock; cli_style style; unsigned width; void (*more)(void *self, char *text, size_t size); void *more_self; } cli_progress;
void cli_progress_start(cli_progress *p, const cli_options *o);
void cli_progress_show(void *self, const hone_search_progress *p);   // hone_search_config.progress
void cli_progress_end(cli_progress *p);                              // clears the line
#endif
