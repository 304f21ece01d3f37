//! One contract, held by every backend: the operating system's disk, memory, and the simulated disk
//! that crashes.

use std::path::Path;
use std::sync::Arc;

use jellyvault::backend::{
    Backend, CrashDisk, Error, ErrorClass, LocalBackend, MemoryBackend, Span, write_new,
};

use super::support::{noise, temp};

fn each(mut hold: impl FnMut(&str, &dyn Backend)) {
    let dir = temp();
    std::fs::create_dir(dir.path().join("repo")).unwrap();
    hold("local", &LocalBackend::new(&dir.path().join("repo")));
    hold("memory", &MemoryBackend::default());
    hold("crash disk", &LocalBackend::on(Arc::new(CrashDisk::default()), Path::new("/repo")));
}

fn class(outcome: Result<impl Sized, Error>) -> Option<ErrorClass> {
    outcome.err().map(|error| error.class())
}

#[test]
fn what_was_written_is_read_whole_in_part_and_from_its_end() {
    each(|who, backend| {
        let bytes = noise("content", 10_000);
        let mut file = backend.create("packs/ab/x.pack").unwrap();
        for part in bytes.chunks(777) {
            file.append(part.to_vec()).unwrap();
        }
        assert_eq!(
            class(backend.size("packs/ab/x.pack")),
            Some(ErrorClass::Missing),
            "{who}: there before it is finished"
        );
        assert!(backend.names("packs/").unwrap().is_empty(), "{who}: listed before it is finished");
        file.finish().unwrap();
        assert_eq!(backend.size("packs/ab/x.pack").unwrap(), 10_000, "{who}");
        for (span, expected) in [
            (Span::Whole { limit: 10_000 }, &bytes[..]),
            (Span::At { offset: 0, len: 10_000 }, &bytes[..]),
            (Span::At { offset: 9_990, len: 10 }, &bytes[9_990..]),
            (Span::At { offset: 5_000, len: 0 }, &bytes[5_000..5_000]),
            (Span::Tail { len: 80 }, &bytes[9_920..]),
            (Span::Tail { len: 20_000 }, &bytes[..]),
        ] {
            assert_eq!(backend.read("packs/ab/x.pack", span).unwrap(), expected, "{who} {span:?}");
            let mut used = vec![9; 50];
            backend.read_into("packs/ab/x.pack", span, &mut used).unwrap();
            assert_eq!(used, expected, "{who} {span:?} into a used buffer");
        }
        assert_eq!(
            class(backend.read("packs/ab/x.pack", Span::At { offset: 9_990, len: 11 })),
            Some(ErrorClass::Damaged),
            "{who}"
        );
        assert_eq!(
            class(backend.read("packs/ab/x.pack", Span::At { offset: u64::MAX - 5, len: 5 })),
            Some(ErrorClass::Damaged),
            "{who}"
        );
        assert_eq!(
            class(backend.read("packs/ab/x.pack", Span::Whole { limit: 9_999 })),
            Some(ErrorClass::Damaged),
            "{who}"
        );
        write_new(backend, "empty", b"").unwrap();
        assert_eq!(backend.read("empty", Span::Tail { len: 5 }).unwrap(), b"", "{who}");
    });
}

#[test]
fn a_file_that_was_not_finished_never_was() {
    each(|who, backend| {
        let mut file = backend.create("snapshots/a.snap").unwrap();
        file.append(vec![1; 100]).unwrap();
        drop(file);
        assert_eq!(
            class(backend.read("snapshots/a.snap", Span::Tail { len: 1 })),
            Some(ErrorClass::Missing),
            "{who}"
        );
        assert!(backend.list("").unwrap().is_empty(), "{who}: {:?}", backend.list("").unwrap());
        // The file of before stays what it was until another takes its place.
        write_new(backend, "repo.toml", b"before").unwrap();
        let mut file = backend.create("repo.toml").unwrap();
        file.append(b"behind".to_vec()).unwrap();
        assert_eq!(
            backend.read("repo.toml", Span::Whole { limit: 10 }).unwrap(),
            b"before",
            "{who}"
        );
        file.finish().unwrap();
        assert_eq!(
            backend.read("repo.toml", Span::Whole { limit: 10 }).unwrap(),
            b"behind",
            "{who}"
        );
    });
}

