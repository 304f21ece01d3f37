#!/usr/bin/env bash
# How long does a zip of a Jellyfin data directory take, out and in, beside `cp -a` and `zip -6` of the same files?
#   benches/zips.sh DATA_DIR [WORK_DIR]
# For a large library with a small database: benches/grow_database.py multiplies the items of a real one.
set -euo pipefail
data=$(realpath "$1")
work=$(mktemp -d "${2:-/tmp}/jellyvault-zips-XXXX")
trap 'rm -rf "$work"' EXIT
jellyvault=$(dirname "$0")/../target/release/jellyvault
export JELLYVAULT_REPO=$work/repo
run() { /usr/bin/time -f "$1: %e s, %U s of CPU, %M KB peak" "${@:2}"; }
run 'first capture' "$jellyvault" snapshot -q "$data"
for _ in 1 2 3; do
  run 'export --tables' "$jellyvault" export latest "$work/tables.zip" -q --force
  run 'export --exact' "$jellyvault" export latest "$work/exact.zip" -q --force
  rm -rf "$work/copy"
  run 'cp -a' cp -a "$data" "$work/copy"
done
rm -rf "$work/copy" "$work/exact.zip"
run 'import into an empty repository' "$jellyvault" --repo "$work/other" import -q "$work/tables.zip"
run 'import beside the native snapshot' "$jellyvault" import -q "$work/tables.zip"
(cd "$data" && run 'zip -6' zip -6 -q -r "$work/z.zip" .)
