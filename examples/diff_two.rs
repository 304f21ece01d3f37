//! Tells which paths differ between two snapshots.
//!
//!     cargo run --example diff_two -- REPOSITORY BEFORE AFTER
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

use std::path::Path;

use jellyvault::{ChangeKind, DiffOptions, Monitor, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [place, before, after] = arguments.as_slice() else {
        return Err("usage: diff_two REPOSITORY BEFORE AFTER".into());
    };
    let session = Session::open(Path::new(place))?;
    let (before, after) = (session.snapshot(before)?, session.snapshot(after)?);
    let diff = session.diff(&before, &after, &DiffOptions::default(), &Monitor::default())?;
    diff.for_each(|change| {
        let sign = match change.kind {
            ChangeKind::Added => '+',
            ChangeKind::Removed => '-',
            _ => '~',
        };
        println!("{sign} {}", String::from_utf8_lossy(change.path()));
        Ok(())
    })?;
    Ok(())
}
