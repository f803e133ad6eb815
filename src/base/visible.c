// Texts of others for a person's eyes or for JSON; see visible.h. Tabs and line ends stay; what a terminal would act on, or what would change the
// order or the visibility of other characters, is spelled out. Bytes that are no UTF-8 become <XX>.
#include "base/base.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/visible.h"
#include <stdint.h>
#include <string.h>

enum { MAX_VISIBLE = 256 << 20 };

// Length of the UTF-8 sequence at s and its code point; 0 when it is none.
static size_t decode(const unsigned char *s, size_t n, uint32_t *cp) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    *cp = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *cp = *cp << 6 | (s[i] & 0x3f);
    }
    return *cp < least[len] || (*cp >= 0xd800 && *cp < 0xe000) || *cp > 0x10ffff ? 0 : len;
}

static bool hides(uint32_t cp) {
    static const struct { uint32_t from, to; } ranges[] = {
        {0x00, 0x08},     {0x0b, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},     {0x115f, 0x1160},
        {0x180b, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < HONE_COUNT(ranges); i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to)
            return true;
    return false;
}

char *hone_visible(const char *text, size_t n) {
    hone_str out;
    hone_str_init(&out, MAX_VISIBLE);
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t len = decode((const unsigned char *)text + i, n - i, &cp);
        if (len == 0)
            hone_str_addf(&out, "<%02X>", (unsigned)(unsigned char)text[i]);
        else if (hides(cp))
            hone_str_addf(&out, "<U+%04X>", (unsigned)cp);
        else
            hone_str_addn(&out, text + i, len);
        i += len ? len : 1;
    }
    char *own = out.failed ? NULL : hone_str_take(&out);
    hone_str_free(&out);
    return own;
}

bool hone_is_utf8(const char *text, size_t n, size_t *bad) {
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t len = decode((const unsigned char *)text + i, n - i, &cp);
        if (len == 0 || cp == 0) {
            *bad = i;
            return false;
        }
        i += len;
    }
    return true;
}
