//! What goes into a zip.

use crate::archive::{Date, MANIFEST_NAME, Manifest, Repairs, Standing};
use crate::manifest::{SnapshotId, SnapshotRecord, find};
use crate::progress::{Monitor, Phase};
use crate::source::{Category, DATABASE_PATH};
use crate::store::{ChunkReader, Repository};

use super::super::Error;
use super::super::ls::short;
use super::super::restore::has_users_in;
use super::super::select::categories;
use super::database::PrivateDatabase;
use super::facts::Facts;
use super::folded::FoldedNames;
use super::kept::Kept;
use super::pour::Pourer;
use super::walk::{self, Unplaced};
use super::{ExportKind, ExportOptions, Place, check_fits, fit, old_library};

type Snapshot = (SnapshotId, SnapshotRecord);

/// A snapshot's database, or the tables of a zip that it was made of, and what is known of both.
pub(super) struct Contents<'r> {
    snapshot: &'r Snapshot,
    options: &'r ExportOptions,
    pub database: Option<PrivateDatabase>,
    pub kept: Option<Kept>,
    pub facts: Facts,
    has_old_library: bool,
}

/// What the zip does not hold as the server would have it.
pub(super) struct Poured {
    pub has_home_sections: bool,
    pub unplaced: Unplaced,
    pub folded: FoldedNames,
}

