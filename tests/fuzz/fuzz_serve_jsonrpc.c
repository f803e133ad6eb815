// Any bytes as a stream of JSON-RPC lines, in portions whose sizes the input chooses too: every line is answered or not, never a crash; how the bytes were cut
// into portions makes no difference.
#include "serve/jsonrpc.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 200 };

static void take(hone_span line, hone_sha *seen) {
    hone_rpc m;
    hone_rpc_parse(line.s, line.n, &m);
    if (m.kind == HONE_RPC_BAD ? !m.why || !m.code : m.kind != HONE_RPC_RESPONSE && !m.method)
        abort();
    if (m.kind == HONE_RPC_REQUEST && !m.id)
        abort();
    json_t *answer = m.kind == HONE_RPC_BAD ? hone_rpc_error(m.id, m.code, m.why, NULL) : hone_rpc_result(m.id, json_object());
    char *text = json_dumps(answer, JSON_COMPACT);
    if (!text || strchr(text, '\n'))
        abort();   // an answer is one line
    hone_sha_add(seen, text, strlen(text));
    free(text);
    json_decref(answer);
    hone_rpc_free(&m);
}

static void read_lines(hone_lines *l, hone_sha *seen) {
    hone_span line;
    for (hone_line_kind k; (k = hone_lines_next(l, &line)) != HONE_LINE_NONE;) {
        if (k == HONE_LINE && (line.n > MAX_LINE || memchr(line.s, '\n', line.n)))
            abort();
        if (k == HONE_LINE)
            take(line, seen);
        else
            hone_sha_add(seen, "long", 4);
    }
}

static void feed(const uint8_t *data, size_t size, size_t portion, char hex[HONE_HASH_HEX]) {
    hone_lines l;
    hone_err e = {0};
    hone_sha *seen = hone_sha_new();
    hone_lines_init(&l, MAX_LINE);
    for (size_t at = 0; at < size; at += portion) {
        size_t n = size - at < portion ? size - at : portion;
        if (hone_lines_feed(&l, data + at, n, &e) != HONE_OK)
            abort();
        read_lines(&l, seen);
    }
    hone_sha_hex(seen, hex);
    hone_lines_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char a[HONE_HASH_HEX], b[HONE_HASH_HEX];
    if (size < 2 || size > 4096)
        return 0;
    feed(data + 1, size - 1, 1 + data[0] % 64, a);
    feed(data + 1, size - 1, 1, b);
    if (strcmp(a, b) != 0)
        abort();
    return 0;
}
