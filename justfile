# Tasks of a developer. `just --list` shows them.

# All tests, as the README says
test:
    cargo test --locked

# What must pass before a change is merged
ci:
    bash .ci/run

# The stories of the web page in a real browser; `just browser NAME` runs one
browser *stories:
    tests/browser/run {{stories}}

# Take the pictures of docs/images anew
screenshots:
    JELLYVAULT_SCREENSHOTS=1 tests/browser/run pictures_of_the_documentation

# Write docs/cli.md anew, after a change of commands or options
docs:
    cargo run --locked -q -- markdown-help > docs/cli.md

# One fuzz target (`cargo fuzz list` names them), for so many seconds
fuzz target seconds="60":
    cargo fuzz run --sanitizer=none {{target}} -- -max_total_time={{seconds}}

# How far the engine is from what the machine needs at least, as ratios of one run
bench:
    cargo bench --bench limits

# The time of each hot room of the engine
rooms:
    cargo bench --bench rooms

# Instructions of each hot room (needs valgrind); fails where one takes more than benches/counts.txt says
counts:
    cargo bench --bench counts

# The other programs on the same trees: small, medium, many
peers *corpora="small":
    benches/peers/run.py {{corpora}}

# Fifty browsers on a repository of a thousand snapshots, while more are taken
load:
    benches/load.py

# What commands cost as files and snapshots grow
scale:
    benches/scale.py

# Everything that a release publishes, in target/dist, from a clean checkout; docs/release.md has the steps around it
release version:
    packaging/release {{version}}

# Whether the packages in target/dist work (as root, on Debian 12)
test-packages *parts:
    packaging/test {{parts}}
