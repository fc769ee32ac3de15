#!/bin/sh
# Builds and runs the targets: fuzz/run.sh [stream|deltas|request|import|all] [SECONDS] [options of libFuzzer...]
# All of them for five minutes each, where nothing is said. SANITIZER=address watches memory, too.
set -eu
cd "$(dirname "$0")"
cargo fuzz --version > /dev/null 2>&1 || { echo 'fuzz: needs cargo-fuzz: cargo install cargo-fuzz' >&2; exit 2; }
target=${1:-all}
seconds=${2:-300}
shift "$(($# < 2 ? $# : 2))"
sanitizer=${SANITIZER:-none}
# A sanitiser's flags are unstable; without one, the stable compiler needs no leave.
[ "$sanitizer" = none ] || export RUSTC_BOOTSTRAP=1
# The versions that millrace is built with.
[ Cargo.lock -nt ../Cargo.lock ] || cp ../Cargo.lock Cargo.lock
./seed.sh
[ "$target" != all ] || target='stream deltas request import'
for each in $target; do
  cargo fuzz run --dev --sanitizer "$sanitizer" "$each" -- \
    -dict=corpus/words.dict -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=1024 -print_final_stats=1 "$@"
done
