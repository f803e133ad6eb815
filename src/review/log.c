// review/log: reading, verifying and extending reviews.jsonl. One line is one entry as canonical JSON (compact, keys sorted); its `hash` is the SHA-256
// of the same object without that member, and `prev` the hash of the line before it.
#include "base/visible.h"
#include "review/review.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAX_LOG_BYTES = 16 << 20, CANONICAL = JSON_COMPACT | JSON_SORT_KEYS };
static const char zeros[HONE_HASH_HEX] = "0000000000000000000000000000000000000000000000000000000000000000";
static const char *const action_names[HONE_REVIEW_ACTIONS] = {"approve", "reject", "comment"};

const char *hone_review_action_name(hone_review_action a) { return a < HONE_REVIEW_ACTIONS ? action_names[a] : "unknown"; }

static hone_code nomem(hone_err *e) { return hone_fail(e, HONE_E_NOMEM, 0, "out of memory for the review log"); }

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

// ---- verifying

static bool hash_of(const json_t *entry, char hex[HONE_HASH_HEX]) {
    json_t *bare = json_copy((json_t *)(uintptr_t)entry);   // shallow
    if (bare)
        json_object_del(bare, "hash");
    char *text = bare ? json_dumps(bare, CANONICAL) : NULL;
    if (text)
        hone_sha256_hex(text, strlen(text), hex);
    json_decref(bare);
    bool ok = text != NULL;
    free(text);
    return ok;
}

// The line must be the canonical form itself: what looks the same to a parser but is other bytes is an edit.
static bool is_canonical(const json_t *entry, const char *line, size_t n) {
    char *text = json_dumps(entry, CANONICAL);
    bool same = text && strlen(text) == n && memcmp(text, line, n) == 0;
    free(text);
    return same;
}

static const char *fault_of(const json_t *entry, const char *line, size_t n, const hone_review_log *l) {
    char hex[HONE_HASH_HEX];
    if (!json_is_object(entry))
        return "it is no JSON object";
    if (strcmp(text_of(entry, "schema"), HONE_REVIEW_SCHEMA) != 0)
        return "its schema is not " HONE_REVIEW_SCHEMA;
    if (!is_canonical(entry, line, n))
        return "it is not in the form in which hone writes entries";
    if (!hash_of(entry, hex) || strcmp(hex, text_of(entry, "hash")) != 0)
        return "its contents do not give its hash: it was edited";
    if (strcmp(text_of(entry, "prev"), l->head) != 0)
        return "it does not follow the line before it: a line was removed, added or moved";
    if (json_integer_value(json_object_get(entry, "seq")) != (json_int_t)json_array_size(l->entries))
        return "its number is not the next one";
    return NULL;
}

static void take_line(hone_review_log *l, const char *line, size_t n, size_t number) {
    json_t *entry = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    const char *fault = fault_of(entry, line, n, l);
    if (fault) {
        l->broken_line = number;
        snprintf(l->why, sizeof l->why, "%s", fault);
        json_decref(entry);
        return;
    }
    memcpy(l->head, text_of(entry, "hash"), HONE_HASH_HEX);
    json_array_append_new(l->entries, entry);
}

hone_code hone_review_parse(const char *text, size_t n, hone_review_log *out, hone_err *e) {
    *out = (hone_review_log){.entries = json_array()};
    memcpy(out->head, zeros, sizeof zeros);
    if (!out->entries)
        return nomem(e);
    size_t at = 0;
    for (size_t number = 1; at < n && !out->broken_line; number++) {
        const char *end = memchr(text + at, '\n', n - at);
        if (!end) {
            out->broken_line = number;
            snprintf(out->why, sizeof out->why, "it has no end: the file was cut");
            break;
        }
        take_line(out, text + at, (size_t)(end - text) - at, number);
        at = (size_t)(end - text) + 1;
    }
    return HONE_OK;
}

void hone_review_log_free(hone_review_log *l) {
    json_decref(l->entries);
    *l = (hone_review_log){0};
}

hone_code hone_review_read(const char *dir, hone_review_log *out, hone_err *e) {
    char *path = hone_path_join(dir, "reviews.jsonl"), *text = NULL;
    size_t n = 0;
    if (!path)
        return nomem(e);
    hone_code c = hone_is_file(path) ? hone_read_file(path, MAX_LOG_BYTES, &text, &n, e) : HONE_OK;
    if (c == HONE_OK)
        c = hone_review_parse(text ? text : "", n, out, e);
    hone_free(text);
    hone_free(path);
    return c;
}

// ---- extending

static hone_code check_entry(const hone_review_entry *x, hone_err *e) {
    if (!x->by || !*x->by || strlen(x->by) > HONE_REVIEW_MAX_NAME)
        return hone_fail(e, HONE_E_USAGE, 0, "a review needs the reviewer's name, at most %d bytes of it", HONE_REVIEW_MAX_NAME);
    if (!x->reason || !*x->reason || strlen(x->reason) > HONE_REVIEW_MAX_REASON)
        return hone_fail(e, HONE_E_USAGE, 0, "a review needs a reason, at most %d bytes of it", HONE_REVIEW_MAX_REASON);
    return HONE_OK;
}

