//! The library as a service uses it: one open repository, listed a part at a time, its files read
//! from anywhere.

use std::io::{Read, Seek, SeekFrom};

use jellyvault::manifest::{RecordCache, SnapshotId};
use jellyvault::ops;
use jellyvault::store::Repository;
use jellyvault::{ErrorKind, Session};

use super::support::*;

#[test]
fn a_folder_listed_part_by_part_is_what_ls_tells_and_files_are_read_from_anywhere() {
    let dir = temp();
    let source = dir.path().join("source");
    copy_tree(&own_fixture(), &source);
    for n in 0..120 {
        write(source.join(format!("many/{n:03}.txt")), format!("{n}"));
    }
    write(source.join("large.bin"), noise("large", 6 << 20));
    std::fs::File::create(source.join("sparse.bin")).unwrap().set_len(5 << 20).unwrap();
    let_settle();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    capture(&repository, &source).unwrap();
    drop(repository);
    let session = Session::open(&dir.path().join("repo")).unwrap();
    let snapshot = session.snapshot("latest").unwrap();
    assert_eq!(session.snapshots().unwrap(), vec![snapshot.clone()]);

    for folder in [b"".as_slice(), b"many", b"data", b"config"] {
        let mut expected = Vec::new();
        ops::ls(session.repository(), &snapshot, folder, false, |_, entry| {
            expected.push(entry.path);
            Ok(())
        })
        .unwrap();
        for limit in [1, 7, 1000] {
            let (mut found, mut after, mut parts) = (Vec::new(), None, 0);
            loop {
                let part = session.list(&snapshot, folder, after.as_deref(), limit).unwrap();
                parts += 1;
                assert!(part.entries.len() <= limit);
                found.extend(part.entries.into_iter().map(|found| found.entry.path));
                match part.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(folder));
            assert_eq!(parts, expected.len().div_ceil(limit).max(1));
        }
    }

    for path in ["large.bin", "sparse.bin", "data/jellyfin.db", "config/system.xml", "many/007.txt"]
    {
        let mut whole = Vec::new();
        ops::cat(session.repository(), &snapshot, path.as_bytes(), &mut whole).unwrap();
        let mut file = session.read(&snapshot, path.as_bytes()).unwrap();
        assert_eq!(file.entry().size(), whole.len() as u64);
        let mut seed = 7u64;
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 20) as usize % (whole.len() + 2);
            let mut part = vec![0; (seed >> 40) as usize % 70_000];
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut got = 0;
            while got < part.len() {
                match file.read(&mut part[got..]).unwrap() {
                    0 => break,
                    read => got += read,
                }
            }
            let expected = &whole[at.min(whole.len())..whole.len().min(at + part.len())];
            assert!(part[..got] == *expected, "{path} from {at}");
        }
        file.seek(SeekFrom::End(-(whole.len().min(3) as i64))).unwrap();
        let mut end = Vec::new();
        file.read_to_end(&mut end).unwrap();
        assert_eq!(end, whole[whole.len().saturating_sub(3)..]);
        assert!(file.seek(SeekFrom::Current(-(1 << 40))).is_err());
    }
}

