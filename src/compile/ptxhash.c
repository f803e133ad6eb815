// When are two PTX texts the same program? Without comments, line tables, debug sections and spacing. Two sources that normalise alike
// never need to be run twice.
#include "compile/compile.h"
#include <string.h>

// Copies without comments; strings are kept whole. out has room for len+1 bytes.
static size_t strip_comments(const char *s, size_t n, char *out) {
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        if (s[i] == '"') {
            size_t from = i++;
            while (i < n && s[i] != '"' && s[i] != '\n')
                i += s[i] == '\\' && i + 1 < n ? 2 : 1;
            i += i < n && s[i] == '"';
            memcpy(out + o, s + from, i - from);
            o += i - from;
        } else if (s[i] == '/' && i + 1 < n && s[i + 1] == '/') {
            while (i < n && s[i] != '\n')
                i++;
        } else if (s[i] == '/' && i + 1 < n && s[i + 1] == '*') {
            i += 2;
            while (i + 1 < n && !(s[i] == '*' && s[i + 1] == '/'))
                i++;
            i = i + 2 < n ? i + 2 : n;
            out[o++] = ' ';
        } else {
            out[o++] = s[i++];
        }
    }
    return o;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static bool begins(const char *s, size_t n, const char *word) {
    size_t k = strlen(word);
    return n >= k && memcmp(s, word, k) == 0;
}

static bool is_debug_line(const char *s, size_t n) {
    static const char *const words[] = {".loc", ".file", "$L__tmp", "$L__func_begin", "$L__func_end", "$L__info_string", "$L__debug"};
    for (size_t i = 0; i < HONE_COUNT(words); i++)
        if (begins(s, n, words[i]))
            return true;
    return false;
}

// One line with runs of blanks as one; returns bytes written, newline included, or 0 for an empty line.
static size_t squeeze(const char *s, size_t n, char *out) {
    size_t o = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_space(s[i]))
            out[o++] = s[i];
        else if (o && out[o - 1] != ' ')
            out[o++] = ' ';
    while (o && out[o - 1] == ' ')
        o--;
    if (o)
        out[o++] = '\n';
    return o;
}

char *hone_ptx_normalise(const char *ptx, size_t len, size_t *out_len) {
    char *plain = hone_malloc(len + 1), *out = hone_malloc(2 * len + 2);
    size_t o = 0;
    if (plain && out) {
        size_t n = strip_comments(ptx, len, plain);
        bool in_section = false;
        for (size_t i = 0; i < n;) {
            const char *nl = memchr(plain + i, '\n', n - i);
            size_t line = nl ? (size_t)(nl - plain) - i : n - i;
            const char *s = plain + i;
            size_t k = line;
            while (k && is_space(*s))
                s++, k--;
            i += line + 1;
            if (begins(s, k, ".section"))
                in_section = true;
            if (!in_section && !is_debug_line(s, k))
                o += squeeze(s, k, out + o);
            if (in_section && memchr(s, '}', k))
                in_section = false;
        }
        out[o] = 0;
    } else {
        hone_free(out);
        out = NULL;
    }
    hone_free(plain);
    *out_len = out ? o : 0;
    return out;
}

void hone_ptx_hash(const char *ptx, size_t len, char out[HONE_HASH_HEX]) {
    size_t n;
    char *text = hone_ptx_normalise(ptx, len, &n);
    if (text)
        hone_sha256_hex(text, n, out);
    else
        hone_sha256_hex(ptx, len, out);   // out of memory: still a valid address, only less shared
    hone_free(text);
}