static json_t *entry_json(const hone_review_entry *x, const hone_review_log *l) {
    json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "schema", HONE_REVIEW_SCHEMA, "seq",
                          (json_int_t)json_array_size(l->entries), "prev", l->head, "time", x->time, "action", hone_review_action_name(x->action),
                          "candidate", (json_int_t)x->candidate, "text_sha256", x->text_sha256, "task_hash", x->task_hash, "by", x->by, "reason",
                          x->reason);
    char hex[HONE_HASH_HEX];
    if (o && hash_of(o, hex) && json_object_set_new(o, "hash", json_string(hex)) == 0)
        return o;
    json_decref(o);
    return NULL;
}

static hone_code read_all(int fd, hone_str *out, const char *path, hone_err *e) {
    char chunk[16384];
    ssize_t n;
    while ((n = pread(fd, chunk, sizeof chunk, (off_t)out->len)) > 0 && !out->failed)
        hone_str_addn(out, chunk, (size_t)n);
    return n < 0 ? hone_fail(e, HONE_E_IO, errno, "cannot read '%s': %s", path, strerror(errno)) : hone_str_check(out, "the review log", e);
}

static hone_code write_line(int fd, const json_t *entry, off_t at, const char *path, hone_err *e) {
    char *text = json_dumps(entry, CANONICAL);
    if (!text)
        return nomem(e);
    size_t n = strlen(text);
    text[n] = '\n';   // over the terminator
    ssize_t done = write(fd, text, n + 1);
    int why = errno;
    free(text);
    if (done == (ssize_t)n + 1 && fsync(fd) == 0)
        return HONE_OK;
    if (done > 0 && ftruncate(fd, at) != 0) {   // half a line would break the chain; when it stays, verification names it
        ;
    }
    return hone_fail(e, HONE_E_IO, why, "cannot write '%s': %s", path, strerror(why));
}

static hone_code extend(int fd, const hone_review_entry *x, const char *path, hone_err *e) {
    hone_str text;
    hone_review_log l = {0};
    hone_str_init(&text, MAX_LOG_BYTES);
    hone_code c = read_all(fd, &text, path, e);
    if (c == HONE_OK)
        c = hone_review_parse(text.s, text.len, &l, e);
    if (c == HONE_OK && l.broken_line) {
        c = hone_fail(e, HONE_E_CORRUPT, 0, "the review log '%s' is broken at line %zu: %s", path, l.broken_line, l.why);
        hone_hint(e, "move the file away; earlier decisions do not count then");
    }
    json_t *entry = c == HONE_OK ? entry_json(x, &l) : NULL;
    if (c == HONE_OK)
        c = entry ? write_line(fd, entry, (off_t)text.len, path, e)
                  : hone_fail(e, HONE_E_USAGE, 0, "a reviewer's name and reason must be UTF-8");
    json_decref(entry);
    hone_review_log_free(&l);
    hone_str_free(&text);
    return c;
}

hone_code hone_review_append(const char *dir, const hone_review_entry *x, hone_err *e) {
    HONE_TRY(check_entry(x, e));
    char *path = hone_path_join(dir, "reviews.jsonl");
    if (!path)
        return nomem(e);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    hone_code c;
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        c = hone_fail(e, HONE_E_IO, errno, "cannot open '%s': %s", path, strerror(errno));
    else
        c = extend(fd, x, path, e);
    if (fd >= 0)
        close(fd);
    hone_free(path);
    return c;
}

// ---- deciding

const json_t *hone_review_decision(const hone_review_log *l, const char *text_sha256, const char *task_hash) {
    for (size_t i = json_array_size(l->entries); i-- > 0;) {
        const json_t *x = json_array_get(l->entries, i);
        if (strcmp(text_of(x, "action"), "comment") != 0 && !strcmp(text_of(x, "text_sha256"), text_sha256) &&
            !strcmp(text_of(x, "task_hash"), task_hash))
            return x;
    }
    return NULL;
}

static void rejected(const char *dir, const json_t *x, hone_err *e) {
    char *by = hone_visible(text_of(x, "by"), strlen(text_of(x, "by")));
    char *why = hone_visible(text_of(x, "reason"), strlen(text_of(x, "reason")));
    hone_fail(e, HONE_E_USAGE, 0, "the kernel in '%s' was rejected by %.128s: %.300s", dir, by ? by : "", why ? why : "");
    hone_free(by);
    hone_free(why);
}

static hone_code judge(const hone_review_log *l, const char *dir, const char *text_sha256, const char *task_hash, hone_err *e) {
    if (l->broken_line) {
        hone_fail(e, HONE_E_CORRUPT, 0, "the review log of '%s' is broken at line %zu: %s", dir, l->broken_line, l->why);
        return hone_hint(e, "'hone review %s --log' shows it; no approval counts while it is broken", dir);
    }
    const json_t *x = hone_review_decision(l, text_sha256, task_hash);
    if (x && !strcmp(text_of(x, "action"), "approve"))
        return HONE_OK;
    if (x)
        rejected(dir, x, e);
    else
        hone_fail(e, HONE_E_USAGE, 0, "nobody has reviewed the kernel in '%s'", dir);
    return hone_hint(e, "'hone review %s' shows what to look at and takes the decision; --accept-unreviewed goes without", dir);
}

hone_code hone_review_require(const char *dir, const char *text_sha256, const char *task_hash, hone_err *e) {
    hone_review_log l;
    HONE_TRY(hone_review_read(dir, &l, e));
    hone_code c = judge(&l, dir, text_sha256, task_hash, e);
    hone_review_log_free(&l);
    return c;
}
