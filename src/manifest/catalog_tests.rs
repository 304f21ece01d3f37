//! Names of snapshots, and records that go while the list is read.

use jiff::Timestamp;

use super::*;

fn catalog() -> Catalog {
    let record = |time_ns, label: Option<&str>| SnapshotRecord {
        time_ns,
        label: label.map(str::to_owned),
        ..crate::manifest::record::tests::sample()
    };
    let at =
        |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
    let day = |n: u8, text: &str, label| (SnapshotId([n; 16]), record(at(text), label));
    Catalog {
        snapshots: vec![
            day(0x1a, "2026-11-20T10:00:00Z", Some("before 12.0")),
            day(0x1b, "2026-11-21T10:00:30Z", None),
            day(0x2b, "2026-11-21T12:00:00Z", None),
        ],
        damaged: vec![],
    }
}

#[test]
fn a_snapshot_is_named_by_id_prefix_label_time_or_place_from_the_end() {
    let catalog = catalog();
    let named = |name: &str| catalog.resolve(name, &TimeZone::UTC).map(|(id, _)| id.0[0]);
    assert_eq!(named("latest"), Ok(0x2b));
    assert_eq!(named("latest~2"), Ok(0x1a));
    assert_eq!(named("2b2"), Ok(0x2b));
    assert_eq!(named("before 12.0"), Ok(0x1a));
    assert_eq!(named("2026-11-20"), Ok(0x1a));
    assert_eq!(named("2026-11-21"), Ok(0x2b));
    assert_eq!(named("2026-11-21T10:00"), Ok(0x1b));
    assert_eq!(named("2026-11-21T10:00:29Z"), Ok(0x1a));
    assert_eq!(named("latest~3"), Err(NameError::None { name: "latest~3".into() }));
    assert_eq!(named("2026-11-19"), Err(NameError::None { name: "2026-11-19".into() }));
    assert_eq!(named("xyz"), Err(NameError::None { name: "xyz".into() }));
    assert!(
        matches!(named("1"), Err(NameError::Several { candidates, .. }) if candidates.len() == 2)
    );
}

/// Names a record that is there no more, as a listing does that another process overtook.
struct Overtaken(crate::backend::MemoryBackend);

const FORGOTTEN: [u8; 16] = [0x3c; 16];

impl crate::backend::Backend for Overtaken {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, crate::backend::Error> {
        self.0.read(name, span)
    }
    fn create(
        &self,
        name: &str,
    ) -> Result<Box<dyn crate::backend::NewFile>, crate::backend::Error> {
        self.0.create(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<crate::backend::Listed>, crate::backend::Error> {
        self.0.list(prefix)
    }
    fn names(&self, prefix: &str) -> Result<Vec<String>, crate::backend::Error> {
        let forgotten = snapshot_name(&FORGOTTEN);
        let mut names = self.0.names(prefix)?;
        names.extend(forgotten.starts_with(prefix).then_some(forgotten));
        Ok(names)
    }
    fn remove(&self, name: &str) -> Result<(), crate::backend::Error> {
        self.0.remove(name)
    }
    fn sync(&self) -> Result<(), crate::backend::Error> {
        self.0.sync()
    }
}

#[test]
fn a_record_that_is_forgotten_while_it_is_listed_is_no_damage_and_a_broken_one_is() {
    let backend = crate::backend::MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    let broken = snapshot_name(&[0x2d; 16]);
    backend.put(&broken, b"no record".to_vec());
    let repository = Repository::open_on(Box::new(Overtaken(backend))).unwrap();
    let forgotten = SnapshotId(FORGOTTEN).to_string();
    for catalog in [
        Catalog::load(&repository),
        Catalog::load_named(&repository, &["latest"]),
        Catalog::load_named(&repository, &[&forgotten]),
    ] {
        let catalog = catalog.unwrap();
        let damaged: Vec<_> = catalog.damaged.iter().map(|(name, _)| name).collect();
        assert_eq!((catalog.snapshots.len(), damaged), (0, vec![&broken]));
    }
}
