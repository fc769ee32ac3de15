#!/bin/sh
# Talks to real MCP servers through `millrace mcp`: lists, calls, progress, errors, frames, a cancelled call, nothing left
# behind.
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
"$REAL/py/bin/python" -c 'import fastmcp, mcp_server_git, mcp_server_time' 2>/dev/null ||
  "$REAL/py/bin/python" -m pip install --quiet fastmcp mcp-server-git mcp-server-time

WORK=$(mktemp -d)
STARTED=
finish() { [ -z "$STARTED" ] || kill $STARTED 2>/dev/null || true; rm -rf "$WORK"; }
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
import sys
if len(sys.argv) > 1:
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
else:
    server.run(show_banner=False)
PY
# A server of the bare dialect, as small as they come; its path says which of the shapes that are met it has.
cat > "$WORK/bare.cjs" <<'JS'
require('http').createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; }).on('end', () => {
    require('fs').appendFileSync(process.argv[3], body + '\n');
    const { method, params, id } = JSON.parse(body || '{}');
    const schema = { type: 'object', properties: { text: { type: 'string' } } };
    const list = {
      '/rpc': () => ({ result: [{ id: 't1', name: 'shout', parameters: schema }] }),
      '/array': () => ({ jsonrpc: '2.0', id, result: [{ name: 'shout', input_schema: schema }] }),
      '/wrapped': () => ({ result: { tools: [{ name: 'shout', inputSchema: schema }] }, id }),
      '/top': () => ({ tools: [{ name: 'shout', description: 'Louder', schema }] }),
    }[request.url];
    const key = request.url === '/rpc' ? 't1' : 'shout';
    const loud = () => params.arguments.text.toUpperCase();
    const said = {
      '/rpc': () => ({ result: loud(), id }),
      '/array': () => ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: loud() }] } }),
      '/wrapped': () => ({ result: { loud: loud() }, id }),
      '/top': () => ({ content: [{ type: 'text', text: loud() }] }),
    }[request.url];
    const answer = list && method === 'list_tools' ? list()
      : said && method === 'call_tool' && params.id === key ? (params.arguments.text === 'no' ? { error: 'too shy' } : said())
      : { error: 'unknown method ' + method };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answer));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
JS
git -C "$WORK" init --quiet repo
git -C "$WORK/repo" -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m 'the first commit'
everything() { # everything PORT TRANSPORT
  PORT=$1 node --require "$HERE/tests/real/loopback.cjs" "$MODULES/server-everything/dist/index.js" "$2" > "$WORK/$2.log" 2>&1 &
  STARTED="$STARTED $!"
}
SSE=$((PORT + 1)) FAST=$((PORT + 2)) BARE=$((PORT + 3))
everything "$PORT" streamableHttp
everything "$SSE" sse
"$REAL/py/bin/python" "$WORK/fast.py" "$FAST" > "$WORK/fast.log" 2>&1 & STARTED="$STARTED $!"
node "$WORK/bare.cjs" "$BARE" "$WORK/bare.told" > "$WORK/bare.log" 2>&1 & STARTED="$STARTED $!"
cat > "$WORK/servers.json" <<JSON
{"mcpServers": {
  "everything": {"command": "sh", "args": ["-c", "tee $WORK/told | exec node $MODULES/server-everything/dist/index.js stdio"]},
  "http": {"url": "http://127.0.0.1:$PORT/mcp"},
  "sse": {"url": "http://127.0.0.1:$SSE/sse"},
  "sse-named": {"url": "http://127.0.0.1:$SSE/sse", "type": "sse"},
  "fast-http": {"url": "http://127.0.0.1:$FAST/mcp"},
  "bare": {"url": "http://127.0.0.1:$BARE/rpc"},
  "bare-named": {"url": "http://127.0.0.1:$BARE/rpc", "transport": "simple-rpc"},
  "bare-array": {"url": "http://127.0.0.1:$BARE/array", "transport": "simple-rpc"},
  "bare-wrapped": {"url": "http://127.0.0.1:$BARE/wrapped", "transport": "simple-rpc"},
  "bare-top": {"url": "http://127.0.0.1:$BARE/top", "transport": "simple-rpc", "headers": {"X-Key": "hunter2-hunter2"}},
  "git": {"command": "$REAL/py/bin/mcp-server-git", "args": ["--repository", "$WORK/repo"]},
  "files": {"command": "node", "args": ["$MODULES/server-filesystem/dist/index.js", "$WORK/files"]},
  "memory": {"command": "node", "args": ["$MODULES/server-memory/dist/index.js"], "env": {"MEMORY_FILE_PATH": "$WORK/memory.json"}},
  "time": {"command": "$REAL/py/bin/mcp-server-time", "args": ["--local-timezone", "UTC"]},
  "fast": {"command": "$REAL/py/bin/python", "args": ["$WORK/fast.py"]},
  "demo": {"command": "$BIN", "args": ["demo-server"]}}}
JSON
for port in $PORT $SSE $FAST $BARE; do
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    curl -s -o /dev/null "http://127.0.0.1:$port/" && break
    sleep 1
  done
done
# The same server in each era: what its entry says is what is spoken.
cat > "$WORK/eras.toml" <<TOML
[servers.old]
url = "http://127.0.0.1:$FAST/mcp"
era = "legacy"
[servers.new]
url = "http://127.0.0.1:$FAST/mcp"
era = "modern"
[servers.stdio-new]
command = "$REAL/py/bin/python"
args = ["$WORK/fast.py"]
era = "modern"
TOML

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
for server in everything http sse sse-named files memory time git fast fast-http bare bare-named bare-array bare-wrapped bare-top demo; do expect "$server comes up" "$server  ready in" mcp test $server; done
for server in sse sse-named; do expect "$server: its transport" 'over HTTP+SSE (deprecated)' mcp test $server; done
for server in bare bare-named bare-array bare-wrapped bare-top; do
  expect "$server: its dialect" 'simple-rpc (not MCP)' mcp test $server
  expect "$server: a call" 'HELLO' mcp call $server shout '{"text":"hello"}'
  expect "$server: an error" 'too shy' mcp call $server shout '{"text":"no"}'
