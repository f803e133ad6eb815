#!/usr/bin/env python3
"""A scripted endpoint for language-model clients, on the loopback interface only. It speaks the three forms of messages (by path), misbehaves as a script
says, and bills: what it charged for is what a client must have counted.

Usage: llm_server.py SCRIPT PORT_FILE LOG [CERT KEY]. SCRIPT is JSON: a list of actions, one per request; the last repeats. An action:
  {"do": "reply", "text": T | "file": PATH, "stop": WORD, "in": N, "out": N}   a streamed reply with its usage
  {"do": "json", ...}            the same, not streamed
  {"do": "slow", "delay": S, ..} one byte at a time with pauses
  {"do": "stall", "after": N}    N bytes of a reply, then silence
  {"do": "cut", "after": N}      N bytes of a reply, then the connection is closed
  {"do": "status", "code": C, "body": {...} or text, "headers": {...}}   a header "now+S" becomes that moment
  {"do": "malformed"} {"do": "type", "type": T} {"do": "flood", "bytes": N} {"do": "endless-line", "bytes": N} {"do": "error-in-stream"}
An action may have "until": PATH: it is answered once that file exists. It ends when its standard input does.
LOG gets one JSON line per request (path, headers, body, what was billed); the last line of a served script can be summed."""
import http.server
import json
import os
import pathlib
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

script = json.loads(pathlib.Path(sys.argv[1]).read_text())
port_file, log_path = sys.argv[2], sys.argv[3]
lock = threading.Lock()
count = 0


def pieces(text):
    return [text[i:i + 37] for i in range(0, len(text), 37)] or [""]


def openai(a, text):
    for p in pieces(text):
        yield "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": p}, "finish_reason": None}]}) + "\n\n"
    yield "data: " + json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": a.get("stop", "stop")}]}) + "\n\n"
    yield "data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": a.get("in", 100), "completion_tokens": a.get("out", 50)}}) + "\n\n"
    yield "data: [DONE]\n\n"


def anthropic(a, text):
    def event(name, o):
        return "event: %s\r\ndata: %s\r\n\r\n" % (name, json.dumps(dict(o, type=name)))
    yield event("message_start", {"message": {"usage": {"input_tokens": a.get("in", 100), "output_tokens": 1}}})
    yield event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield ": a comment\r\n\r\n"
    for p in pieces(text):
        yield event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": p}})
    yield event("content_block_stop", {"index": 0})
    yield event("message_delta", {"delta": {"stop_reason": a.get("stop", "end_turn")}, "usage": {"output_tokens": a.get("out", 50)}})
    yield event("message_stop", {})


def ollama(a, text):
    for p in pieces(text):
        yield json.dumps({"message": {"role": "assistant", "content": p}, "done": False}) + "\n"
    yield json.dumps({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": a.get("stop", "stop"),
                      "prompt_eval_count": a.get("in", 100), "eval_count": a.get("out", 50)}) + "\n"


def whole(form, a, text):
    if form is anthropic:
        return {"content": [{"type": "text", "text": text}], "stop_reason": a.get("stop", "end_turn"), "usage": {"input_tokens": a.get("in", 100), "output_tokens": a.get("out", 50)}}
    if form is openai:
        return {"choices": [{"message": {"content": text}, "finish_reason": a.get("stop", "stop")}], "usage": {"prompt_tokens": a.get("in", 100), "completion_tokens": a.get("out", 50)}}
    return {"message": {"content": text}, "done": True, "done_reason": "stop", "prompt_eval_count": a.get("in", 100), "eval_count": a.get("out", 50)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def chunk(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do_POST(self):
        global count
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            action = script[min(count, len(script) - 1)]
            count += 1
        while "until" in action and not os.path.exists(action["until"]):
            time.sleep(0.05)
        form = {"/v1/chat/completions": openai, "/v1/messages": anthropic, "/api/chat": ollama}.get(urllib.parse.urlsplit(self.path).path)   # a proxy gets the whole address
        billed = {"in": 0, "out": 0}
        try:
            if form:
                self.act(action, form, billed)
            else:
                self.status({"code": 404, "body": {"error": {"type": "not_found_error", "message": "no such path"}}})
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        with lock, open(log_path, "a") as f:
            f.write(json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": json.loads(body or b"{}"), "billed": billed}) + "\n")

    def status(self, a):
        data = (a["body"] if isinstance(a.get("body", ""), str) and "body" in a else json.dumps(a.get("body", {}))).encode()
        self.send_response(a["code"])
        self.send_header("Content-Type", "application/json")
        for k, v in a.get("headers", {}).items():
            if v.startswith("now+"):   # a moment
                v = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + float(v[4:])))
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def bill(self, a, billed):
        billed.update({"in": a.get("in", 100), "out": a.get("out", 50)})

    def drop(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def act(self, a, form, billed):
        do = a["do"]
        text = pathlib.Path(a["file"]).read_text() if "file" in a else a.get("text", "ready")
        kind = "application/x-ndjson" if form is ollama else "text/event-stream; charset=utf-8"
        if do == "status":
            self.status(a)
        elif do == "json":
            self.bill(a, billed)
            self.status({"code": 200, "body": whole(form, a, text)})
        elif do == "type":
            self.begin(a["type"])
            self.chunk("<html>sign in</html>")
            self.chunk("")
        elif do == "flood":
            self.begin(kind)
            sent, piece = 0, "x" * 65536
            while sent < a["bytes"]:
                data = "".join(list(form(a, piece))[:-3])
                sent += len(data)
                self.chunk(data)
            self.chunk("")
        elif do == "endless-line":
            self.begin(kind)
            for _ in range(a["bytes"] // 65536):
                self.chunk("d" * 65536)
            self.chunk("")
        elif do == "malformed":
            self.begin(kind)
            self.chunk("data: {\"choices\": [{\"delta\"\n\n" if form is not ollama else "{\"message\": \n")
            self.chunk("")
        elif do == "error-in-stream":
            self.begin(kind)
            self.chunk("data: " + json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}) + "\n\n")
            self.chunk("")
        else:
            self.stream(a, form, text, kind, billed)

    def stream(self, a, form, text, kind, billed):
        data = "".join(form(a, text))
        self.begin(kind)
        if a["do"] in ("cut", "stall"):
            self.chunk(data[:a["after"]])
            if form is anthropic and a["after"] > 150:
                billed.update({"in": a.get("in", 100), "out": 1})   # message_start told it
            if a["do"] == "stall":
                time.sleep(a.get("delay", 30))
            self.drop()
            return
        self.bill(a, billed)
        step = 1 if a["do"] == "slow" else 1000
        for i in range(0, len(data), step):
            self.chunk(data[i:i + step])
            if a["do"] == "slow":
                time.sleep(a.get("delay", 0.001))
        self.chunk("")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        pass


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 5:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
pathlib.Path(port_file + ".new").write_text(str(server.server_address[1]))
os.rename(port_file + ".new", port_file)
server.serve_forever()
