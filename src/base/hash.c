// SHA-256 through libcrypto, and a fast 64-bit hash for tables (not for content addresses). See hash.h.
#include "base/hash.h"
#include "base/mem.h"
#include <openssl/evp.h>
#include <string.h>

struct hone_sha {
    EVP_MD_CTX *ctx;
};

hone_sha *hone_sha_new(void) {
    hone_sha *h = hone_malloc(sizeof *h);
    if (!h)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(h->ctx);
        hone_free(h);
        return NULL;
    }
    return h;
}

void hone_sha_add(hone_sha *h, const void *data, size_t n) {
    if (EVP_DigestUpdate(h->ctx, data, n) != 1)
        HONE_BUG("EVP_DigestUpdate failed");
}

static void digest_to_hex(const unsigned char digest[32], char out[HONE_HASH_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
}

void hone_sha_hex(hone_sha *h, char out[HONE_HASH_HEX]) {
    unsigned char digest[32];
    if (EVP_DigestFinal_ex(h->ctx, digest, NULL) != 1)
        HONE_BUG("EVP_DigestFinal_ex failed");
    EVP_MD_CTX_free(h->ctx);
    hone_free(h);
    digest_to_hex(digest, out);
}

void hone_sha256_hex(const void *data, size_t n, char out[HONE_HASH_HEX]) {
    unsigned char digest[32];
    if (EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL) != 1)
        HONE_BUG("EVP_Digest failed");
    digest_to_hex(digest, out);
}

static uint64_t fold(uint64_t a, uint64_t b) {   // 64×64→128 multiply, halves xored: mixes every bit into every bit
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

uint64_t hone_hash64(const void *data, size_t n, uint64_t seed) {
    const uint8_t *p = data;
    uint64_t h = fold(seed ^ 0x9E3779B97F4A7C15u, (uint64_t)n ^ 0xD1B54A32D192ED03u);
    size_t left = n;
    for (; left >= 16; p += 16, left -= 16)
        h = fold(load64(p) ^ h, load64(p + 8) ^ 0x8EBC6AF09C88C6E3u);
    uint8_t tail[16] = {0};
    memcpy(tail, p, left);
    h = fold(load64(tail) ^ h, load64(tail + 8) ^ 0x589965CC75374CC3u);
    return fold(h ^ 0xA0761D6478BD642Fu, h ^ 0xE7037ED1A0B428DBu);
}
