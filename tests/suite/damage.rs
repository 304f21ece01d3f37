//! Every kind of file × every kind of damage: check finds it and names it, what is not damaged is
//! still restored, repair mends it with parity, and without says what is lost (`docs/testing.md`,
//! "Damage").

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jellyvault::backend::{CrashDisk, Disk, LocalBackend};
use jellyvault::manifest::{Catalog, SnapshotId};
use jellyvault::ops;
use jellyvault::store::{RepoConfig, Repository};

use super::support::*;

const ROOT: &str = "/repo";

fn open(disk: &CrashDisk) -> Result<Repository, jellyvault::store::Error> {
    Repository::open_on_disk(Arc::new(disk.clone()), Path::new(ROOT))
}

/// A small repository of two snapshots, and what they hold. The source is gone when it is made:
/// what is lost is lost.
struct Small {
    disk: CrashDisk,
    whole: BTreeMap<SnapshotId, Held>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn small(parity_permille: u32) -> Small {
    let disk = CrashDisk::default();
    disk.create_dir(Path::new(ROOT)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let config = RepoConfig { pack_bytes: 1 << 16, parity_permille, ..RepoConfig::new().unwrap() };
    Repository::init_with(&LocalBackend::on(Arc::new(disk.clone()), Path::new(ROOT)), &config)
        .unwrap();
    let dir = temp();
    let source = dir.path().join("source");
    write(source.join("a.xml"), "<a>text that compresses, text that compresses</a>");
    write(source.join("b/c.jpg"), [b"\xff\xd8\xff".as_slice(), &noise("c", 900)].concat());
    write(
        source.join("d.db"),
        [b"SQLite format 3\0\x02\0".as_slice(), &vec![7; 512 * 4 - 18]].concat(),
    );
    capture(&open(&disk).unwrap(), &source).unwrap();
    write(source.join("a.xml"), "<a>another text</a>");
    capture(&open(&disk).unwrap(), &source).unwrap();
    let repository = open(&disk).unwrap();
    let whole = Catalog::load(&repository)
        .unwrap()
        .snapshots
        .iter()
        .map(|(id, record)| (*id, held(&repository, record)))
        .collect();
    Small { files: disk.files(), disk, whole }
}

fn kind_of(path: &Path) -> &'static str {
    let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap();
    ["packs/", "snapshots/", "copies/", "list/", "index", "newest", "repo.copy", "repo.toml"]
        .into_iter()
        .find(|kind| name.starts_with(kind))
        .map_or("other", |kind| if name.ends_with(".parity") { "parity" } else { kind })
}

/// The names that check tells of damage; where the repository cannot be opened at all, the error's
/// words.
fn found(disk: &CrashDisk) -> Vec<String> {
    match open(disk) {
        Err(error) => vec![error.to_string()],
        Ok(repository) => {
            let report = check_all(&repository);
            let lost =
                report.damage.iter().map(|damage| format!("{}:{}", damage.snapshot, damage.path));
            report.findings.iter().map(|finding| finding.name.clone()).chain(lost).collect()
        }
    }
}

/// Files of snapshots that come back as they were; a file that comes back as something else is a
/// failure.
fn restorable(small: &Small, disk: &CrashDisk) -> BTreeSet<(SnapshotId, Vec<u8>)> {
    let mut whole = BTreeSet::new();
    let Ok(repository) = open(disk) else { return whole };
    let Ok(catalog) = Catalog::load(&repository) else { return whole };
    let index =
        jellyvault::store::Index::open(&repository, jellyvault::store::IndexMode::Use).unwrap();
    for (id, record) in &catalog.snapshots {
        let wanted = small.whole.get(id);
        let mut reader = jellyvault::store::ChunkReader::new(&repository, &index);
        for category in record.categories.values() {
            let entries: Vec<_> =
                jellyvault::manifest::Entries::all(&mut reader, category.manifest)
                    .map_while(Result::ok)
                    .collect();
            for entry in entries {
                let jellyvault::manifest::Kind::File { size, content } = &entry.kind else {
                    continue;
                };
                let mut bytes = Vec::new();
                let outcome = ops::write_content(&mut reader, content, *size, |_, part| {
                    bytes.extend_from_slice(part);
                    Ok(())
                });
                if outcome.is_ok() {
                    let got = format!(
                        "{:o} {:?} {}",
                        entry.mode,
                        entry.mtime,
                        blake3::hash(&bytes).to_hex()
                    );
                    if let Some(wanted) = wanted {
                        assert_eq!(
                            wanted.get(&entry.path),
                            Some(&got),
                            "a damaged file was passed on: {}",
                            String::from_utf8_lossy(&entry.path)
                        );
                    }
                    whole.insert((*id, entry.path));
                }
            }
        }
    }
    whole
}

fn damaged(small: &Small, path: &Path, bytes: Option<Vec<u8>>) -> CrashDisk {
    let disk = small.disk.copy();
    disk.put(path, bytes);
    disk
}

/// Looks at one damage: it is found under the file's name (or what it means for snapshots), nothing
/// wrong is passed on.
fn is_found(disk: &CrashDisk, path: &Path, what: &str) {
    let names = found(disk);
    let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap();
    assert!(!names.is_empty(), "{what} of {name} was not found");
    // A pack or record that is not what its own name says is told by the name that it has.
    assert!(
        names.iter().any(|found| found.contains(name) || name.starts_with("list/")),
        "{what} of {name} is told as {names:?}"
    );
}

#[test]
fn every_flipped_bit_is_found_and_named_and_nothing_wrong_is_passed_on() {
    let small = small(30);
    let all: usize = small
        .whole
        .values()
        .map(|held| held.values().filter(|what| !what.contains("Directory")).count())
        .sum();
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut coin = 0u32;
    for (path, bytes) in &small.files {
        let kind = kind_of(path);
        if is_derived(kind) {
            // The next tests.
            continue;
        }
        for at in 0..bytes.len() {
            // One bit of each byte, another each time.
            coin = coin.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (coin >> 29);
            let disk = damaged(&small, path, Some(flipped));
            is_found(&disk, path, &format!("a flip of byte {at}"));
            let whole = restorable(&small, &disk).len();
            if kind == "parity" || kind.starts_with("repo") || kind == "list/" {
                assert_eq!(whole, all, "a flip of byte {at} of {} hides files", path.display());
            }
            let (flips, lost) = counts.entry(kind).or_default();
            *flips += 1;
            *lost += (all - whole) as u64;
        }
    }
    for (kind, (flips, lost)) in &counts {
        println!(
            "{kind}: {flips} flips, all found; {:.1} of {all} files lost by one until repair",
            *lost as f64 / *flips as f64
        );
    }
    assert!(
        counts.len() >= 6 && counts.values().map(|(flips, _)| flips).sum::<u64>() > 4000,
        "{counts:?}"
    );
}

/// Files that may be deleted at any time: damage to them is nothing that check has to tell.
fn is_derived(kind: &str) -> bool {
    matches!(kind, "index" | "newest")
}

#[test]
fn a_damaged_memory_of_the_newest_snapshots_never_changes_which_they_are() {
    let small = small(0);
    let path = Path::new(ROOT).join("newest");
    let bytes = &small.files[&path];
    let flips = (0..bytes.len()).map(|at| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        flipped
    });
    let cuts = (0..bytes.len()).step_by(7).map(|len| bytes[..len].to_vec());
    for damage in
        flips.chain(cuts).map(Some).chain([None, Some([bytes.as_slice(), b"more"].concat())])
    {
        let disk = damaged(&small, &path, damage);
        let repository = open(&disk).unwrap();
        let named = Catalog::load_named(&repository, &["latest", "latest~1"]).unwrap();
        assert_eq!(
            named.snapshots.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            small.whole.keys().collect::<Vec<_>>()
        );
        assert_eq!(
            Catalog::newest(&repository, |_| true).unwrap().map(|(id, _)| id).as_ref(),
            small.whole.keys().next_back()
        );
    }
}

