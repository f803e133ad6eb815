// suppress: findings that somebody has looked at and wants to see no more. A file of lines
//
//     kind:function:file:line        # comment
//
// kind, function and file are shell patterns (file is matched as given and by its last part), line a number; what is empty or missing matches everything.
#ifndef HONE_BASE_SUPPRESS_H
#define HONE_BASE_SUPPRESS_H
#include "base/err.h"

typedef struct hone_suppressions hone_suppressions;
// errors: HONE_E_IO; HONE_E_PARSE with the line. owns: free with hone_suppressions_free
hone_code hone_suppressions_load(const char *path, hone_suppressions **out, hone_err *e);
void hone_suppressions_free(hone_suppressions *s);
// Is a finding one of them? s NULL: no. Texts may be NULL.
bool hone_suppressed(const hone_suppressions *s, const char *kind, const char *function, const char *file, unsigned line);
#endif
