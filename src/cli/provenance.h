// Where a certificate comes from: who signed it, and whether the archive and the files beside it are those it speaks of.
#ifndef HONE_CLI_PROVENANCE_H
#define HONE_CLI_PROVENANCE_H
#include "cli/cli.h"
#include <jansson.h>

// {"key", "signer": "yours" | "trusted" | "unknown", "name" (of a trusted key), "archive": "matches" | "differs" | "absent", "files": [names that are
// there and match]}. What differs goes to `checks` as {name, expected, found, agrees: false}. path: the certificate's. New reference.
// errors: HONE_E_NOMEM. An archive or a key of the user's that cannot be read is a difference, not an error.
hone_code cli_provenance(const json_t *certificate, const char *path, json_t *checks, json_t **out, hone_err *e);
#endif