#[test]
fn a_damaged_index_never_changes_an_answer() {
    let small = small(0);
    let path = Path::new(ROOT).join("index.redb");
    let bytes = &small.files[&path];
    let all = restorable(&small, &small.disk);
    let (mut found_by_check, mut harmless) = (0, 0);
    for at in (0..bytes.len()).step_by(if std::env::var_os("JELLYVAULT_ALL_FLIPS").is_some() {
        1
    } else {
        53
    }) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let disk = damaged(&small, &path, Some(flipped));
        match found(&disk).is_empty() {
            true => harmless += 1,
            false => found_by_check += 1,
        }
        // Where a wrong place is named, the chunk does not have its hash and is told; nothing is
        // lost by it once repair ran.
        restorable(&small, &disk);
        repair_all(&open(&disk).unwrap()).unwrap();
        assert_eq!(restorable(&small, &disk), all, "a flip of byte {at}");
        assert_clean(&open(&disk).unwrap(), "after repair");
    }
    println!(
        "index: {} flips, {found_by_check} found, {harmless} in bytes that mean nothing",
        found_by_check + harmless
    );
    assert!(found_by_check > 10);
}

/// Damage other than flips to each file: (name, its bytes then).
fn damages(small: &Small, path: &Path) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let bytes = &small.files[path];
    let kind = kind_of(path);
    let mut all = vec![
        ("a cut to nothing", Some(Vec::new())),
        ("a cut in the middle", Some(bytes[..bytes.len() / 2].to_vec())),
        ("its deletion", None),
    ];
    all.push(("the loss of its last byte", Some(bytes[..bytes.len() - 1].to_vec())));
    all.push(("bytes behind its end", Some([bytes.as_slice(), b"more"].concat())));
    let mut zeroed = bytes.clone();
    let sector = zeroed.len().min(512);
    zeroed[..sector].fill(0);
    all.push(("a zeroed first sector", Some(zeroed)));
    let mut zeroed = bytes.clone();
    let start = zeroed.len().saturating_sub(512);
    zeroed[start..].fill(0);
    all.push(("a zeroed last sector", Some(zeroed)));
    // Another file of its kind under its name.
    if let Some((_, other)) = small.files.iter().find(|(other, bytes)| {
        *other != path && kind_of(other) == kind && **bytes != small.files[path]
    }) {
        all.push(("another in its place", Some(other.clone())));
    }
    all
}

