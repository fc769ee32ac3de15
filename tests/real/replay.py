#!/usr/bin/env python3
"""Replays each transcript of tests/fixtures/{sse,own} live, with pacing, through the real program.

    tests/real/replay.py [path/to/millrace] [NAME]...

A server on loopback answers `millrace run --output ndjson` with the body in pieces; what the program tells is held
against what the transcript must assemble to. Needs nothing but Python. Exit 0: every one was as it should be.
"""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parents[2]
BIN = sys.argv[1] if len(sys.argv) > 1 else str(HERE / "target/debug/millrace")
ONLY = sys.argv[2:]
# Nothing is offered here, and these two hang on it: a name in pieces, and a call without parameters before a torn frame.
NEED_TOOLS = (46, 56)
DONE = (
    b'data: {"choices":[{"index":0,"delta":{"content":"done"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Replay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        script, self.server.script = self.server.script, (200, "text/event-stream", DONE)
        status, kind, body = script
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        # Some fifty pieces, whatever its length: cuts fall anywhere in lines, characters and names.
        size = max(1, len(body) // 50)
        try:
            for at in range(0, len(body), size):
                self.wfile.write(body[at : at + size])
                self.wfile.flush()
                time.sleep(0.001)
        except OSError:
            pass  # It had read enough.

    def log_message(self, *_):
        pass


def run(golden, body, home):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replay)
    http_of = golden.get("http") or {}
    server.script = (http_of.get("status", 200), http_of.get("content_type", "text/event-stream"), body)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {"PATH": os.environ["PATH"], "HOME": home, "MILLRACE_HOME": home}
    base = f"http://127.0.0.1:{server.server_port}/v1"
    words = ["run", "--base-url", base, "-m", "m", "--no-mcp", "--no-save", "--output", "ndjson", "Hi"]
    told = subprocess.run([BIN, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    server.shutdown()
    server.server_close()
    return [json.loads(line) for line in told.stdout.splitlines()]


def joined(events, kind):
    return "".join(e["text"] for e in events if e["event"] == kind and e["round"] == 1) or None


def same(left, right):
    try:
        return json.loads(left) == json.loads(right)
    except (TypeError, ValueError):
        return False


def check(golden, events):
    """What is not as it should be."""
    expect, wrong = golden["expect"], []
    first = [e for e in events if e.get("round", 1) == 1]
    for key, kind in [("content", "text"), ("reasoning", "reasoning"), ("refusal", "refusal")]:
        if joined(events, kind) != expect[key]:
            wrong.append(f"{kind}: {joined(events, kind)!r}, not {expect[key]!r}")
    calls = {}
    for event in first:
        if event["event"] == "call":
            calls.setdefault(event["index"], []).append(event)
    if len(calls) != len(expect["tool_calls"]):
        wrong.append(f"{len(calls)} calls, not {len(expect['tool_calls'])}")
    for index, call in enumerate(expect["tool_calls"]):
        states = {e["state"]: e for e in calls.get(index, [])}
        last = calls[index][-1] if index in calls else {}
        if call["status"] in ("closed", "conflict"):
            if not same(states.get("closed", {}).get("arguments"), call["arguments"]):
                wrong.append(f"call {index}: {sorted(states)}, not closed with {call['arguments'][:80]}")
        elif last.get("state") != call["status"]:
            wrong.append(f"call {index}: {last.get('state')}, not {call['status']}")
        if last.get("wire_name") != call["name"]:
            wrong.append(f"call {index}: {last.get('wire_name')}, not {call['name']}")
    finish = [e for e in first if e["event"] == "finish"]
    known = ("stop", "tool_calls", "length", "content_filter", "error")
    if finish and expect["effective_finish"] in known and finish[0]["effective"] != expect["effective_finish"]:
        wrong.append(f"finish: {finish[0]['effective']}, not {expect['effective_finish']}")
    if expect["error"] and not any(e["event"] == "error" for e in events):
        wrong.append("no error was told")
    usage = [e for e in first if e["event"] == "usage"]
    tokens = (expect["usage"] or {}).get("prompt_tokens")
    if tokens and not (usage and usage[0]["input"] == tokens):
        wrong.append(f"usage: {usage}, not {tokens}")
    if not events or events[-1]["event"] != "ended":
        wrong.append("the turn did not end")
    return wrong


def main():
    failed = seen = 0
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home) / "config"
        folder.mkdir()
        # What shows nothing would be asked for again: here each is asked for once.
        (folder / "config.toml").write_text("[limits]\nattempts = 1\n")
        for path in sorted(HERE.glob("tests/fixtures/sse/*.json")) + sorted(HERE.glob("tests/fixtures/own/*.json")):
            if ONLY and path.stem not in ONLY:
                continue
            golden = json.loads(path.read_text())
            if golden["n"] in NEED_TOOLS:
                continue
            wrong = check(golden, run(golden, path.with_suffix(".sse").read_bytes(), home))
            seen += 1
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'}: {path.stem}", *wrong, sep="\n    " if wrong else "")
    print(f"{seen - failed} of {seen} transcripts came through as they stand")
    return 1 if failed or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
