// What comes from an endpoint: a byte stream cut into events in pieces whose size the input chooses, and the file taken out of a reply's text.
#include "llm/frames.c"
#include "propose/llm_reply.c"

static hone_code count(void *self, const char *data, size_t n, hone_err *e) {
    (void)e;
    if (memchr(data, '\0', n + 1) == NULL)
        HONE_BUG("an event without its terminator");
    *(size_t *)self += n;
    return HONE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t seen = 0, piece = size ? 1 + data[0] % 64 : 1;
    hone_frames f;
    hone_err e = {0};
    hone_frames_init(&f, size & 1 ? HONE_FRAMES_SSE : HONE_FRAMES_NDJSON, 256, count, &seen);
    for (size_t i = 0; i < size && e.code == HONE_OK; i += piece)
        hone_frames_feed(&f, (const char *)data + i, size - i < piece ? size - i : piece, &e);
    if (e.code == HONE_OK)
        hone_frames_end(&f, &e);
    hone_frames_free(&f);
    if (seen > size)
        HONE_BUG("more came out than went in");
    hone_span file = {0};
    const char *why = NULL, *words = NULL;
    if (hone_reply_file((const char *)data, size, &file, &why, &words) && (file.s < (const char *)data || file.s + file.n > (const char *)data + size))
        HONE_BUG("the file lies outside the reply");
    return 0;
}
