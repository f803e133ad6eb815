// serve/mcp_batch: several messages in one array. Only the revision 2025-03-26 of the protocol has them: a server must take them there, and no later one may be sent
// any. Their answers go out as one array, when the last of them is known; progress goes out on its own meanwhile.
// source: Model Context Protocol 2025-03-26, Base Protocol, Messages; JSON-RPC 2.0, section 6
#include "serve/mcp_internal.h"
#include <string.h>

static const char batch_version[] = "2025-03-26";

static void refuse(mcp *m, const char *why) { mcp_send(m, hone_rpc_error(NULL, HONE_RPC_INVALID, why, NULL)); }

void mcp_batch_add(mcp_batch *b, json_t *stolen) { json_array_append_new(b->answers, stolen); }

void mcp_batch_free(mcp_batch *b) {
    json_decref(b->answers);
    *b = (mcp_batch){0};
}

void mcp_batch_release(mcp *m, mcp_batch *b) {
    if (--b->open)
        return;
    json_t *answers = json_array_size(b->answers) ? json_incref(b->answers) : NULL;
    mcp_batch_free(b);
    if (answers)   // notifications alone get no answer
        mcp_send(m, answers);
}

static mcp_batch *free_batch(mcp *m) {
    for (size_t i = 0; i < MCP_MAX_CALLS; i++)
        if (!m->batches[i].open)
            return &m->batches[i];
    return NULL;
}

static bool says_hello(const json_t *list) {
    size_t i;
    const json_t *x;
    json_array_foreach((json_t *)(uintptr_t)list, i, x) {
        const char *method = json_string_value(json_object_get(x, "method"));
        if (method && !strcmp(method, "initialize"))
            return true;
    }
    return false;
}

void mcp_take_batch(mcp *m, const json_t *list) {
    mcp_batch *b = free_batch(m);
    if (!m->version || strcmp(m->version, batch_version) != 0)
        refuse(m, "batches belong to the protocol version 2025-03-26 alone, which was not negotiated: send one message a line");
    else if (json_array_size(list) == 0)
        refuse(m, "an empty batch");
    else if (json_array_size(list) > MCP_MAX_BATCH)
        refuse(m, "too many messages in a batch");
    else if (says_hello(list))
        refuse(m, "initialize cannot be part of a batch");
    else if (!b)
        refuse(m, "too many batches are under way");
    else {
        *b = (mcp_batch){.open = 1, .answers = json_array()};
        m->batch = b;
        for (size_t i = 0; i < json_array_size(list); i++)
            mcp_take_message(m, json_incref(json_array_get(list, i)));
        m->batch = NULL;
        mcp_batch_release(m, b);
    }
}
