#!/usr/bin/env bash
# Restores of a corpus by jellyvault and vykar, `cp -a` and the floor, each to an ext4 filesystem made for it in a file: ext4 goes round inodes that were
# freed not long ago one by one, so that on one filesystem who comes later, or after a larger deletion, pays for what others deleted. Needs root, loop devices,
# the corpus and the programs that run.py puts into its directory, and 40 GB.
#
#     benches/peers/restores.sh [DIR] [ROUNDS] [CORPUS]
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=$(realpath "${1:-.bench}")
rounds=${2:-2}
source=$bench/corpus/${3:-medium}
work=$bench/scratch/restores
export PATH=$bench/bin:$PATH HOME=$work/home XDG_CACHE_HOME=$work/cache
rm -rf "$work"
mkdir -p "$work/mount" "$work/home"
trap 'umount "$work/mount" 2>/dev/null || true; rm -rf "$work"' EXIT

jellyvault --repo "$work/jellyvault" --no-progress snapshot "$source" > "$work/said"
if command -v vykar > /dev/null; then
  printf 'repositories:\n  - label: a\n    url: %s\nsources:\n  - path: %s\n    label: s\nencryption:\n  mode: none\ncompression:\n  algorithm: zstd\n' \
    "$work/vykar" "$source" > "$work/vykar.yaml"
  vykar --config "$work/vykar.yaml" init > "$work/said" 2>&1
  vykar --config "$work/vykar.yaml" backup > "$work/said" 2>&1
  snapshot=$(vykar --config "$work/vykar.yaml" list 2> "$work/said" | awk 'length($1) == 8 && $1 ~ /^[0-9a-f]+$/ {print $1}' | tail -1)
fi

# `cp -a` makes each file and each directory; so do the others.
inodes=$(($(find "$source" | wc -l) * 2))

# What is read lies in the page cache, what is written to is new.
measure() {
  local name=$1 from=$2
  shift 2
  find "$from" -type f -print0 | xargs -0 cat > /dev/null
  truncate -s 14G "$work/image"
  mkfs.ext4 -q -F -N "$inodes" -E lazy_itable_init=0,lazy_journal_init=0 "$work/image"
  mount -o loop "$work/image" "$work/mount"
  mkdir "$work/mount/out"
  sync
  /usr/bin/time -o "$work/time" -f "$name: %e s, %U s user, %S s system, %M KB" "$@" > "$work/said" 2>&1 || { cat "$work/said"; exit 1; }
  cat "$work/time"
  umount "$work/mount"
  rm "$work/image"
}

for ((round = 0; round < rounds; round++)); do
  measure jellyvault "$work/jellyvault" jellyvault --repo "$work/jellyvault" --no-progress restore latest --to "$work/mount/out"
  [ -z "${snapshot:-}" ] || measure vykar "$work/vykar" vykar --config "$work/vykar.yaml" restore "$snapshot" "$work/mount/out"
  measure 'cp -a' "$source" cp -a "$source" "$work/mount/out/"
  measure floor "$source" floor copy "$source" "$work/mount/out/copy"
done
