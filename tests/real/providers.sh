#!/bin/sh
# Talks to real servers through `millrace run`: llama.cpp's, and LiteLLM in front of it; then replays every transcript.
# It installs LiteLLM by itself (Python's venv) into $MILLRACE_REAL, by default a folder of the user's cache.
#
#   tests/real/providers.sh http://127.0.0.1:8080/v1 [path/to/millrace]
#
# Needs an OpenAI-compatible server that is up, python3, and a network the first time. Exit 0: everything was as it
# should be.
set -eu
HERE=$(cd "$(dirname "$0")/../.." && pwd)
BASE=${1:?the address of a model server, up to and with /v1}
BIN=${2:-$HERE/target/debug/millrace}
REAL=${MILLRACE_REAL:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-real}
PORT=${MILLRACE_LITELLM_PORT:-18190}
[ -x "$BIN" ] || { echo "build millrace first: cargo build" >&2; exit 2; }

[ -x "$REAL/litellm/bin/litellm" ] || {
  python3 -m venv "$REAL/litellm"
  "$REAL/litellm/bin/pip" install --quiet 'litellm[proxy]'
}

WORK=$(mktemp -d)
PROXY=
finish() { [ -z "$PROXY" ] || kill "$PROXY" 2>/dev/null || true; rm -rf "$WORK"; }
trap finish EXIT

echo "# llama-server at $BASE"
"$HERE/tests/real/model.sh" "$BASE" "$BIN"

MODEL=$(MILLRACE_HOME="$WORK/home" "$BIN" models --base-url "$BASE" --json |
  sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -1)
cat > "$WORK/litellm.yaml" <<END
model_list:
  - model_name: behind-litellm
    litellm_params: {model: "openai/$MODEL", api_base: "$BASE", api_key: "none"}
litellm_settings: {telemetry: false}
END
# It serves nobody without one.
LITELLM_MASTER_KEY=sk-$(python3 -c 'import secrets; print(secrets.token_hex(32))')
export LITELLM_MASTER_KEY
"$REAL/litellm/bin/litellm" --config "$WORK/litellm.yaml" --host 127.0.0.1 --port "$PORT" > "$WORK/litellm.log" 2>&1 &
PROXY=$!
waited=0
until curl -sf -H "Authorization: Bearer $LITELLM_MASTER_KEY" "http://127.0.0.1:$PORT/v1/models" > /dev/null 2>&1; do
  waited=$((waited + 1))
  kill -0 "$PROXY" 2>/dev/null && [ "$waited" -lt 120 ] || { cat "$WORK/litellm.log" >&2; exit 1; }
  sleep 1
done

echo "# LiteLLM in front of it"
MODEL_KEY=$LITELLM_MASTER_KEY "$HERE/tests/real/model.sh" "http://127.0.0.1:$PORT/v1" "$BIN"

echo "# every transcript, live"
"$HERE/tests/real/replay.py" "$BIN"
