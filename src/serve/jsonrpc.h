// jsonrpc: newline-delimited JSON-RPC 2.0, framing and messages. Bytes come in any portions; a line has a maximum, and one that is longer is dropped up to
// its end and reported once. It knows no method. source: jsonrpc.org/specification; the stdio transport of the Model Context Protocol.
#ifndef HONE_SERVE_JSONRPC_H
#define HONE_SERVE_JSONRPC_H
#include "base/base.h"
#include <jansson.h>

enum { HONE_RPC_PARSE = -32700, HONE_RPC_INVALID = -32600, HONE_RPC_NO_METHOD = -32601, HONE_RPC_PARAMS = -32602, HONE_RPC_INTERNAL = -32603 };

// ---- framing
typedef struct hone_lines { hone_str buffer; size_t at, max; bool skipping; } hone_lines;
typedef enum hone_line_kind { HONE_LINE_NONE, HONE_LINE, HONE_LINE_TOO_LONG } hone_line_kind;
void hone_lines_init(hone_lines *l, size_t max_bytes);
void hone_lines_free(hone_lines *l);
hone_code hone_lines_feed(hone_lines *l, const void *data, size_t n, hone_err *e);
// The next whole line without its end (and without a carriage return before it); it stays valid until the next feed.
hone_line_kind hone_lines_next(hone_lines *l, hone_span *out);

// ---- messages
typedef enum hone_rpc_kind { HONE_RPC_REQUEST, HONE_RPC_NOTIFICATION, HONE_RPC_RESPONSE, HONE_RPC_BAD } hone_rpc_kind;
typedef struct hone_rpc {
    hone_rpc_kind kind;
    json_t *root;                // owned
    const json_t *id;            // string or integer; of a bad message: NULL when there is none that can be answered
    const char *method;
    json_t *params;              // object, or NULL
    int code; const char *why;   // of a bad message
} hone_rpc;
// One message. An array is a bad one here, with the array as its root: whether several are taken at once is the caller's to say.
void hone_rpc_parse(const char *text, size_t n, hone_rpc *out);
void hone_rpc_take(json_t *stolen, hone_rpc *out);   // of a value; NULL: it was none
void hone_rpc_free(hone_rpc *m);
// New references; what is passed as stolen is taken in every case. id NULL: null. data may be NULL.
json_t *hone_rpc_result(const json_t *id, json_t *stolen);
json_t *hone_rpc_error(const json_t *id, int code, const char *message, json_t *stolen_data);
json_t *hone_rpc_notification(const char *method, json_t *stolen_params);
#endif
