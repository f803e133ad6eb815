// csv: a reader of comma-separated values as RFC 4180 describes them: quoted fields, doubled quotes, line breaks inside quotes, LF or CRLF. Errors name
// the file and the line.
#ifndef HONE_IMPORT_CSV_H
#define HONE_IMPORT_CSV_H
#include "base/base.h"

enum { HONE_CSV_MAX_FIELDS = 16384, HONE_CSV_MAX_RECORD = 4 << 20 };
typedef struct hone_csv {
    const char *path, *text;                 // borrowed
    size_t len, at;
    unsigned line, record_line;              // of what comes next; where the last record began
    hone_str bytes;                          // its fields, unquoted, each NUL-terminated
    HONE_VEC(size_t) starts;
} hone_csv;
void hone_csv_init(hone_csv *r, const char *path, const char *text, size_t len);
void hone_csv_free(hone_csv *r);
// The next record; *more is false at the end of the text. errors: HONE_E_PARSE "PATH:LINE: …", HONE_E_LIMIT, HONE_E_NOMEM.
hone_code hone_csv_next(hone_csv *r, bool *more, hone_err *e);
size_t hone_csv_count(const hone_csv *r);
const char *hone_csv_field(const hone_csv *r, size_t i);   // "" beyond the last; valid until the next record
bool hone_csv_skip_line(hone_csv *r);                      // instead of reading a record; false at the end
#endif
