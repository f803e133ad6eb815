// propose/llm_reply: exactly one fenced block out of a reply. Fences are lines of three or more backquotes (CommonMark 4.5), at most three spaces in; a
// block is closed by a bare fence at least as long.
#include "propose/llm_internal.h"
#include <string.h>

typedef struct line { const char *s; size_t n; } line;

static line next_line(const char **p, const char *end) {
    const char *nl = memchr(*p, '\n', (size_t)(end - *p));
    line l = {*p, (size_t)((nl ? nl : end) - *p)};
    *p = nl ? nl + 1 : end;
    return l;
}

// Number of backquotes when the line is a fence; *bare: nothing follows them.
static size_t fence(line l, bool *bare) {
    size_t i = 0, n = 0;
    while (i < l.n && i < 3 && l.s[i] == ' ')
        i++;
    while (i + n < l.n && l.s[i + n] == '`')
        n++;
    size_t rest = i + n;
    while (rest < l.n && (l.s[rest] == ' ' || l.s[rest] == '\t' || l.s[rest] == '\r'))
        rest++;
    *bare = rest == l.n;
    return n >= 3 && !memchr(l.s + i + n, '`', l.n - i - n) ? n : 0;
}

static bool no(const char **why, const char **words, const char *name, const char *sentence) {
    *why = name;
    *words = sentence;
    return false;
}

bool hone_reply_file(const char *text, size_t len, hone_span *file, const char **why, const char **words) {
    const char *p = text, *end = text + len, *from = NULL;
    size_t open = 0, blocks = 0;
    while (p < end) {
        const char *start = p;
        bool bare;
        size_t n = fence(next_line(&p, end), &bare);
        if (!open && n) {
            open = n;
            from = p;
            blocks++;
        } else if (open && n >= open && bare) {
            if (blocks == 1)
                *file = (hone_span){from, (size_t)(start - from)};
            open = 0;
        }
    }
    if (blocks == 0)
        return no(why, words, "reply.no-block", "it holds no fenced code block");
    if (blocks > 1)
        return no(why, words, "reply.many-blocks", "it holds more than one fenced code block");
    if (open)
        return no(why, words, "reply.cut", "its code block is never closed");
    if (file->n > HONE_REPLY_FILE_MAX)
        return no(why, words, "reply.too-large", "its code block is larger than 256 KiB");
    if (memchr(file->s, '\0', file->n))
        return no(why, words, "task.syntax", "its code block holds a NUL byte");
    return true;
}
