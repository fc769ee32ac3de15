#!/bin/sh
# Talks to real MCP servers through `millrace mcp`: lists, calls, progress, errors, a cancelled call, nothing left behind.
# It installs them by itself (npm, Python's venv) into $MILLRACE_REAL, by default a folder of the user's cache.
#
#   tests/real/servers.sh [path/to/millrace]
#
# Needs node, npm, python3 and a network the first time. Exit 0: everything was as it should be.
set -eu
HERE=$(cd "$(dirname "$0")/../.." && pwd)
BIN=${1:-$HERE/target/debug/millrace}
REAL=${MILLRACE_REAL:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-real}
PORT=${MILLRACE_REAL_PORT:-18182}
MODULES=$REAL/npm/node_modules/@modelcontextprotocol
[ -x "$BIN" ] || { echo "build millrace first: cargo build" >&2; exit 2; }

mkdir -p "$REAL/npm"
[ -d "$MODULES/server-everything" ] && [ -d "$MODULES/server-filesystem" ] && [ -d "$MODULES/server-memory" ] ||
  npm install --silent --no-fund --no-audit --prefix "$REAL/npm" @modelcontextprotocol/server-everything \
    @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory
[ -x "$REAL/py/bin/python" ] || python3 -m venv "$REAL/py"
"$REAL/py/bin/python" -c 'import fastmcp, mcp_server_time' 2>/dev/null ||
  "$REAL/py/bin/python" -m pip install --quiet fastmcp mcp-server-time

WORK=$(mktemp -d)
HTTP=
finish() { [ -z "$HTTP" ] || kill "$HTTP" 2>/dev/null || true; rm -rf "$WORK"; }
trap finish EXIT
export MILLRACE_HOME="$WORK/home"
mkdir "$WORK/files"
echo 'from a file' > "$WORK/files/a.txt"
cat > "$WORK/fast.py" <<'PY'
import asyncio
from fastmcp import FastMCP, Context
server = FastMCP("fast")
@server.tool
def add(a: int, b: int) -> int:
    "Adds two numbers"
    return a + b
@server.tool
async def slow(n: int, ctx: Context) -> str:
    "Reports progress n times"
    for i in range(n):
        await ctx.report_progress(i + 1, n, f"step {i + 1}")
        await asyncio.sleep(0.1)
    return "slow done"
@server.tool
def boom() -> str:
    "Always fails"
    raise ValueError("boom")
server.run(show_banner=False)
PY
PORT=$PORT node --require "$HERE/tests/real/loopback.cjs" "$MODULES/server-everything/dist/index.js" streamableHttp \
  > "$WORK/http.log" 2>&1 & HTTP=$!
cat > "$WORK/servers.json" <<JSON
{"mcpServers": {
  "everything": {"command": "sh", "args": ["-c", "tee $WORK/told | exec node $MODULES/server-everything/dist/index.js stdio"]},
  "http": {"url": "http://127.0.0.1:$PORT/mcp"},
  "files": {"command": "node", "args": ["$MODULES/server-filesystem/dist/index.js", "$WORK/files"]},
  "memory": {"command": "node", "args": ["$MODULES/server-memory/dist/index.js"], "env": {"MEMORY_FILE_PATH": "$WORK/memory.json"}},
  "time": {"command": "$REAL/py/bin/mcp-server-time", "args": ["--local-timezone", "UTC"]},
  "fast": {"command": "$REAL/py/bin/python", "args": ["$WORK/fast.py"]},
  "demo": {"command": "$BIN", "args": ["demo-server"]}}}
JSON
for _ in 1 2 3 4 5 6 7 8 9 10; do
  curl -s -o /dev/null "http://127.0.0.1:$PORT/mcp" && break
  sleep 1
done

bad=0
mcp() { "$BIN" mcp --mcp "$WORK/servers.json" "$@"; }
# expect WHAT WANTED COMMAND...: the command's output holds WANTED.
expect() {
  what=$1 wanted=$2; shift 2
  got=$("$@" 2>&1) || true
  case $got in
    *"$wanted"*) echo "ok    $what" ;;
    *) echo "WRONG $what: wanted $wanted, got: $got"; bad=1 ;;
  esac
}
for server in everything http files memory time fast demo; do expect "$server comes up" "$server  ready in" mcp test $server; done
for server in everything http; do
  expect "$server: echo" 'Echo: hello' mcp call $server echo '{"message":"hello"}'
  expect "$server: a long call" 'Steps: 3' mcp call $server trigger-long-running-operation '{"duration":1,"steps":3}'
  expect "$server: an image" 'image/png' mcp --json call $server get-tiny-image
  expect "$server: structure" 'temperature' mcp --json call $server get-structured-content '{"location":"New York"}'
  expect "$server: bad arguments" 'nvalid' mcp call $server get-sum '{"a":"x"}'
done
expect 'files: a file' 'from a file' mcp call files read_text_file "{\"path\":\"$WORK/files/a.txt\"}"
expect 'memory: the graph' 'entities' mcp call memory read_graph
expect 'time: now' 'timezone' mcp call time get_current_time '{"timezone":"UTC"}'
expect 'fast: a sum' '5' mcp call fast add '{"a":2,"b":3}'
expect 'fast: progress' 'slow done' mcp call fast slow '{"n":4}'
expect 'fast: an error' 'boom' mcp call fast boom
expect 'demo: an honest failure' 'FAILED' mcp call demo run_tests
expect 'a cancelled call' 'cancelled' timeout -s INT 5 "$BIN" mcp --mcp "$WORK/servers.json" call everything \
  trigger-long-running-operation '{"duration":60,"steps":60}'
expect 'its server was told' 'notifications/cancelled' cat "$WORK/told"
if ps -eo args | grep -v -e grep -e loopback.cjs | grep -q "$WORK"; then echo "WRONG something was left running"; bad=1; else echo 'ok    nothing is left running but the HTTP server'; fi
exit $bad
