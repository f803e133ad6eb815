// store/text: candidate texts. A candidate differs from its task by a few lines, so each text is compressed by zstd with the run's first
// text (the task) as dictionary, and equal texts (other tune values) are kept once. Outcomes use the same packing without a dictionary.
#include "store/internal.h"
#include <string.h>
#include <zstd.h>

enum { LEVEL = 9 };

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory in the archive"); }

hone_code hone_store_pack(const void *data, size_t n, const void *dict, size_t n_dict, char **out, size_t *n_out, hone_err *e) {
    *out = NULL;
    if (n > HONE_STORE_MAX_TEXT)
        return hone_fail(e, HONE_E_LIMIT, 0, "text of %zu bytes is too long for the archive (at most %d)", n, HONE_STORE_MAX_TEXT);
    size_t cap = ZSTD_compressBound(n);
    char *buf = hone_malloc(cap ? cap : 1);
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t r = buf && z ? ZSTD_compress_usingDict(z, buf, cap, data, n, dict, n_dict, LEVEL) : 0;
    ZSTD_freeCCtx(z);
    if (!buf || !z || ZSTD_isError(r)) {
        hone_free(buf);
        return nomem(e);
    }
    *out = buf;
    *n_out = r;
    return HONE_OK;
}

hone_code hone_store_unpack(const void *data, size_t n, const void *dict, size_t n_dict, char **out, size_t *n_out, hone_err *e) {
    *out = NULL;
    unsigned long long size = ZSTD_getFrameContentSize(data, n);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > HONE_STORE_MAX_TEXT)
        return hone_fail(e, HONE_E_CORRUPT, 0, "archive holds a text that cannot be decompressed");
    char *buf = hone_malloc((size_t)size + 1);
    ZSTD_DCtx *z = ZSTD_createDCtx();
    size_t r = buf && z ? ZSTD_decompress_usingDict(z, buf, (size_t)size, data, n, dict, n_dict) : 0;
    ZSTD_freeDCtx(z);
    if (!buf || !z) {
        hone_free(buf);
        return nomem(e);
    }
    if (ZSTD_isError(r) || r != (size_t)size) {
        hone_free(buf);
        return hone_fail(e, HONE_E_CORRUPT, 0, "archive holds a text that cannot be decompressed: %s",
                         ZSTD_isError(r) ? ZSTD_getErrorName(r) : "wrong length");
    }
    buf[size] = 0;
    *out = buf;
    *n_out = (size_t)size;
    return HONE_OK;
}

void hone_store_forget_dict(hone_store *s) {
    hone_free(s->dict);
    s->dict = NULL;
    s->dict_len = 0;
    s->has_dict = false;
}

// Loads the run's first text as dictionary; without one yet, has_dict stays false.
static hone_code load_dict(hone_store *s, uint64_t run, hone_err *e) {
    if (s->has_dict && s->dict_run == run)
        return HONE_OK;
    hone_store_forget_dict(s);
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_FIRST_TEXT, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE)
        return HONE_OK;
    if (rc != SQLITE_ROW)
        return hone_store_sql_fail(s, "read a text", e);
    s->dict_id = sqlite3_column_int64(st, 0);
    hone_code c = hone_store_unpack(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1), NULL, 0, &s->dict, &s->dict_len, e);
    sqlite3_reset(st);
    s->has_dict = c == HONE_OK;
    s->dict_run = run;
    return c;
}

static hone_code find_text(hone_store *s, uint64_t run, const char *sha, int64_t *id, hone_err *e) {
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_FIND_TEXT, &st, e));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
    sqlite3_bind_text(st, 2, sha, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    *id = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HONE_OK : hone_store_sql_fail(s, "read a text", e);
}

hone_code hone_store_put_text(hone_store *s, uint64_t run, const char *text, size_t len, int64_t *id, hone_err *e) {
    char sha[HONE_HASH_HEX];
    hone_sha256_hex(text, len, sha);
    HONE_TRY(find_text(s, run, sha, id, e));
    if (*id)
        return HONE_OK;
    HONE_TRY(load_dict(s, run, e));
    char *data;
    size_t n;
    HONE_TRY(hone_store_pack(text, len, s->has_dict ? s->dict : NULL, s->has_dict ? s->dict_len : 0, &data, &n, e));
    sqlite3_stmt *st;
    hone_code c = hone_store_stmt(s, HONE_STMT_ADD_TEXT, &st, e);
    if (c == HONE_OK) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)run);
        sqlite3_bind_text(st, 2, sha, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, (sqlite3_int64)len);
        if (s->has_dict)
            sqlite3_bind_int64(st, 4, s->dict_id);
        sqlite3_bind_blob64(st, 5, data, n, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_DONE)
            c = hone_store_sql_fail(s, "store a text", e);
        else
            *id = sqlite3_last_insert_rowid(s->db);
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
    }
    hone_free(data);
    return c;
}

hone_code hone_store_get_text(hone_store *s, uint64_t run, int64_t id, char **text, size_t *len, hone_err *e) {
    *text = NULL;
    HONE_TRY(load_dict(s, run, e));
    sqlite3_stmt *st;
    HONE_TRY(hone_store_stmt(s, HONE_STMT_GET_TEXT, &st, e));
    sqlite3_bind_int64(st, 1, id);
    if (sqlite3_step(st) != SQLITE_ROW)
        return hone_store_sql_fail(s, "read a text", e);
    bool with_dict = sqlite3_column_type(st, 0) != SQLITE_NULL;
    hone_code c = hone_store_unpack(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1), with_dict ? s->dict : NULL,
                                    with_dict ? s->dict_len : 0, text, len, e);
    sqlite3_reset(st);
    return c;
}
