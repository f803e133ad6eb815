// Replaying a certificate: `hone check --certificate FILE`.
#ifndef HONE_CLI_REPLAY_H
#define HONE_CLI_REPLAY_H
#include "cli/cli.h"
// Re-runs what the certificate says on the same kind of device and prints CONFIRMED, or what differs. Returns the exit code: 0 confirmed,
// 3 when something differs, 2 for a file that is no certificate or was edited.
int cli_replay_certificate(const cli_options *o);
#endif
