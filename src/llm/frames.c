// llm/frames: a byte stream into events. Bytes may come in any pieces, also inside a line ending; a line or event above its maximum ends the stream.
#include "llm/internal.h"
#include <string.h>

void hone_frames_init(hone_frames *f, hone_frames_kind kind, size_t max_event, hone_code (*event)(void *, const char *, size_t, hone_err *), void *self) {
    *f = (hone_frames){.kind = kind, .event = event, .self = self};
    hone_str_init(&f->line, max_event);
    hone_str_init(&f->data, max_event);
}

void hone_frames_free(hone_frames *f) {
    hone_str_free(&f->line);
    hone_str_free(&f->data);
}

static hone_code give(hone_frames *f, const hone_str *text, hone_err *e) {
    HONE_TRY(hone_str_check(text, "an event of the reply", e));
    return f->event(f->self, text->s, text->len, e);
}

static hone_code sse_line(hone_frames *f, hone_err *e) {
    if (f->line.len == 0) {   // an empty line ends the event
        hone_code c = f->has_data ? give(f, &f->data, e) : HONE_OK;
        f->has_data = false;
        hone_str_clear(&f->data);
        return c;
    }
    if (strncmp(f->line.s, "data", 4) != 0 || (f->line.len > 4 && f->line.s[4] != ':'))
        return HONE_OK;   // event, id, retry and comments say nothing that the data does not
    const char *value = f->line.len > 4 ? f->line.s + 5 : "";
    if (f->has_data)
        hone_str_addc(&f->data, '\n');
    hone_str_add(&f->data, value + (*value == ' '));
    f->has_data = true;
    return hone_str_check(&f->data, "an event of the reply", e);
}

static hone_code end_line(hone_frames *f, hone_err *e) {
    HONE_TRY(hone_str_check(&f->line, "a line of the reply", e));
    hone_code c = HONE_OK;
    if (f->kind == HONE_FRAMES_SSE)
        c = sse_line(f, e);
    else if (f->line.len)
        c = give(f, &f->line, e);
    hone_str_clear(&f->line);
    return c;
}

// Lines end with LF, CR LF or CR.
hone_code hone_frames_feed(hone_frames *f, const char *bytes, size_t n, hone_err *e) {
    for (size_t i = 0; i < n;) {
        if (f->after_cr && bytes[i] == '\n') {
            f->after_cr = false;
            i++;
            continue;
        }
        f->after_cr = false;
        size_t from = i;
        while (i < n && bytes[i] != '\n' && bytes[i] != '\r')
            i++;
        hone_str_addn(&f->line, bytes + from, i - from);
        HONE_TRY(hone_str_check(&f->line, "a line of the reply", e));
        if (i == n)
            break;
        f->after_cr = bytes[i++] == '\r';
        HONE_TRY(end_line(f, e));
    }
    return HONE_OK;
}

hone_code hone_frames_end(hone_frames *f, hone_err *e) {
    if (f->kind == HONE_FRAMES_NDJSON && f->line.len)
        return end_line(f, e);
    return HONE_OK;   // an event without its empty line is incomplete and dropped
}
