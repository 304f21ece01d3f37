test:
    cargo test --locked
bench:
    cargo bench --bench limits
docs:
    cargo run --locked -q -- markdown-help > docs/cli.md
fuzz target seconds="60":
    cargo fuzz run --sanitizer=none {{target}} -- -max_total_time={{seconds}}
ci:
    bash .ci/run