#[test]
fn what_is_asked_for_wrongly_or_damaged_is_told_by_kind() {
    let dir = temp();
    write(dir.path().join("source/a/b.bin"), noise("b", 50_000));
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    capture(&repository, &dir.path().join("source")).unwrap();
    let session = Session::on(repository);
    let snapshot = session.snapshot("latest").unwrap();
    let kind = |outcome: Result<_, ops::Error>| {
        outcome.map(|_: jellyvault::FileReader<'_>| ()).unwrap_err().kind()
    };
    assert_eq!(kind(session.read(&snapshot, b"nothing")), ErrorKind::NotFound);
    assert_eq!(kind(session.read(&snapshot, b"a")), ErrorKind::Usage);
    assert_eq!(session.snapshot("monday").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Session::open(dir.path()).map(drop).unwrap_err().kind(), ErrorKind::NoRepository);
    assert_eq!(session.entry(&snapshot, b"a/b.bin").unwrap().unwrap().entry.size(), 50_000);
    // What another process stored is seen as soon as the list is asked for.
    write(dir.path().join("source/new.txt"), "new");
    let_settle();
    capture(&Repository::open(&dir.path().join("repo")).unwrap(), &dir.path().join("source"))
        .unwrap();
    let mut text = String::new();
    session
        .read(&session.snapshot("latest").unwrap(), b"new.txt")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "new");
    // A pack that was changed behind its back gives no wrong byte.
    for pack in walkdir::WalkDir::new(dir.path().join("repo/packs"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
    {
        let mut bytes = std::fs::read(pack.path()).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        std::fs::write(pack.path(), bytes).unwrap();
    }
    let mut file = session.read(&snapshot, b"a/b.bin").unwrap();
    let error = std::io::copy(&mut file, &mut std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
}

/// A writer with room for so many bytes.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_zip_goes_to_any_writer_whole_or_not_at_all() {
    let dir = temp();
    let source = dir.path().join("source");
    copy_tree(&own_fixture(), &source);
    let_settle();
    let root = dir.path().join("repo");
    let session = jellyvault::Session::init(&root, 0).unwrap();
    let named = jellyvault::source::Named {
        data: Some(source.to_str().unwrap().to_owned()),
        ..Default::default()
    };
    let (_, spec) =
        jellyvault::find_instance(jellyvault::source::Platform::Linux, &named, &Default::default())
            .unwrap();
    let monitor = jellyvault::Monitor::default();
    session.take_snapshot(&spec, &Default::default(), &monitor).unwrap();
    let snapshot = session.snapshot("latest").unwrap();
    let (mut zip, options) = (Vec::new(), jellyvault::ExportOptions::default());
    let report = session.export_into(&snapshot, &mut zip, &options, &monitor).unwrap();
    let file = dir.path().join("a.zip");
    session.export(&snapshot, &file, &options, &monitor).unwrap();
    assert!(
        zip == std::fs::read(file).unwrap()
            && report.bytes == zip.len() as u64
            && report.path.as_os_str().is_empty()
    );
    let failed = session.export_into(&snapshot, &mut Room(zip.len() - 1), &options, &monitor);
    assert!(matches!(failed, Err(ops::Error::Output(_))), "{failed:?}");
    let left: Vec<_> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "zip"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Options come from a configuration file, and reports go out as the command line's JSON.
#[test]
fn options_are_plain_data_and_reports_are_the_command_lines_documents() {
    let options: jellyvault::SnapshotOptions = serde_json::from_value(
        serde_json::json!({"only": ["database", "config"], "label": "from a file"}),
    )
    .unwrap();
    assert_eq!((options.only.len(), options.threads), (2, 0));
    let back: jellyvault::SnapshotOptions =
        serde_json::from_str(&serde_json::to_string(&options).unwrap()).unwrap();
    assert_eq!(back.label, options.label);
    let policy: jellyvault::Policy =
        serde_json::from_value(serde_json::json!({"daily": 7, "monthly": "all"})).unwrap();
    assert_eq!(policy.monthly, Some(jellyvault::manifest::Count::All));
    assert!(serde_json::from_value::<jellyvault::Policy>(serde_json::json!({"daily": 0})).is_err());
    let restore: jellyvault::RestoreOptions =
        serde_json::from_value(serde_json::json!({"selection": {"paths": ["config/system.xml"]}}))
            .unwrap();
    assert_eq!(restore.selection.paths, vec![b"config/system.xml".to_vec()]);
    let prune: jellyvault::PruneOptions =
        serde_json::from_value(serde_json::json!({"max_unused": {"percent": 10.0}})).unwrap();
    assert!(prune.wait.as_secs() > 0);
    let diff: jellyvault::DiffOptions = serde_json::from_value(
        serde_json::json!({"only": ["config"], "paths": ["config/system.xml", "*.jpg"]}),
    )
    .unwrap();
    assert!(diff.paths.take(b"metadata/a.jpg") && !diff.paths.take(b"config/encoding.xml"));
    // Nothing said is the default, for all of them.
    fn is_default<T: Default + serde::Serialize + serde::de::DeserializeOwned>() {
        let read: T = serde_json::from_str("{}").unwrap();
        let told = |options| serde_json::to_value(options).unwrap();
        assert_eq!(told(read), told(T::default()), "{}", std::any::type_name::<T>());
    }
    is_default::<jellyvault::SnapshotOptions>();
    is_default::<jellyvault::DiffOptions>();
    is_default::<jellyvault::RestoreOptions>();
    is_default::<jellyvault::ExportOptions>();
    is_default::<jellyvault::ImportOptions>();
    is_default::<jellyvault::CheckOptions>();
    is_default::<jellyvault::PruneOptions>();
    is_default::<jellyvault::RepairOptions>();
    is_default::<ops::RowsOptions>();
    is_default::<ops::MoveOptions>();
    is_default::<ops::UndoOptions>();
    is_default::<ops::CopyOptions>();
    is_default::<ops::SyncOptions>();
    is_default::<ops::WatchStateOptions>();
    is_default::<ops::DrillOptions>();
    for category in jellyvault::Category::ALL {
        assert_eq!(serde_json::to_value(category).unwrap(), category.name());
    }

    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a"), "a");
    let_settle();
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let session = Session::open(&program.repo).unwrap();
    let same = |report: serde_json::Value, args: &[&str]| {
        assert_eq!(report, program.json(args).0, "{args:?}")
    };
    let monitor = jellyvault::Monitor::default();
    same(
        serde_json::json!({"stats": session.stats(&session.catalog().unwrap()).unwrap()}),
        &["stats"],
    );
    same(
        serde_json::to_value(session.check(&Default::default(), &monitor).unwrap()).unwrap(),
        &["check"],
    );
    let dry = jellyvault::PruneOptions { dry_run: true, ..Default::default() };
    same(
        serde_json::to_value(session.prune(&dry, &monitor).unwrap()).unwrap(),
        &["prune", "--dry-run"],
    );
}

/// Threads of a service share it.
#[test]
fn a_session_is_shared_by_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Session>();
}

/// A program that opens the repository for each question reads each record once, and still sees what
/// others took and forgot.
#[test]
fn remembered_records_are_those_that_are_there() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    for _ in 0..3 {
        program.ok(&["snapshot", data.to_str().unwrap()]);
    }
    let records = std::sync::Arc::<RecordCache>::default();
    let all = || {
        let session = Session::open(&program.repo).unwrap().remembering(records.clone());
        let catalog = session.catalog().unwrap();
        assert!(catalog.damaged.is_empty());
        catalog.snapshots
    };
    let fresh = || Session::open(&program.repo).unwrap().snapshots().unwrap();
    let first = all();
    assert_eq!((first.len(), &first), (3, &fresh()));
    // What is remembered is not read again: a file that nobody can decode is not missed.
    let of = |id: &SnapshotId| program.repo.join(format!("snapshots/{id}.snap"));
    let (path, bytes) = (of(&first[1].0), std::fs::read(of(&first[1].0)).unwrap());
    write(&path, b"not a record");
    assert_eq!(all(), first);
    write(&path, &bytes);
    program.ok(&["forget", &first[0].0.to_string()]);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let then = all();
    assert_eq!((then.len(), &then), (3, &fresh()));
    assert!(then.iter().all(|(id, _)| *id != first[0].0));
    // One that was forgotten is read again when it is back, and told where it is damaged.
    write(of(&first[0].0), b"not a record");
    let session = Session::open(&program.repo).unwrap().remembering(records.clone());
    assert_eq!(session.catalog().unwrap().damaged.len(), 1);
}
