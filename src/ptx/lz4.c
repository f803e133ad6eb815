// Unpacks one LZ4 block, as nvcc stores PTX with --compress-mode=speed and by default before 12.8. Source: the LZ4 block format description:
// a token (high half: number of literals, low half: match length − 4; 15 goes on in bytes until one is not 255), literals, a 16-bit distance.
// The last sequence ends after its literals.
#include "ptx/fatbin.h"
#include <string.h>

typedef struct block { const uint8_t *in; size_t at, n_in; uint8_t *out; size_t to, n_out; } block;

static bool read_length(block *b, size_t *n) {
    uint8_t more = 255;
    while (more == 255) {
        if (b->at == b->n_in)
            return false;
        more = b->in[b->at++];
        *n += more;
    }
    return true;
}

static bool copy_literals(block *b, size_t n) {
    if (n > b->n_in - b->at || n > b->n_out - b->to)
        return false;
    if (n)
        memcpy(b->out + b->to, b->in + b->at, n);
    b->at += n;
    b->to += n;
    return true;
}

// May overlap what it writes: a distance of 1 repeats one byte.
static bool copy_match(block *b, size_t distance, size_t n) {
    if (!distance || distance > b->to || n > b->n_out - b->to)
        return false;
    for (size_t i = 0; i < n; i++, b->to++)
        b->out[b->to] = b->out[b->to - distance];
    return true;
}

bool ptx_lz4_block(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out) {
    enum { MORE = 15, MATCH_MIN = 4 };
    block b = {.in = in, .n_in = n_in, .out = out, .n_out = n_out};
    while (b.at < b.n_in) {
        const unsigned token = b.in[b.at++];
        size_t literals = token >> 4, match = token & 15;
        if (literals == MORE && !read_length(&b, &literals))
            return false;
        if (!copy_literals(&b, literals))
            return false;
        if (b.at == b.n_in)
            break;
        if (b.n_in - b.at < 2)
            return false;
        const size_t distance = b.in[b.at] | (size_t)b.in[b.at + 1] << 8;
        b.at += 2;
        if (match == MORE && !read_length(&b, &match))
            return false;
        if (!copy_match(&b, distance, match + MATCH_MIN))
            return false;
    }
    return b.to == b.n_out;
}
