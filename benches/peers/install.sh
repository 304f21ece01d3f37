#!/usr/bin/env bash
# Installs the peers that can be had from public registries, into .bench/bin or system-wide: Debian's restic and zip, borg from PyPI, conserve, rustic and
# bupstash from crates.io. kopia and vykar (built from its source) are found where they are on PATH or in .bench/bin.
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=${BENCH_DIR:-$PWD/.bench}
mkdir -p "$bench/bin"
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get install -y -q restic zip zstd libacl1-dev liblz4-dev libxxhash-dev libssl-dev libzstd-dev libsodium-dev pkg-config strace
[ -x "$bench/venv/bin/python" ] || python3 -m venv "$bench/venv"
"$bench/venv/bin/pip" -q install numpy Pillow zlib-ng borgbackup
ln -sf "$bench/venv/bin/borg" "$bench/bin/borg"
cargo install --locked --quiet --root "$bench" --no-default-features conserve
cargo install --locked --quiet --root "$bench" rustic-rs bupstash