#[test]
fn every_other_damage_is_found_named_and_mended_with_parity_or_told_as_lost() {
    let mut rows = BTreeMap::new();
    for parity in [0, 300] {
        let small = small(parity);
        for path in small.files.keys() {
            let kind = kind_of(path);
            for (what, bytes) in damages(&small, path) {
                let disk = damaged(&small, path, bytes);
                let case = format!("{what} of {}, parity {parity}", path.display());
                // Without list/since the list looks like one of an older program, which has none
                // and is taken at its word.
                let is_as_of_old = path.ends_with("list/since") && what == "its deletion";
                if !is_derived(kind) && !is_as_of_old {
                    is_found(&disk, path, what);
                }
                restorable(&small, &disk);
                let Ok(repository) = open(&disk) else {
                    panic!("{case}: the repository cannot be opened")
                };
                let before = check_all(&repository);
                let report =
                    repair_all(&repository).unwrap_or_else(|error| panic!("{case}: {error}"));
                drop(repository);
                assert_clean(&open(&disk).unwrap(), &case);
                let is_lost = report.lost_count > 0;
                let named: BTreeSet<_> = report.lost.iter().map(|lost| lost.path.clone()).collect();
                if is_lost {
                    assert!(!named.is_empty(), "{case}: what is lost is not named");
                } else {
                    let held: Vec<_> = {
                        let repository = open(&disk).unwrap();
                        Catalog::load(&repository)
                            .unwrap()
                            .snapshots
                            .iter()
                            .map(|(_, record)| held(&repository, record))
                            .collect()
                    };
                    assert_eq!(
                        held,
                        small.whole.values().cloned().collect::<Vec<_>>(),
                        "{case}: not all is as it was, and nothing is told as lost"
                    );
                }
                // Files that were not damaged survive it.
                let lost: u64 = before.damage_count;
                rows.entry((kind, what, parity > 0))
                    .and_modify(|(cases, given_up)| {
                        *cases += 1;
                        *given_up += u64::from(is_lost);
                    })
                    .or_insert((1u64, u64::from(is_lost)));
                if kind == "packs/"
                    && parity == 300
                    && ["the loss of its last byte", "bytes behind its end"].contains(&what)
                {
                    assert!(!is_lost, "{case}: parity did not mend it; {lost} were damaged");
                }
                if ["parity", "repo.toml", "repo.copy", "list/", "index", "newest", "copies/"]
                    .contains(&kind)
                    || (kind == "snapshots/" && parity > 0)
                {
                    assert!(!is_lost, "{case}: something is told as lost: {:?}", report.lost);
                }
            }
        }
    }
    for ((kind, what, with_parity), (cases, lost)) in &rows {
        println!(
            "{kind} {what}, {}: {cases} cases, {lost} with something lost",
            if *with_parity { "with parity" } else { "without parity" }
        );
    }
    assert!(rows.len() > 60, "{}", rows.len());
}