done
expect 'bare: the exact bytes of the list' '{"method":"list_tools","id":1}' cat "$WORK/bare.told"
expect 'bare: the exact bytes of a call' '{"method":"call_tool","params":{"id":"t1","arguments":{"text":"hello"}},"id":2}' cat "$WORK/bare.told"
expect 'bare-top: its frames' '→ {"method":"call_tool","params":{"id":"shout","arguments":{"text":"hi"}},"id":2}' \
  mcp call --frames bare-top shout '{"text":"hi"}'
expect 'bare-top: its key is not shown' 'x-key: [redacted]' mcp test --frames bare-top
eras() { "$BIN" mcp --mcp "$WORK/eras.toml" "$@"; }
expect 'fast: 2026-07-28 over HTTP' 'MCP 2026-07-28' eras test new
expect 'fast: 2026-07-28 over stdio' 'MCP 2026-07-28' eras test stdio-new
expect 'fast: 2025-11-25 over HTTP' 'MCP 2025-11-25' eras test old
for server in old new stdio-new; do expect "fast: a call ($server)" '5' eras call $server add '{"a":2,"b":3}'; done
for server in old new; do
  expect "fast: progress ($server)" 'progress  4 of 4' eras call $server slow '{"n":4}'
  expect "fast: an error ($server)" 'boom' eras call $server boom
done
expect 'fast: the headers of 2026-07-28' 'mcp-method: tools/call' eras call --frames new add '{"a":2,"b":3}'
expect 'git: the status' 'nothing to commit' mcp call git git_status "{\"repo_path\":\"$WORK/repo\"}"
expect 'git: an error' 'the tool failed' mcp call git git_show "{\"repo_path\":\"$WORK/repo\",\"revision\":\"none\"}"
expect 'git: the log' 'the first commit' mcp call git git_log "{\"repo_path\":\"$WORK/repo\"}"
expect 'fast-http: progress' 'slow done' mcp call fast-http slow '{"n":4}'
for server in everything http sse; do
  expect "$server: echo" 'Echo: hello' mcp call $server echo '{"message":"hello"}'
  expect "$server: a long call" 'Steps: 3' mcp call $server trigger-long-running-operation '{"duration":1,"steps":3}'
  expect "$server: an image" 'image/png' mcp --json call $server get-tiny-image
  expect "$server: structure" 'temperature' mcp --json call $server get-structured-content '{"location":"New York"}'
  expect "$server: progress" 'progress  3 of 3' mcp call $server trigger-long-running-operation '{"duration":1,"steps":3}'
  expect "$server: a question without a person" 'declined' mcp call $server trigger-elicitation-request
  expect "$server: its frames out" '→ {"jsonrpc":"2.0","id":' mcp call --frames $server echo '{"message":"hello"}'
  expect "$server: its frames in" '← {"result":{"content":[{"type":"text","text":"Echo: hello"}]}' mcp call --frames $server echo '{"message":"hello"}'
  expect "$server: bad arguments" 'nvalid' mcp call --no-validate $server get-sum '{"a":"x"}'
done
expect 'files: a file' 'from a file' mcp call files read_text_file "{\"path\":\"$WORK/files/a.txt\"}"
expect 'files: outside its folder' 'the tool failed' mcp call files read_text_file '{"path":"/etc/passwd"}'
expect 'files: a folder' '[FILE] a.txt' mcp call files list_directory "{\"path\":\"$WORK/files\"}"
expect 'http: the heads of HTTP' '← 200 OK   content-type: text/event-stream · mcp-session-id: ' mcp test --frames http
expect 'sse: the stream is asked for' '/sse   accept: text/event-stream' mcp test --frames sse-named
expect 'memory: an entity' 'Ada' mcp call memory create_entities '{"entities":[{"name":"Ada","entityType":"person","observations":["counts"]}]}'
expect 'memory: it stays' 'counts' mcp call memory search_nodes '{"query":"Ada"}'
expect 'memory: the graph' 'entities' mcp call memory read_graph
expect 'time: now' 'timezone' mcp call time get_current_time '{"timezone":"UTC"}'
expect 'time: elsewhere' 'Asia/Tokyo' mcp call time convert_time '{"source_timezone":"UTC","time":"12:00","target_timezone":"Asia/Tokyo"}'
expect 'time: an error' 'the tool failed' mcp call time get_current_time '{"timezone":"Nowhere/None"}'
expect 'fast: a sum' '5' mcp call fast add '{"a":2,"b":3}'
expect 'fast: progress' 'slow done' mcp call fast slow '{"n":4}'
expect 'fast: an error' 'boom' mcp call fast boom
expect 'demo: an honest failure' 'FAILED' mcp call demo run_tests
expect 'a cancelled call' 'cancelled' timeout -s INT 20 "$BIN" mcp --mcp "$WORK/servers.json" call everything \
  trigger-long-running-operation '{"duration":60,"steps":60}'
expect 'its server was told' 'notifications/cancelled' cat "$WORK/told"
if ps -eo args | grep -v -e grep -e loopback.cjs -e "fast.py $FAST" -e bare.cjs | grep -q "$WORK"; then echo "WRONG something was left running"; bad=1; else echo 'ok    nothing is left running but the servers over HTTP'; fi
exit $bad
