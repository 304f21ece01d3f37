//! Takes a snapshot of a plain folder, into a repository that is made where there is none.
//!
//!     cargo run --example take_snapshot -- FOLDER REPOSITORY
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

use std::path::PathBuf;

use jellyvault::{ErrorKind, Monitor, Session, SnapshotOptions, SourceSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(folder), Some(place)) = (arguments.next(), arguments.next()) else {
        return Err("usage: take_snapshot FOLDER REPOSITORY".into());
    };
    let session = match Session::open(&place) {
        Err(error) if error.kind() == ErrorKind::NoRepository => Session::init(&place, 0)?,
        opened => opened?,
    };
    let options =
        SnapshotOptions { label: Some("from an example".to_owned()), ..SnapshotOptions::default() };
    let report =
        session.take_snapshot(&SourceSpec::plain(&folder)?, &options, &Monitor::default())?;
    println!(
        "{} files, {} of them new, in {} ms",
        report.record.files.total, report.record.files.new, report.record.took_ms
    );
    for problem in &report.record.problems {
        println!("not captured: {}: {}", problem.path, problem.what);
    }
    Ok(())
}
