// Ed25519 through libcrypto, and the user's key file. See sign.h.
#include "base/sign.h"
#include "base/io.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PUBLIC_BYTES = 32, SIGNATURE_BYTES = 64, MAX_KEY_FILE = 4096 };
struct hone_key {
    EVP_PKEY *pkey;
    char public_hex[HONE_PUBLIC_HEX];
};

// ---- hex

static void to_hex(const unsigned char *v, size_t n, char *out) {
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", v[i]);
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool from_hex(const char *hex, unsigned char *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return hex[2 * n] == 0;
}

// ---- the key file

char *hone_config_dir(void) {
    const char *own = getenv("HONE_CONFIG_DIR"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (own && *own)
        return hone_strdup(own);
    if (xdg && *xdg == '/')
        return hone_path_join(xdg, "hone");
    return home && *home == '/' ? hone_path_join(home, ".config/hone") : NULL;
}

static hone_code write_all(int fd, const char *data, size_t n, const char *path, hone_err *e) {
    for (size_t done = 0; done < n;) {
        ssize_t w = write(fd, data + done, n - done);
        if (w < 0 && errno != EINTR)
            return hone_fail(e, HONE_E_IO, errno, "cannot write the key '%s': %s", path, strerror(errno));
        done += w > 0 ? (size_t)w : 0;
    }
    return fsync(fd) == 0 ? HONE_OK : hone_fail(e, HONE_E_IO, errno, "cannot write the key '%s': %s", path, strerror(errno));
}

// Written beside its place and linked there: of two processes that make one at the same time, both use the first.
static hone_code put_key_file(const char *path, const char *pem, size_t n, hone_err *e) {
    char beside[4200];
    if ((size_t)snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid()) >= sizeof beside)
        return hone_fail(e, HONE_E_LIMIT, 0, "the name of the key file is too long: '%s'", path);
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return hone_fail(e, HONE_E_IO, errno, "cannot make the key '%s': %s", path, strerror(errno));
    hone_code c = write_all(fd, pem, n, path, e);
    close(fd);
    if (c == HONE_OK && link(beside, path) != 0 && errno != EEXIST)
        c = hone_fail(e, HONE_E_IO, errno, "cannot make the key '%s': %s", path, strerror(errno));
    unlink(beside);
    return c;
}

static EVP_PKEY *new_key(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); }

static hone_code make_key_file(const char *dir, const char *path, hone_err *e) {
    HONE_TRY(hone_mkdirs(dir, e));
    EVP_PKEY *k = new_key();
    BIO *b = k ? BIO_new(BIO_s_mem()) : NULL;
    char *pem = NULL;
    long n = b && PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) == 1 ? BIO_get_mem_data(b, &pem) : 0;
    hone_code c = n > 0 ? put_key_file(path, pem, (size_t)n, e) : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a key");
    BIO_free(b);
    EVP_PKEY_free(k);
    return c;
}

static hone_code check_mode(const char *path, hone_err *e) {
    struct stat st;
    if (stat(path, &st) != 0)
        return hone_fail(e, HONE_E_IO, errno, "cannot read the key '%s': %s", path, strerror(errno));
    if (!(st.st_mode & 077))
        return HONE_OK;
    hone_fail(e, HONE_E_CORRUPT, 0, "others may use the key '%s': its mode is %03o", path, (unsigned)st.st_mode & 0777u);
    return hone_hint(e, "chmod 600 it, or move it away to get a new one");
}

static hone_code read_key_file(const char *path, EVP_PKEY **out, hone_err *e) {
    char *pem = NULL;
    size_t n;
    HONE_TRY(check_mode(path, e));
    HONE_TRY(hone_read_file(path, MAX_KEY_FILE, &pem, &n, e));
    BIO *b = BIO_new_mem_buf(pem, (int)n);
    *out = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
    BIO_free(b);
    memset(pem, 0, n);
    hone_free(pem);
    if (*out && EVP_PKEY_is_a(*out, "ED25519"))
        return HONE_OK;
    EVP_PKEY_free(*out);
    *out = NULL;
    hone_fail(e, HONE_E_CORRUPT, 0, "no Ed25519 key: '%s'", path);
    return hone_hint(e, "move the file away to get a new one");
}

static hone_code key_of_folder(const char *dir, EVP_PKEY **out, hone_err *e) {
    char *path = hone_path_join(dir, "key.pem");
    if (!path)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a key");
    hone_code c = hone_is_file(path) ? HONE_OK : make_key_file(dir, path, e);
    if (c == HONE_OK)
        c = read_key_file(path, out, e);
    hone_free(path);
    return c;
}

hone_code hone_key_open(const char *dir, hone_key **out, hone_err *e) {
    *out = NULL;
    hone_key *k = hone_calloc(1, sizeof *k);
    if (!k)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a key");
    hone_code c = dir ? key_of_folder(dir, &k->pkey, e) : HONE_OK;
    if (!dir)
        k->pkey = new_key();
    unsigned char raw[PUBLIC_BYTES];
    size_t n = sizeof raw;
    if (c == HONE_OK && (!k->pkey || EVP_PKEY_get_raw_public_key(k->pkey, raw, &n) != 1 || n != sizeof raw))
        c = hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a key");
    if (c != HONE_OK) {
        hone_key_free(k);
        return c;
    }
    to_hex(raw, sizeof raw, k->public_hex);
    *out = k;
    return HONE_OK;
}

void hone_key_free(hone_key *k) {
    if (k)
        EVP_PKEY_free(k->pkey);
    hone_free(k);
}

const char *hone_key_public(const hone_key *k) { return k->public_hex; }

// ---- signing and checking

hone_code hone_key_sign(const hone_key *k, const void *data, size_t n, char out[HONE_SIGNATURE_HEX], hone_err *e) {
    unsigned char raw[SIGNATURE_BYTES];
    size_t len = sizeof raw;
    EVP_MD_CTX *x = EVP_MD_CTX_new();
    bool ok = x && EVP_DigestSignInit(x, NULL, NULL, NULL, k->pkey) == 1 && EVP_DigestSign(x, raw, &len, data, n) == 1 && len == sizeof raw;
    EVP_MD_CTX_free(x);
    if (!ok)
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for a signature");
    to_hex(raw, sizeof raw, out);
    return HONE_OK;
}

hone_code hone_signature_check(const char *public_hex, const void *data, size_t n, const char *signature_hex, hone_err *e) {
    unsigned char raw[PUBLIC_BYTES], signature[SIGNATURE_BYTES];
    if (!from_hex(public_hex, raw, sizeof raw))
        return hone_fail(e, HONE_E_CORRUPT, 0, "not a public key: '%.80s'", public_hex);
    if (!from_hex(signature_hex, signature, sizeof signature))
        return hone_fail(e, HONE_E_CORRUPT, 0, "not a signature: '%.140s'", signature_hex);
    EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
    EVP_MD_CTX *x = k ? EVP_MD_CTX_new() : NULL;
    bool ok = x && EVP_DigestVerifyInit(x, NULL, NULL, NULL, k) == 1 && EVP_DigestVerify(x, signature, sizeof signature, data, n) == 1;
    EVP_MD_CTX_free(x);
    EVP_PKEY_free(k);
    return ok ? HONE_OK : hone_fail(e, HONE_E_CORRUPT, 0, "the signature is not that of key %.16s…", public_hex);
}