#[test]
fn folders_are_listed_in_order_with_all_that_is_below_them() {
    each(|who, backend| {
        let names =
            ["packs/0a/2.pack", "packs/0a/1.pack", "packs/ff/3.parity", "list/0.link", "repo.toml"];
        for (number, name) in names.iter().enumerate() {
            write_new(backend, name, &vec![0; number]).unwrap();
        }
        let listed = |prefix: &str| {
            backend
                .list(prefix)
                .unwrap()
                .into_iter()
                .map(|listed| (listed.name, listed.size_bytes))
                .collect::<Vec<_>>()
        };
        let own = |names: &[(&str, u64)]| {
            names.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect::<Vec<_>>()
        };
        assert_eq!(
            listed("packs/"),
            own(&[("packs/0a/1.pack", 1), ("packs/0a/2.pack", 0), ("packs/ff/3.parity", 2)]),
            "{who}"
        );
        assert_eq!(listed("packs/ff/"), own(&[("packs/ff/3.parity", 2)]), "{who}");
        assert_eq!(listed("copies/"), own(&[]), "{who}: a folder that is not there");
        assert_eq!(listed("").len(), names.len(), "{who}");
        for prefix in ["", "packs/", "list/", "copies/"] {
            assert_eq!(
                backend.names(prefix).unwrap(),
                backend
                    .list(prefix)
                    .unwrap()
                    .into_iter()
                    .map(|listed| listed.name)
                    .collect::<Vec<_>>(),
                "{who} {prefix}"
            );
        }
    });
}

#[test]
fn what_was_removed_is_gone_and_says_so() {
    each(|who, backend| {
        write_new(backend, "list/0.link", b"x").unwrap();
        backend.remove("list/0.link").unwrap();
        backend.sync().unwrap();
        assert!(backend.names("list/").unwrap().is_empty(), "{who}");
        for outcome in [
            class(backend.remove("list/0.link")),
            class(backend.read("list/0.link", Span::Tail { len: 1 })),
            class(backend.size("list/0.link")),
        ] {
            assert_eq!(outcome, Some(ErrorClass::Missing), "{who}");
        }
        write_new(backend, "list/0.link", b"again").unwrap();
        assert_eq!(
            backend.size("list/0.link").unwrap(),
            5,
            "{who}: a name that was removed is free"
        );
    });
}

#[test]
fn a_folder_that_changed_looks_different_where_the_backend_can_tell() {
    each(|who, backend| {
        let looks = |backend: &dyn Backend| backend.mark("list").map(|mark| mark.looks);
        let before = looks(backend);
        write_new(backend, "list/0.link", b"x").unwrap();
        let behind = looks(backend);
        assert!(
            before.is_some() && behind.is_some() || who == "memory",
            "{who} cannot tell: {before:?}, {behind:?}"
        );
        assert!(before != behind || before.is_none(), "{who}");
    });
}

#[test]
fn errors_of_the_system_are_told_apart() {
    let error = |kind: std::io::ErrorKind| Error::Io {
        verb: "read",
        name: "x".to_owned(),
        source: kind.into(),
    };
    use std::io::ErrorKind;
    for (kind, class) in [
        (ErrorKind::PermissionDenied, ErrorClass::Denied),
        (ErrorKind::ReadOnlyFilesystem, ErrorClass::Denied),
        (ErrorKind::StorageFull, ErrorClass::Full),
        (ErrorKind::QuotaExceeded, ErrorClass::Full),
        (ErrorKind::TimedOut, ErrorClass::Transient),
        (ErrorKind::ConnectionReset, ErrorClass::Transient),
        (ErrorKind::Other, ErrorClass::Transient),
    ] {
        assert_eq!(error(kind).class(), class, "{kind:?}");
    }
}
