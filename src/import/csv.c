// Comma-separated values: see csv.h.
#include "import/csv.h"
#include <string.h>

void hone_csv_init(hone_csv *r, const char *path, const char *text, size_t len) {
    memset(r, 0, sizeof *r);
    r->path = path;
    r->text = text;
    r->len = len;
    r->line = 1;
    hone_str_init(&r->bytes, HONE_CSV_MAX_RECORD);
}

void hone_csv_free(hone_csv *r) {
    hone_str_free(&r->bytes);
    hone_vec_free(&r->starts);
}

size_t hone_csv_count(const hone_csv *r) { return r->starts.n; }
const char *hone_csv_field(const hone_csv *r, size_t i) { return i < r->starts.n ? r->bytes.s + r->starts.v[i] : ""; }

static bool at_end_of_line(const hone_csv *r) { return r->at >= r->len || r->text[r->at] == '\n' || (r->text[r->at] == '\r' && r->at + 1 < r->len && r->text[r->at + 1] == '\n'); }

static void take_line_end(hone_csv *r) {
    if (r->at < r->len && r->text[r->at] == '\r')
        r->at++;
    if (r->at < r->len)
        r->at++;
    r->line++;
}

bool hone_csv_skip_line(hone_csv *r) {
    if (r->at >= r->len)
        return false;
    const char *end = memchr(r->text + r->at, '\n', r->len - r->at);
    r->at = end ? (size_t)(end - r->text) : r->len;
    take_line_end(r);
    return true;
}

static hone_code read_quoted(hone_csv *r, hone_err *e) {
    unsigned opened = r->line;
    for (r->at++; r->at < r->len; r->at++) {
        char c = r->text[r->at];
        if (c == '"' && r->at + 1 < r->len && r->text[r->at + 1] == '"') {
            r->at++;
        } else if (c == '"') {
            r->at++;
            return HONE_OK;
        }
        r->line += c == '\n';
        hone_str_addc(&r->bytes, c ? c : ' ');   // fields are C strings
    }
    return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: the quote that opens here is not closed", r->path, opened);
}

static hone_code read_field(hone_csv *r, hone_err *e) {
    if (r->starts.n >= HONE_CSV_MAX_FIELDS)
        return hone_fail(e, HONE_E_LIMIT, 0, "%s:%u: more than %d fields", r->path, r->line, HONE_CSV_MAX_FIELDS);
    if (!hone_vec_push(&r->starts, r->bytes.len))
        return hone_fail(e, HONE_E_NOMEM, 0, "out of memory reading '%s'", r->path);
    bool quoted = r->at < r->len && r->text[r->at] == '"';
    if (quoted)
        HONE_TRY(read_quoted(r, e));
    for (; !at_end_of_line(r) && r->text[r->at] != ','; r->at++) {
        if (quoted)
            return hone_fail(e, HONE_E_PARSE, 0, "%s:%u: text after a closing quote", r->path, r->line);
        hone_str_addc(&r->bytes, r->text[r->at] ? r->text[r->at] : ' ');
    }
    hone_str_addc(&r->bytes, '\0');
    return HONE_OK;
}

hone_code hone_csv_next(hone_csv *r, bool *more, hone_err *e) {
    hone_str_clear(&r->bytes);
    r->starts.n = 0;
    *more = r->at < r->len;
    r->record_line = r->line;
    if (!*more)
        return HONE_OK;
    for (;;) {
        HONE_TRY(read_field(r, e));
        if (at_end_of_line(r))
            break;
        r->at++;   // the comma
    }
    take_line_end(r);
    return hone_str_check(&r->bytes, "a record of a CSV file", e);
}
