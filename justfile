test:
    cargo test --locked
bench:
    cargo bench --bench limits
rooms:
    cargo bench --bench rooms
counts:
    cargo bench --bench counts
peers *corpora="small":
    benches/peers/run.py {{corpora}}
scale:
    benches/scale.py
docs:
    cargo run --locked -q -- markdown-help > docs/cli.md
fuzz target seconds="60":
    cargo fuzz run --sanitizer=none {{target}} -- -max_total_time={{seconds}}
ci:
    bash .ci/run
