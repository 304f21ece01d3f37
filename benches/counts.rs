//! How many instructions does each hot room take? Counted by callgrind, so that a change of one in
//! fifty shows on a busy machine too.
//!
//!     cargo bench --bench counts               counts, and fails where a room takes more than the
//!                                              file says
//!     cargo bench --bench counts -- --write    writes the file anew
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "work/mod.rs"]
mod work;

use std::collections::BTreeMap;
use std::process::Command;

use work::{Amount, ROOMS};

/// What a count may grow by, in hundredths: threads and hash seeds make it vary by less than half
/// of that.
const TOLERANCE_PERCENT: f64 = 3.0;
/// Runs that are counted; what preparing takes is counted by another process with one run, and
/// taken off.
const RUNS: u64 = 3;
/// As many where a room is small beside what prepares it.
const RUNS_MAX: u64 = 150;

fn file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/counts.txt")
}

/// In the process that is counted: prepares a room and runs it so many times.
fn run_room(name: &str, runs: u64) {
    let (_, prepare) = ROOMS.iter().find(|(known, _)| *known == name).unwrap();
    let (_, mut run) = prepare();
    (0..runs).for_each(|_| _ = std::hint::black_box(run()));
}

/// Instructions of a process, all its threads together.
fn instructions(name: &str, runs: u64) -> u64 {
    let own = std::env::current_exe().unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own).args([
        "--room",
        name,
        &runs.to_string(),
    ]);
    let output = valgrind.output().expect("valgrind runs (Debian's package valgrind)");
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(20).collect();
    assert!(output.status.success(), "{last:#?}");
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1))
        .expect("callgrind tells what it collected");
    collected.trim().parse().unwrap()
}

/// Instructions of one run of a room. What prepares it is counted too and taken off, and is not the
/// same each time (captures use threads): a room that is small beside it is run more often.
fn count(name: &str) -> u64 {
    let prepared = instructions(name, 1);
    let of_one = |runs| instructions(name, runs + 1).saturating_sub(prepared) / runs;
    let about = of_one(RUNS).max(1);
    let runs = (4 * prepared / about).min(RUNS_MAX);
    if runs > RUNS { of_one(runs) } else { about }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--room") {
        return run_room(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let known: BTreeMap<&str, u64> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    let (mut counted, mut grown) = (String::new(), Vec::new());
    for (name, prepare) in ROOMS {
        let now = count(name);
        let (amount, unit) = match prepare().0 {
            Amount::Bytes(bytes) => (bytes, "byte"),
            Amount::Things(things) => (things, "thing"),
        };
        let before = known.get(name).copied().unwrap_or(now);
        let change = 100.0 * (now as f64 / before as f64 - 1.0);
        println!(
            "{name}: {now} instructions, {:.1} a {unit}, {change:+.1} %",
            now as f64 / amount as f64
        );
        counted += &format!("{name}: {now}\n");
        if change > TOLERANCE_PERCENT {
            grown.push(name);
        }
    }
    if arguments.iter().any(|argument| argument == "--write") {
        std::fs::write(file(), counted).unwrap();
    } else {
        assert!(
            grown.is_empty(),
            "these take more instructions than benches/counts.txt says: {}",
            grown.join(", ")
        );
    }
}
