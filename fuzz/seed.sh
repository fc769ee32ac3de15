#!/bin/sh
# Fills the corpora with the transcripts: a head of choices (dialect, content type, sizes of chunks), then the body.
set -eu
cd "$(dirname "$0")"
mkdir -p corpus/stream corpus/deltas corpus/request
for body in ../tests/fixtures/sse/*.sse ../tests/fixtures/own/*.sse; do
  [ "$(wc -c < "$body")" -le 32768 ] || continue
  name=$(basename "$body" .sse)
  { printf '\000\001\007\100\001\377'; cat "$body"; } > "corpus/stream/$name"
  head -c 600 "$body" > "corpus/deltas/$name"
  head -c 900 "$body" > "corpus/request/$name"
done
for finding in ../tests/fixtures/fuzz/*; do
  [ -f "$finding" ] || continue
  name=$(basename "$finding")
  cp "$finding" "corpus/${name%%-*}/$name"
done
