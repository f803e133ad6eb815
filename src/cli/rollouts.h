// `hone export rollouts`: runs as training data; docs/learning.md.
#ifndef HONE_CLI_ROLLOUTS_H
#define HONE_CLI_ROLLOUTS_H
#include "cli/cli.h"
int cli_export_rollouts(const cli_options *o);
#endif
