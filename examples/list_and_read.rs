//! Lists a folder of the latest snapshot, ten entries at a time, and reads the last four bytes of each file in it.
//!
//!     cargo run --example list_and_read -- REPOSITORY [FOLDER]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use jellyvault::{Kind, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let place =
        arguments.next().map(PathBuf::from).ok_or("usage: list_and_read REPOSITORY [FOLDER]")?;
    let folder = arguments.next().unwrap_or_default();
    let session = Session::open(&place)?;
    let snapshot = session.snapshot("latest")?;
    let mut after = None;
    loop {
        let part = session.list(&snapshot, folder.as_bytes(), after.as_deref(), 10)?;
        for found in &part.entries {
            let path = String::from_utf8_lossy(&found.entry.path);
            if matches!(found.entry.kind, Kind::File { .. }) {
                let mut file = session.read(&snapshot, &found.entry.path)?;
                let mut end = Vec::new();
                file.seek(SeekFrom::Start(found.entry.size().saturating_sub(4)))?;
                file.read_to_end(&mut end)?;
                println!("{path}: {} bytes, the last are {end:02x?}", found.entry.size());
            } else {
                println!("{path}");
            }
        }
        match part.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
