// Who signed a certificate, and what lies beside it. Trusted keys: a file with one public key a line, a name after it. See provenance.h.
#include "cli/provenance.h"
#include "store/store.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TRUSTED_BYTES = 1 << 20, MAX_FILE_BYTES = 256 << 20 };

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void differs(json_t *checks, const char *name, const char *expected, const char *found) {
    json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:b}", "name", name, "expected", expected, "found", found, "agrees", 0));
}

// ---- the signer

static bool is_own(const char *dir, const char *key) {
    char *path = hone_path_join(dir, "key.pem");
    hone_key *own = NULL;
    hone_err ignored = {0};
    bool same = path && hone_is_file(path) && hone_key_open(dir, &own, &ignored) == HONE_OK && !strcmp(hone_key_public(own), key);
    hone_key_free(own);
    hone_free(path);
    return same;
}

// The rest of the key's line; caller owns; NULL when it is not there.
static char *trusted_name(const char *dir, const char *key) {
    char *path = hone_path_join(dir, "trusted_keys"), *data = NULL, *name = NULL;
    size_t len, n = strlen(key);
    if (path && n && hone_is_file(path) && hone_read_file(path, MAX_TRUSTED_BYTES, &data, &len, NULL) == HONE_OK) {
        char *rest = NULL;
        for (char *line = strtok_r(data, "\r\n", &rest); line && !name; line = strtok_r(NULL, "\r\n", &rest))
            if (!strncmp(line, key, n) && (!line[n] || line[n] == ' ' || line[n] == '\t'))
                name = hone_strdup(line + n + strspn(line + n, " \t"));
    }
    hone_free(data);
    hone_free(path);
    return name;
}

static void put_signer(json_t *o, const char *key) {
    char *dir = hone_config_dir();
    bool own = dir && is_own(dir, key);
    char *name = dir && !own ? trusted_name(dir, key) : NULL;
    json_object_set_new(o, "key", json_string(key));
    json_object_set_new(o, "signer", json_string(own ? "yours" : name ? "trusted" : "unknown"));
    if (name)
        json_object_set_new(o, "name", json_string(name));
    hone_free(name);
    hone_free(dir);
}

// ---- the archive beside it

static void check_text(json_t *checks, const char *name, const char *expected, const char *found) {
    if (strcmp(expected, found) != 0)
        differs(checks, name, expected, found);
}

static void compare_archive(const json_t *a, const hone_store_chain *k, json_t *checks) {
    char expected[32], found[64];
    snprintf(expected, sizeof expected, "%lld", (long long)json_integer_value(json_object_get(a, "rows")));
    snprintf(found, sizeof found, "%llu", (unsigned long long)k->rows);
    check_text(checks, "archive: rows", expected, found);
    snprintf(found, sizeof found, "broken at row %llu", (unsigned long long)k->broken_seq);
    check_text(checks, "archive: chain", "intact", k->broken ? found : "intact");
    check_text(checks, "archive: hash of the last row", text(a, "head"), k->head);
    check_text(checks, "archive: digest of everything", text(a, "digest"), k->digest);
}

static const char *archive_state(const json_t *certificate, const char *dir, json_t *checks) {
    const json_t *a = json_object_get(certificate, "archive");
    char *db = hone_path_join(dir, "archive.db");
    bool there = db && hone_is_file(db);
    hone_free(db);
    if (!json_is_object(a) || !there)
        return "absent";
    if (json_is_false(json_object_get(a, "intact")))
        differs(checks, "archive: chain when it was signed", "intact", "broken");
    hone_store *s = NULL;
    hone_store_chain k;
    hone_err why = {0};
    size_t before = json_array_size(checks);
    hone_code c = hone_store_open(dir, true, &s, &why);
    if (c == HONE_OK)
        c = hone_store_check(s, (uint64_t)json_integer_value(json_object_get(a, "run")), &k, &why);
    if (c == HONE_OK)
        compare_archive(a, &k, checks);
    else
        differs(checks, "archive", "readable", why.msg);
    if (s)
        hone_store_close(s);
    return json_array_size(checks) > before ? "differs" : "matches";
}

// ---- files beside it

static bool file_is(const char *dir, const char *name, const char *expected, json_t *checks) {
    char *path = hone_path_join(dir, name), *data = NULL, hex[HONE_HASH_HEX];
    size_t n;
    bool there = path && !strchr(name, '/') && hone_is_file(path) && hone_read_file(path, MAX_FILE_BYTES, &data, &n, NULL) == HONE_OK;
    hone_free(path);
    if (!there)
        return false;
    hone_sha256_hex(data, n, hex);
    hone_free(data);
    check_text(checks, name, expected, hex);
    return !strcmp(hex, expected);
}

static json_t *files_that_match(const json_t *certificate, const char *dir, json_t *checks) {
    json_t *files = json_object_get(json_object_get(certificate, "hashes"), "files"), *value, *out = json_array();
    const char *name;
    json_object_foreach(files, name, value) {
        const char *hash = json_string_value(value);
        if (hash && file_is(dir, name, hash, checks))
            json_array_append_new(out, json_string(name));
    }
    return out;
}

hone_code cli_provenance(const json_t *certificate, const char *path, json_t *checks, json_t **out, hone_err *e) {
    const char *base = hone_path_base(path);
    char *dir = base > path ? hone_strndup(path, (size_t)(base - path)) : hone_strdup(".");
    *out = dir ? json_object() : NULL;
    if (*out) {
        put_signer(*out, text(certificate, "key"));
        json_object_set_new(*out, "archive", json_string(archive_state(certificate, dir, checks)));
        json_object_set_new(*out, "files", files_that_match(certificate, dir, checks));
    }
    hone_free(dir);
    return *out ? HONE_OK : hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the certificate");
}