#[test]
fn damage_up_to_the_share_is_mended_by_parity_wherever_it_lies() {
    let small = small(100);
    let packs: Vec<_> = small.files.keys().filter(|path| kind_of(path) == "packs/").collect();
    let mut cases = 0;
    for path in packs {
        let bytes = &small.files[path];
        let run = (bytes.len() / 10).max(1);
        for start in (0..=bytes.len() - run).step_by(97) {
            let mut burst = bytes.clone();
            burst[start..start + run].iter_mut().for_each(|byte| *byte ^= 0x5a);
            let disk = damaged(&small, path, Some(burst));
            let report = repair_all(&open(&disk).unwrap()).unwrap();
            assert_eq!(
                report.lost_count,
                0,
                "a burst of {run} bytes from {start} on in {}",
                path.display()
            );
            assert_eq!(&disk.files()[path], bytes, "the pack is as it was");
            assert_clean(&open(&disk).unwrap(), "after repair");
            cases += 1;
        }
    }
    println!("parity: {cases} bursts of a tenth of a pack, all mended to the byte");
    assert!(cases > 20);
}

/// The head of each extent says what it holds, so a pack without its table of contents loses
/// nothing, with the index or without.
#[test]
fn a_damaged_or_missing_trailer_costs_no_file() {
    let small = small(0);
    let index = Path::new(ROOT).join("index.redb");
    let held_now = |disk: &CrashDisk| -> Vec<Held> {
        let repository = open(disk).unwrap();
        Catalog::load(&repository)
            .unwrap()
            .snapshots
            .iter()
            .map(|(_, record)| held(&repository, record))
            .collect()
    };
    let whole: Vec<_> = small.whole.values().cloned().collect();
    let (mut cases, mut first_extents_lost) = (0, 0);
    for path in small.files.keys().filter(|path| kind_of(path) == "packs/") {
        let bytes = &small.files[path];
        let footer = &bytes[bytes.len() - 80..];
        let trailer_at = u64::from_le_bytes(footer[..8].try_into().unwrap()) as usize;
        let garbled = [&bytes[..trailer_at], &noise("garbled", bytes.len() - trailer_at)].concat();
        let mut header_too = garbled.clone();
        header_too[..32].fill(0);
        let variants = [
            bytes[..trailer_at].to_vec(),
            [&bytes[..trailer_at], &vec![0; bytes.len() - trailer_at]].concat(),
            garbled,
            header_too,
            bytes[..bytes.len() - 1].to_vec(),
        ];
        for (damaged_bytes, with_index) in
            variants.into_iter().flat_map(|bytes| [(bytes.clone(), true), (bytes, false)])
        {
            let disk = damaged(&small, path, Some(damaged_bytes));
            if !with_index {
                disk.put(&index, None);
            }
            let report = repair_all(&open(&disk).unwrap()).unwrap();
            assert_eq!(
                (report.lost_count, held_now(&disk)),
                (0, whole.clone()),
                "{} with index: {with_index}",
                path.display()
            );
            assert_clean(&open(&disk).unwrap(), "after repair");
            cases += 1;
        }
        // The first extent goes with it: what lies in the others is had back.
        let mut first_too = bytes.clone();
        first_too[trailer_at..].fill(0);
        first_too[32..80].fill(0);
        let disk = damaged(&small, path, Some(first_too));
        disk.put(&index, None);
        repair_all(&open(&disk).unwrap()).unwrap();
        assert_clean(&open(&disk).unwrap(), "after repair");
        let back: usize = held_now(&disk).iter().map(|held| held.len()).sum();
        first_extents_lost += usize::from(back < whole.iter().map(|held| held.len()).sum());
        assert!(back > 0, "something of {} is had back", path.display());
    }
    assert!(cases >= 20 && first_extents_lost > 0, "{cases} {first_extents_lost}");
}
