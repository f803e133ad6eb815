// Content addresses: SHA-256 (libcrypto) as 64 lower-case hex digits; and a fast 64-bit hash for tables.
#ifndef HONE_BASE_HASH_H
#define HONE_BASE_HASH_H
#include "base/err.h"
#define HONE_HASH_HEX 65
void hone_sha256_hex(const void *data, size_t n, char out[HONE_HASH_HEX]);
uint64_t hone_hash64(const void *data, size_t n, uint64_t seed);
typedef struct hone_sha hone_sha;
hone_sha *hone_sha_new(void);
void hone_sha_add(hone_sha *h, const void *data, size_t n);
void hone_sha_hex(hone_sha *h, char out[HONE_HASH_HEX]);   // finishes and frees h
#endif