impl<'r> Contents<'r> {
    pub(super) fn of(
        repository: &Repository,
        snapshot: &'r Snapshot,
        reader: &mut ChunkReader<'_>,
        options: &'r ExportOptions,
        monitor: &Monitor,
    ) -> Result<Contents<'r>, Error> {
        let wants_database = options.wants(Category::Database);
        let database = if wants_database {
            private_database(repository, snapshot, reader, options, monitor)?
        } else {
            None
        };
        let kept = if wants_database && database.is_none() {
            Kept::of(snapshot, reader, options)?
        } else {
            None
        };
        if options.kind == ExportKind::Tables
            && database.as_ref().is_some_and(|database| database.standing == Standing::Legacy)
        {
            // The way that is advised in place of tables must be one that works.
            old_library::check(snapshot, repository, reader, &monitor.interrupt)?;
        }
        let facts = Facts::of(snapshot, (database.as_ref(), kept.as_ref()), options)?;
        let is_exact = options.kind == ExportKind::Exact;
        let has_old_library = is_exact && database.as_ref().is_some_and(old_library::is_needed);
        if is_exact {
            fit::check_database_place(snapshot, reader)?;
        }
        if has_old_library {
            old_library::check(snapshot, repository, reader, &monitor.interrupt)?;
        }
        Ok(Contents { snapshot, options, database, kept, facts, has_old_library })
    }

    /// Refuses what the server in that place could not restore, or would lose something by.
    pub(super) fn check_place(&self, place: &Place, repository: &Repository) -> Result<(), Error> {
        let (id, record) = self.snapshot;
        let history = self
            .database
            .as_ref()
            .map(|database| &database.history)
            .or_else(|| self.kept.as_ref().map(|kept| &kept.history));
        check_fits(self.snapshot, place, self.options.kind, self.facts.schema, history)?;
        if place.has_users && history.is_some() && !has_users_in(repository, (id, record))? {
            return Err(Error::Refused {
                what: format!("the database of snapshot {} has no users, but the server here has: the zip would delete them", short(id)),
                hint: "Choose an earlier snapshot: run jellyvault list. To use this zip anyway, write it to a file and copy it to data/backups yourself."
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Mends what would break the server's restore, in the private copy.
    pub(super) fn mend(&mut self, monitor: &Monitor) -> Result<Repairs, Error> {
        match (self.options.kind, &mut self.database) {
            (ExportKind::Tables, Some(database)) => database.mend(
                self.facts.schema,
                i128::from(self.snapshot.1.time_ns),
                self.options.target.is_some(),
                monitor,
            ),
            _ => Ok(Repairs::default()),
        }
    }

    /// Writes everything, the manifest last.
    pub(super) fn pour(
        &self,
        pourer: &mut Pourer<'_>,
        reader: &mut ChunkReader<'_>,
    ) -> Result<Poured, Error> {
        let (record, options) = (&self.snapshot.1, self.options);
        let has_home_sections = match &self.database {
            Some(database) => database.pour(pourer, self.facts.schema, record, options)?,
            None => false,
        };
        if let Some(kept) = &self.kept {
            kept.pour(pourer, record, reader)?;
        }
        let mut walk = walk::Walk::new(pourer, options, self.has_old_library);
        for (category, manifest) in categories(record) {
            let is_poured = category == Category::Database && self.kept.is_some();
            if walk::is_exported(category)
                && !is_poured
                && (options.wants(category) || category == Category::Config)
            {
                walk.category(category, manifest, reader)?;
            }
        }
        let (unplaced, folded) = (walk.unplaced, walk.folded);
        let facts = &self.facts;
        let manifest = match &self.kept {
            Some(kept) => kept.manifest(facts.parts, options.only.is_empty()),
            None => Manifest {
                server_version: facts.server_version.clone(),
                created: Date::of_ns(record.time_ns.into()),
                options: facts.parts,
            }
            .write(facts.schema),
        };
        pourer.bytes(MANIFEST_NAME, &manifest, record.time_ns)?;
        Ok(Poured { has_home_sections, unplaced, folded })
    }

    /// How large the zip may become, in bytes: files as they are, tables as large as their
    /// database.
    pub(super) fn expected_bytes(&self) -> u64 {
        let (record, options) = (&self.snapshot.1, self.options);
        let wants = |category: &Category| {
            walk::is_exported(*category)
                && (options.only.is_empty()
                    || options.only.contains(category)
                    || *category == Category::Config)
        };
        let files: u64 = categories(record)
            .filter(|(category, _)| *category != Category::Database && wants(category))
            .map(|(_, category)| category.bytes + category.files * 300)
            .sum();
        files + self.database.as_ref().map_or(0, |database| database.bytes)
    }
}

/// What the user asked for can stand in such a zip, and the snapshot has it.
pub(super) fn check_categories(
    record: &SnapshotRecord,
    id: &SnapshotId,
    options: &ExportOptions,
) -> Result<(), Error> {
    if record.source.directories.contains_key("folder") {
        return Err(Error::Refused {
            what: format!(
                "snapshot {} is of a plain directory, which cannot be exported as a Jellyfin zip",
                short(id)
            ),
            hint: "Use restore --to DIR instead.".to_owned(),
        });
    }
    if let Some(category) = options.only.iter().find(|category| !walk::is_exported(**category)) {
        return Err(Error::Refused {
            what: format!("Jellyfin's backup zip cannot contain {}", category.name()),
            hint: "It can contain database, config, metadata, subtitles, trickplay and attachments. For other categories use restore --only.".to_owned(),
        });
    }
    if let Some(category) =
        options.only.iter().find(|category| record.category(category.name()).is_none())
    {
        return Err(Error::Refused {
            what: format!("snapshot {} was taken without {}", short(id), category.name()),
            hint: "Leave it out, or choose another snapshot (see jellyvault list).".to_owned(),
        });
    }
    if options.kind == ExportKind::Exact
        && !options.only.is_empty()
        && !options.only.contains(&Category::Database)
    {
        return Err(Error::Refused {
            what: "an exact zip needs the category database".to_owned(),
            hint: "Add database to --only, or leave out --exact.".to_owned(),
        });
    }
    Ok(())
}

/// A private copy of the snapshot's database. A snapshot without one has nothing that the zip's
/// restore would not lose.
fn private_database(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    reader: &mut ChunkReader<'_>,
    options: &ExportOptions,
    monitor: &Monitor,
) -> Result<Option<PrivateDatabase>, Error> {
    let (id, record) = snapshot;
    let entry = match record.category(Category::Database.name()) {
        Some(category) => find(reader, category.manifest, DATABASE_PATH)?,
        None => None,
    };
    match entry {
        None if record.has_kept_tables() => Ok(None),
        Some(entry) => {
            monitor.progress.phase(Phase::Database, 1, entry.size());
            PrivateDatabase::fetch(&entry, id, repository, reader, options.kind, &monitor.interrupt).map(Some)
        }
        None if options.kind == ExportKind::Exact || options.only.contains(&Category::Database) => Err(Error::Refused {
            what: format!("snapshot {} does not contain a Jellyfin database", short(id)),
            hint: "Choose another snapshot (see jellyvault list), or leave out the database: --only config,metadata,subtitles,trickplay.".to_owned(),
        }),
        None => Ok(None),
    }
}
