//! How far is the engine from what the machine needs at least? Times as ratios to a baseline of the
//! same run: `cargo bench`.
//!
//! The tree is made here: 20,000 small files in 5,000 directories and 2,000 pictures. The corpora
//! of the design's budgets are run by `benches/peers/run.py`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::path::Path;
use std::time::Instant;

use jellyvault::manifest::Catalog;
use jellyvault::ops::{self, Destination, RestoreOptions, SnapshotOptions, SourceSpec};
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::source::{Event, Rules, ScanRoot, scan};
use jellyvault::store::Repository;

fn make(root: &Path) {
    for item in 0..5_000u32 {
        let folder = root.join(format!("metadata/library/{:02x}/{item:032x}", item % 256));
        std::fs::create_dir_all(&folder).unwrap();
        for part in 0..4 {
            std::fs::write(
                folder.join(format!("{part}.nfo")),
                format!("<item>{item}{part}</item>{}", "some words ".repeat(100)),
            )
            .unwrap();
        }
    }
    let mut noise = vec![0; 90_000];
    for picture in 0..2_000u32 {
        blake3::Hasher::new().update(&picture.to_le_bytes()).finalize_xof().fill(&mut noise);
        noise.splice(..3, [0xff, 0xd8, 0xff]);
        let folder = root.join(format!("data/trickplay/{:02x}", picture % 256));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{picture}.jpg")), &noise).unwrap();
    }
}

/// The median of three runs, in seconds; `before` is not timed.
fn median(mut before: impl FnMut(), mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            before();
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(1).copied().unwrap_or_default()
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (source, repo, out) =
        (dir.path().join("source"), dir.path().join("repo"), dir.path().join("out"));
    make(&source);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let interrupt = Interrupt::default();
    let monitor = Monitor { interrupt: interrupt.clone(), ..Monitor::default() };
    let spec = SourceSpec::plain(&source).unwrap();
    let options = SnapshotOptions { host: "bench".into(), ..SnapshotOptions::default() };
    let wipe = |path: &Path| drop(std::fs::remove_dir_all(path));

    let roots = [ScanRoot::new(b"", source.clone())];
    let walk = median(
        || {},
        || {
            scan(&roots, &Rules::default(), &Default::default(), 2, &interrupt, |_: Event<'_>| {
                Ok::<_, std::io::Error>(())
            })
            .unwrap()
        },
    );
    let copy = median(
        || wipe(&out),
        || {
            assert!(
                std::process::Command::new("cp")
                    .arg("-a")
                    .arg(&source)
                    .arg(&out)
                    .status()
                    .unwrap()
                    .success()
            )
        },
    );
    let first = median(
        || {
            wipe(&repo);
            drop(Repository::init(&repo).unwrap());
        },
        || {
            drop(
                ops::snapshot(&Repository::open(&repo).unwrap(), &spec, &options, &monitor)
                    .unwrap(),
            )
        },
    );
    let unchanged = median(
        || {},
        || {
            drop(
                ops::snapshot(&Repository::open(&repo).unwrap(), &spec, &options, &monitor)
                    .unwrap(),
            )
        },
    );
    let repository = Repository::open(&repo).unwrap();
    let catalog = Catalog::load(&repository).unwrap();
    let newest = catalog.snapshots.last().unwrap();
    let restore = median(
        || wipe(&out),
        || {
            drop(
                ops::restore(
                    &repository,
                    newest,
                    &Destination::Directory(out.clone()),
                    &RestoreOptions::default(),
                    &monitor,
                )
                .unwrap(),
            )
        },
    );

    println!("walk {walk:.3} s, cp -a {copy:.3} s");
    println!("first capture      {first:.3} s = {:.2} x cp -a", first / copy);
    println!("unchanged capture  {unchanged:.3} s = {:.2} x walk", unchanged / walk);
    println!("restore            {restore:.3} s = {:.2} x cp -a", restore / copy);
}
