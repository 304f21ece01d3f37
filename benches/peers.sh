#!/usr/bin/env bash
# The design's budgets beside the peers: makes the corpus, builds jellyvault, runs both. Needs ../shared/bench beside the checkout.
# usage: benches/peers.sh small|medium|many [peer …]      (peers on PATH or in $BENCH_DIR/bin)
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=${1:-small}; shift || true
shared=../shared/bench
[ -d "$shared" ] || { echo "the corpora's generator is not beside this checkout ($shared)" >&2; exit 2; }
export BENCH_DIR=${BENCH_DIR:-$PWD/.bench}
mkdir -p "$BENCH_DIR/corpus" "$BENCH_DIR/bin"
[ -x "$BENCH_DIR/venv/bin/python" ] || { python3 -m venv "$BENCH_DIR/venv"; "$BENCH_DIR/venv/bin/pip" -q install numpy Pillow; }
export BENCH_PYTHON=$BENCH_DIR/venv/bin/python
[ -d "$BENCH_DIR/corpus/$corpus" ] || "$BENCH_PYTHON" "$shared/gen_corpus.py" --preset "$corpus" --out "$BENCH_DIR/corpus/$corpus"
if [ ! -x "$BENCH_DIR/bin/micro" ]; then
  cp -r "$shared/micro" "$BENCH_DIR/micro" && chmod -R u+w "$BENCH_DIR/micro"
  (cd "$BENCH_DIR/micro" && cargo build --release && cp target/release/micro "$BENCH_DIR/bin/")
fi
cargo install --locked --quiet --force --root "$BENCH_DIR" --path .
"$BENCH_DIR/bin/micro" stat "$BENCH_DIR/corpus/$corpus" 2
sync; rm -rf "$BENCH_DIR/cp-a"; /usr/bin/time -f 'cp -a: %e s' cp -a "$BENCH_DIR/corpus/$corpus" "$BENCH_DIR/cp-a"; rm -rf "$BENCH_DIR/cp-a"
# Commands that jellyvault does not have yet are left out.
ops=restore; [ "$corpus" = many ] || ops=mutate,restore
tools=("jellyvault:$ops"); for peer in "$@"; do tools+=("$peer:$ops"); done
python3 "$shared/peers.py" "$corpus" "${tools[@]}"
