// Ed25519 signatures (libcrypto). A key is a file of the user's (PKCS #8, PEM, mode 0600), made on first use; public keys and signatures are lower-case hex.
#ifndef HONE_BASE_SIGN_H
#define HONE_BASE_SIGN_H
#include "base/err.h"
#define HONE_PUBLIC_HEX 65
#define HONE_SIGNATURE_HEX 129
typedef struct hone_key hone_key;

// HONE_CONFIG_DIR, XDG_CONFIG_HOME/hone or ~/.config/hone. NULL without any of them, and when out of memory; caller owns.
char *hone_config_dir(void);
// The key in DIR/key.pem; made when there is none (DIR too). A key that others may read is refused. DIR NULL: a key that lives as long as the process.
// errors: HONE_E_IO (cannot read or make it), HONE_E_CORRUPT (no Ed25519 key, or its mode), HONE_E_NOMEM.
hone_code hone_key_open(const char *dir, hone_key **out, hone_err *e);
void hone_key_free(hone_key *k);
const char *hone_key_public(const hone_key *k);   // owned by k
hone_code hone_key_sign(const hone_key *k, const void *data, size_t n, char out[HONE_SIGNATURE_HEX], hone_err *e);
// errors: HONE_E_CORRUPT: not a public key or signature, or not this one's of these bytes.
hone_code hone_signature_check(const char *public_hex, const void *data, size_t n, const char *signature_hex, hone_err *e);
#endif
