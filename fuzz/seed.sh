#!/bin/sh
# Fills the corpora from the fixtures, and writes a dictionary of the keys and words that the dialects know.
# A seed of `stream` is a head of choices (dialect, content type, four sizes of chunks), then a transcript; the other
# targets take any bytes for choices.
set -eu
cd "$(dirname "$0")"
mkdir -p corpus/stream corpus/deltas corpus/request corpus/import
for body in ../tests/fixtures/sse/*.sse ../tests/fixtures/own/*.sse; do
  [ "$(wc -c < "$body")" -le 32768 ] || continue
  name=$(basename "$body" .sse)
  { printf '\000\001\007\100\001\377'; cat "$body"; } > "corpus/stream/$name"
  { printf '\001\000\377\002\020\100'; cat "$body"; } > "corpus/stream/$name-responses"
  head -c 600 "$body" > "corpus/deltas/$name"
  head -c 900 "$body" > "corpus/request/$name"
done
for file in ../tests/fixtures/import/*/conversations.json; do
  name=$(basename "$(dirname "$file")")
  { printf '\000\377\002\020\100'; tr -d '\n' < "$file" | sed 's/  *"/"/g'; } > "corpus/import/$name"
done
for finding in ../tests/fixtures/fuzz/*; do
  [ -f "$finding" ] || continue
  name=$(basename "$finding")
  cp "$finding" "corpus/${name%%-*}/$name"
done
{
  printf '"data: "\n"event: "\n"error: "\n"[DONE]"\n"\\x0a\\x0a"\n"\\x0d\\x0a"\n"\\xef\\xbb\\xbf"\n"\\\\ud800"\n'
  cat ../tests/fixtures/sse/*.sse ../tests/fixtures/own/*.sse ../src/wire/*.rs ../src/export/import/*.rs \
    | grep -aoE '"[a-z][a-z_.]{1,39}"' | sort -u | sed 's/"\(.*\)"/"\\"\1\\""/'
} > corpus/words.dict
