#!/bin/sh
# Talks to a real model through `millrace`: its list of models, a streamed answer, a tool called over MCP.
#
#   tests/real/model.sh http://127.0.0.1:8080/v1 [path/to/millrace]
#
# Needs an OpenAI-compatible server that is up; a key for it in $MODEL_KEY, where it wants one. Exit 0: everything was as it should be.
set -eu
HERE=$(cd "$(dirname "$0")/../.." && pwd)
BASE=${1:?the address of a model server, up to and with /v1}
BIN=${2:-$HERE/target/debug/millrace}
[ -x "$BIN" ] || { echo "build millrace first: cargo build" >&2; exit 2; }
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export MILLRACE_HOME="$WORK/home"
unset OPENAI_API_KEY OPENAI_BASE_URL MILLRACE_MODEL MILLRACE_PROFILE 2>/dev/null || true
[ -z "${MODEL_KEY:-}" ] || export OPENAI_API_KEY="$MODEL_KEY"

fail() { echo "not ok: $1" >&2; cat "$WORK/out" >&2; exit 1; }
has() { grep -q "$1" "$WORK/out" || fail "$2"; echo "ok: $2"; }

"$BIN" models --base-url "$BASE" --json > "$WORK/out"
MODEL=$(sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' "$WORK/out" | head -1)
[ -n "$MODEL" ] || fail "it lists a model"
echo "ok: it lists $MODEL"

"$BIN" run --base-url "$BASE" -m "$MODEL" --temperature 0 --max-output-tokens 48 --no-mcp --output ndjson "Say hello." \
  > "$WORK/out" || [ $? -eq 5 ] || fail "a streamed answer"
has '"event":"text"' "text comes as it is written"
has '"event":"usage"' "usage is told"
has '"event":"ended"' "the turn ends"

cat > "$WORK/mcp.json" <<END
{"mcpServers": {"demo": {"command": "$BIN", "args": ["demo-server"]}}}
END
"$BIN" run --base-url "$BASE" -m "$MODEL" --temperature 0 --mcp "$WORK/mcp.json" --approve all --tool-choice required \
  --max-rounds 2 --max-output-tokens 200 --output ndjson "Use the tool." > "$WORK/out" || true
has '"state":"closed"' "a call is assembled"
has '"state":"running"' "and sent to its server"
has '"event":"ended"' "the turn ends"
"$BIN" history show last --json > "$WORK/out"
has '"tool_calls"' "and kept"
