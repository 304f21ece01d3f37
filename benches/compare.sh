#!/usr/bin/env bash
# How long does a comparison take? Files: a folder before and after a hundred changes. Rows: a large database before and after a light day, a VACUUM and a
# change of every film, beside SQLite's own EXCEPT of two tables.
#   benches/compare.sh FOLDER JELLYFIN_DB [ITEMS] [WORK_DIR]
# FOLDER is changed (benches/corpus make many makes one of a million files); JELLYFIN_DB is a small real one, whose items are multiplied to ITEMS (320000: 1.3 GiB).
set -euo pipefail
folder=$(realpath "$1") database=$(realpath "$2") items=${3:-320000}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d "${4:-/tmp}/jellyvault-compare-XXXX")
trap 'rm -rf "$work"' EXIT
jellyvault=$here/../target/release/jellyvault
export JELLYVAULT_REPO=$work/repo
run() { /usr/bin/time -f "$1: %e s, %U s of CPU, %M KB peak" "${@:2}"; }

"$jellyvault" snapshot -q --plain "$folder" --label files-1
find "$folder" -type f | awk 'NR % 10000 == 7' | head -100 | while read -r file; do printf changed >> "$file"; done
"$jellyvault" snapshot -q --plain "$folder" --label files-2
for _ in 1 2 3; do run 'diff, 100 files changed' "$jellyvault" diff files-1 files-2 > "$work/diff.txt"; done
grep -c '^modified' "$work/diff.txt"

mkdir "$work/db"
python3 "$here/grow_database.py" "$database" "$work/db/jellyfin.db" "$items"
cp "$work/db/jellyfin.db" "$work/first.db"
day() { "$jellyvault" snapshot -q --plain "$work/db" --label "$1"; }
rows() { run "$1" "$jellyvault" diff "$2" "$3" --rows --stat --database jellyfin.db > "$work/rows.txt"; }
day one
python3 "$here/light_day.py" "$work/db/jellyfin.db" 1
day light
for _ in 1 2 3; do rows 'rows, a light day' one light; done
run 'EXCEPT of two tables, one way' sqlite3 "$work/db/jellyfin.db" "ATTACH '$work/first.db' AS b; SELECT count(*) FROM (SELECT * FROM main.BaseItems EXCEPT SELECT * FROM b.BaseItems);
  SELECT count(*) FROM (SELECT * FROM main.UserData EXCEPT SELECT * FROM b.UserData);"
run 'rows, the live source' "$jellyvault" diff one --rows --stat --database jellyfin.db > "$work/rows.txt"
sqlite3 "$work/db/jellyfin.db" VACUUM
day vacuumed
rows 'rows, after a VACUUM' light vacuumed
sqlite3 "$work/db/jellyfin.db" "UPDATE BaseItems SET RunTimeTicks = coalesce(RunTimeTicks, 0) + 1; UPDATE UserData SET Played = 1 - Played;"
day changed
rows 'rows, every film changed' vacuumed changed
run 'the same as JSON' "$jellyvault" --json diff vacuumed changed --rows --database jellyfin.db > "$work/rows.json"
