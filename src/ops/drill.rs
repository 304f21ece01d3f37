//! Does a restore work? Files chosen at random and the databases are restored to a private
//! directory, by the code that restores a server, compared with what the repository proves, and
//! each database is opened and looked through.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::{Entries, Kind, display};
use crate::progress::{Monitor, Problem};
use crate::source::{
    Category, DATABASE_PATH, ScratchFolder, open_private_for, os_path, quick_check,
};
use crate::store::ChunkReader;

use super::select::{categories, lookup};
use super::session::{Session, Snapshot};
use super::{Destination, Error, Owners, RestoreOptions, Selection};

/// Files beyond this size take a drill too long: `check` reads them.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of all files of a drill, the databases aside.
const BYTES_MAX: u64 = 2 << 30;
/// Databases of a server of today, and of one before 10.11.
const DATABASES: [&[u8]; 2] = [DATABASE_PATH, b"data/library.db"];
/// The longest look for references that lead nowhere.
const LOOK_TIME: Duration = Duration::from_secs(120);
const PART_BYTES: usize = 1 << 20;

/// What a drill restores.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DrillOptions {
    /// Files, chosen at random.
    pub files: usize,
}

/// What came of a drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// Files that were restored and are right, databases among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Databases that were restored, opened and found sound.
    pub databases: Vec<String>,
    /// Files that did not come back as they were: the restore does not work.
    pub failed: Vec<Problem>,
    /// What is wrong with the server's own databases, which came back just as they were.
    pub unsound: Vec<Problem>,
}

impl DrillReport {
    /// Whether everything came back.
    pub fn is_ok(&self) -> bool {
        self.failed.is_empty()
    }
}

/// Tries a restore of a snapshot.
///
/// # Errors
/// [`Error::Interrupted`], [`Error::Target`] where there is no room for it, and [`Error::Store`]
/// where the repository cannot be read.
pub fn drill(
    session: &Session,
    snapshot: &Snapshot,
    options: &DrillOptions,
    monitor: &Monitor,
) -> Result<DrillReport, Error> {
    let chosen = choose(session, snapshot, options.files)?;
    let scratch = session.repository().scratch_folder();
    let failed = |source| Error::Target {
        verb: "restore to the private directory in",
        path: scratch.clone(),
        source,
    };
    let folder = ScratchFolder::create(&scratch).map_err(failed)?;
    let bytes = chosen.iter().map(|(_, size)| size).sum();
    folder.check_space(bytes).map_err(|error| Error::Refused {
        what: format!("the restore drill was not done: {error}"),
        hint: "Free some space.".to_owned(),
    })?;
    let target = folder.path.join("restored");
    let selection = Selection {
        categories: Vec::new(),
        paths: chosen.iter().map(|(path, _)| path.clone()).collect(),
    };
    let restore = RestoreOptions {
        selection,
        owners: Owners::Own,
        is_private: true,
        ..RestoreOptions::default()
    };
    let restored = super::restore(
        session.repository(),
        snapshot,
        &Destination::Directory(target.clone()),
        &restore,
        monitor,
    )?;
    let mut report = DrillReport { failed: restored.problems, ..DrillReport::default() };
    for (path, _) in &chosen {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        if report.failed.iter().any(|problem| problem.path == display(path)) {
            continue;
        }
        let place = os_path(&target, path);
        match is_same(session, snapshot, path, &place) {
            Ok(bytes) => {
                report.files += 1;
                report.bytes += bytes;
                if DATABASES.contains(&path.as_slice()) {
                    look_at(path, &place, &mut report, monitor);
                }
            }
            Err(what) => report.failed.push(Problem { path: display(path), what }),
        }
    }
    Ok(report)
}

