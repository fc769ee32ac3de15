#!/bin/sh
# Runs the official MCP conformance suite against this library's MCP host: every client scenario that 2025-11-25 and
# 2026-07-28 score. What may fail, and why, is in conformance.yml.
#
#   tests/real/conformance.sh [path/to/conformance_client]
#
# It installs the suite, and Node 22 where there is none, with npm into $MILLRACE_REAL, by default a folder of the
# user's cache. Exit 0: all as expected. Exit 2: the suite could not be installed; that is never a pass.
set -eu
HERE=$(cd "$(dirname "$0")/../.." && pwd)
REAL=${MILLRACE_REAL:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-real}
CLIENT=${1:-}
if [ -z "$CLIENT" ]; then
  (cd "$HERE" && cargo build --quiet --locked --example conformance_client)
  CLIENT=${CARGO_TARGET_DIR:-$HERE/target}/debug/examples/conformance_client
fi
fail() { echo "conformance: $1" >&2; exit 2; }
command -v npm > /dev/null || fail 'npm is needed to install the suite: install Node.js'

install() { # install FOLDER PACKAGE
  mkdir -p "$REAL/$1"
  npm install --silent --no-fund --no-audit --prefix "$REAL/$1" "$2" || fail "$2 cannot be installed: is the registry reachable?"
}
NODE=$(command -v node || true)
if [ -z "$NODE" ] || [ "$("$NODE" -p 'process.versions.node.split(".")[0]')" -lt 22 ]; then
  NODE=$REAL/node/node_modules/node/bin/node
  [ -x "$NODE" ] || install node node@22
  [ -x "$NODE" ] || fail 'Node 22 was installed, but does not start'
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
bad=0
run() { # run VERSION OPTION...
  version=$1; shift
  suite=$REAL/conformance-$version/node_modules/@modelcontextprotocol/conformance
  grep -qs "\"version\": \"$version\"" "$suite/package.json" ||
    install "conformance-$version" "@modelcontextprotocol/conformance@$version"
  echo "conformance $version $*"
  # Some scenarios hold a client to a fraction of a second, which a busy machine can miss: a run that failed is made
  # once more, and both are shown. What fails twice fails.
  for attempt in 1 2; do
    # Each scenario's own output is long, and only wanted where one fails that should not.
    if (cd "$WORK" && "$NODE" --require "$HERE/tests/real/loopback.cjs" "$suite/dist/index.js" client --command "$CLIENT" "$@" \
        --expected-failures "$HERE/tests/real/conformance.yml" -o "$WORK/results") > "$WORK/log" 2>&1 < /dev/null; then
      sed -n '/=== SUITE SUMMARY ===/,$p' "$WORK/log"; break
    fi
    cat "$WORK/log"
    if [ "$attempt" = 2 ]; then bad=1; else echo "conformance: $version failed, once more"; fi
  done
  grep -q 'SUITE SUMMARY' "$WORK/log" || { echo 'conformance: the suite did not run to its end' >&2; bad=1; }
}
run 0.1.16 --suite core
run 0.2.0-alpha.12 --requirements 2026-07-28
exit $bad