/// The databases, and files at random; with their sizes.
fn choose(
    session: &Session,
    snapshot: &Snapshot,
    count: usize,
) -> Result<Vec<(Vec<u8>, u64)>, Error> {
    let mut reader = ChunkReader::of(session.repository())?;
    let mut chosen = Vec::new();
    for path in DATABASES {
        if let Some(found) = lookup(&mut reader, &snapshot.1, path)? {
            chosen.push((path.to_vec(), found.entry.size()));
        }
    }
    let mut random = Random::new()?;
    let (mut drawn, mut seen): (Vec<(Vec<u8>, u64)>, u64) = (Vec::new(), 0);
    for (_, root) in categories(&snapshot.1).filter(|(category, _)| *category != Category::Database)
    {
        for entry in Entries::all(&mut reader, root.manifest) {
            let entry = entry?;
            if !matches!(entry.kind, Kind::File { .. }) || entry.size() > FILE_BYTES_MAX {
                continue;
            }
            // Each file is among those that are drawn with the same chance.
            seen += 1;
            let place = usize::try_from(random.below(seen)).unwrap_or(usize::MAX);
            if drawn.len() < count {
                drawn.push((entry.path.clone(), entry.size()));
            } else if let Some(slot) = drawn.get_mut(place) {
                *slot = (entry.path.clone(), entry.size());
            }
        }
    }
    let mut sum = 0;
    drawn.retain(|(_, size)| {
        sum += size;
        sum <= BYTES_MAX
    });
    chosen.extend(drawn);
    Ok(chosen)
}

/// Numbers that nobody chose: SplitMix64 from a random beginning.
struct Random(u64);

impl Random {
    fn new() -> Result<Random, Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|_| Error::System { what: "random numbers" })?;
        Ok(Random(u64::from_le_bytes(seed)))
    }

    /// A number below another.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// Compares a restored file with what the repository holds, of which every byte is proved; how many
/// bytes it has.
fn is_same(
    session: &Session,
    snapshot: &Snapshot,
    path: &[u8],
    place: &Path,
) -> Result<u64, String> {
    let mut stored = session.read(snapshot, path).map_err(|error| error.to_string())?;
    let mut restored = File::open(place)
        .map_err(|error| format!("it was restored, but cannot be opened ({error})"))?;
    let (mut own, mut other) = (vec![0; PART_BYTES], vec![0; PART_BYTES]);
    let mut bytes = 0;
    loop {
        let count = stored.read(&mut own).map_err(|error| error.to_string())?;
        let (own, other) =
            (own.get(..count).unwrap_or_default(), other.get_mut(..count).unwrap_or_default());
        restored
            .read_exact(other)
            .map_err(|error| format!("it was restored, but is too short ({error})"))?;
        if own != other {
            return Err("it was restored, but holds other bytes than the snapshot".to_owned());
        }
        if count == 0 {
            let more = restored.read(&mut [0]).map_err(|error| error.to_string())?;
            return if more == 0 {
                Ok(bytes)
            } else {
                Err("it was restored, but is longer than in the snapshot".to_owned())
            };
        }
        bytes += count as u64;
    }
}

/// Opens a restored database and looks through it.
fn look_at(path: &[u8], place: &Path, report: &mut DrillReport, monitor: &Monitor) {
    let mut tell = |what: String| report.unsound.push(Problem { path: display(path), what });
    if let Err(what) = quick_check(place, &monitor.interrupt) {
        return tell(format!("SQLite finds damage in the server's database: {what}"));
    }
    match lost_references(place, monitor) {
        Ok(lost) if lost.is_empty() => report.databases.push(display(path)),
        Ok(lost) => {
            let words: Vec<String> = lost
                .iter()
                .map(|(table, parent, count)| format!("{count} of {table} to {parent}"))
                .collect();
            tell(format!(
                "rows of the server's database refer to rows that do not exist: {}. Jellyfin may answer some requests with errors, and its own backup of \
                 such a database cannot be restored. A zip without these rows: jellyvault export --tables",
                words.join(", ")
            ));
        }
        Err(error) => tell(format!("its references could not be checked: {error}")),
    }
}

/// Rows whose foreign key leads nowhere: table, the table that they refer to, how many.
fn lost_references(
    place: &Path,
    monitor: &Monitor,
) -> rusqlite::Result<Vec<(String, String, u64)>> {
    let db = open_private_for(place, LOOK_TIME, &monitor.interrupt)?;
    let mut statement = db.prepare("SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20")?;
    let rows = statement.query_map([], |row| {
        let text = |at| row.get::<_, String>(at).map(|text| super::clean_name(&text));
        Ok((text(0)?, text(1)?, u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0)))
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly() {
        let mut random = Random(7);
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }
}
