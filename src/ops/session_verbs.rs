//! What a session does, each a verb of [`super`].

use std::io::Write;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::manifest::{Catalog, SnapshotId};

use super::session::{Session, Snapshot};
use super::{
    CheckOptions, CheckReport, Destination, Diff, DiffOptions, Error, ExportOptions, ExportReport,
    Forget, Forgetting, Found, ImportOptions, ImportReport, Match, Monitor, PruneOptions,
    PruneReport, RepairOptions, RepairReport, RestoreOptions, RestoreReport, SnapshotOptions,
    SnapshotReport, SourceSpec, Stats, Tree, Wanted,
};

impl Session {
    /// Takes a snapshot of an instance ([`super::find_instance`]) or of any folder
    /// ([`SourceSpec::plain`]).
    ///
    /// # Errors
    /// [`Error::EmptySource`] where nothing was found at all, [`Error::Interrupted`], and
    /// [`Error::Store`] where the repository cannot be written to. A file that cannot be read is no
    /// error: the report's record names it.
    pub fn take_snapshot(
        &self,
        source: &SourceSpec,
        options: &SnapshotOptions,
        monitor: &Monitor,
    ) -> Result<SnapshotReport, Error> {
        super::snapshot(&self.repository, source, options, monitor)
    }

    /// Brings a snapshot, or a part of it, back.
    ///
    /// # Errors
    /// [`Error::Refused`] where that would do harm (a server runs, the target is not what the
    /// snapshot is of), [`Error::NoPath`] where the snapshot has none of what is asked for,
    /// [`Error::Target`] where the target cannot be written to, and [`Error::Interrupted`]. A file
    /// that cannot be restored is no error: the report names it.
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        destination: &Destination,
        options: &RestoreOptions,
        monitor: &Monitor,
    ) -> Result<RestoreReport, Error> {
        super::restore(&self.repository, snapshot, destination, options, monitor)
    }

    /// Writes a zip that Jellyfin restores.
    ///
    /// # Errors
    /// [`Error::Refused`] where no server could restore it, [`Error::Target`] where the file cannot
    /// be written, and [`Error::Interrupted`].
    pub fn export(
        &self,
        snapshot: &Snapshot,
        zip: &Path,
        options: &ExportOptions,
        monitor: &Monitor,
    ) -> Result<ExportReport, Error> {
        super::export(&self.repository, snapshot, zip, None, options, monitor)
    }

    /// The same into any writer, which gets nothing before the zip was read back whole.
    ///
    /// # Errors
    /// As [`Session::export`], and [`Error::Output`] where the writer takes no more.
    pub fn export_into(
        &self,
        snapshot: &Snapshot,
        out: &mut impl Write,
        options: &ExportOptions,
        monitor: &Monitor,
    ) -> Result<ExportReport, Error> {
        super::export_into(&self.repository, snapshot, out, options, monitor)
    }

    /// Makes a snapshot of a zip that Jellyfin wrote.
    ///
    /// # Errors
    /// [`Error::NotABackup`] and [`Error::Zip`] where it is none or is damaged,
    /// [`Error::Interrupted`], and [`Error::Store`] where the repository cannot be written to.
    pub fn import(
        &self,
        zip: &Path,
        options: &ImportOptions,
        monitor: &Monitor,
    ) -> Result<ImportReport, Error> {
        super::import(&self.repository, zip, options, monitor)
    }

    /// What changed between two snapshots.
    ///
    /// # Errors
    /// [`Error::OnNeitherSide`] where a path that is asked for is in neither,
    /// [`Error::Interrupted`], and as [`Session::list`].
    pub fn diff(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        options: &DiffOptions,
        monitor: &Monitor,
    ) -> Result<Diff, Error> {
        let index = self.repository.index()?;
        super::diff(
            &self.repository,
            &index,
            (&Tree::of(&before.1)?, &Tree::of(&after.1)?),
            options,
            monitor,
            |_| {},
        )
    }

    /// Finds files in all snapshots, or in one.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and as [`Session::list`].
    pub fn find(
        &self,
        catalog: &Catalog,
        wanted: &Wanted,
        only: Option<SnapshotId>,
        monitor: &Monitor,
    ) -> Result<Found, Error> {
        super::find(&self.repository, catalog, wanted, only, monitor)
    }

    /// The versions of a path, by source.
    ///
    /// # Errors
    /// [`Error::InNoSnapshot`] where no snapshot has it, [`Error::Interrupted`], and as
    /// [`Session::list`].
    pub fn history(
        &self,
        catalog: &Catalog,
        path: &[u8],
        monitor: &Monitor,
    ) -> Result<Vec<Match>, Error> {
        super::history(&self.repository, catalog, path, monitor)
    }

    /// What the snapshots hold, what the repository takes, and how it grew.
    ///
    /// # Errors
    /// As [`Session::list`].
    pub fn stats(&self, catalog: &Catalog) -> Result<Stats, Error> {
        super::stats(&self.repository, catalog)
    }

    /// Which snapshots would be forgotten, and what a prune would free then; changes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] where it would be the last snapshot of a server or a protected one,
    /// [`Error::Interrupted`], and as [`Session::list`].
    pub fn plan_forget(
        &self,
        catalog: &Catalog,
        forget: &Forget,
        zone: &TimeZone,
        monitor: &Monitor,
    ) -> Result<Forgetting, Error> {
        super::plan_forget(&self.repository, catalog, forget, zone, monitor)
    }

    /// Forgets snapshots. The space is freed by a prune.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the list of snapshots cannot be changed.
    pub fn forget(&self, ids: &[SnapshotId]) -> Result<(), Error> {
        super::forget(&self.repository, ids)
    }

    /// Protects snapshots from being forgotten, or no longer.
    ///
    /// # Errors
    /// As [`Session::forget`].
    pub fn keep(&self, ids: &[SnapshotId], is_kept: bool) -> Result<(), Error> {
        super::keep(&self.repository, ids, is_kept)
    }

    /// Reclaims what no snapshot needs.
    ///
    /// # Errors
    /// [`Error::StillInUse`] where others use the repository for longer than `wait`,
    /// [`Error::Refused`] where its list of snapshots is damaged or gone, [`Error::Interrupted`],
    /// and [`Error::Store`] where it cannot be read or written. Whatever fails, nothing that a
    /// snapshot needs is gone.
    pub fn prune(&self, options: &PruneOptions, monitor: &Monitor) -> Result<PruneReport, Error> {
        super::prune(&self.repository, options, monitor)
    }

    /// Proves that everything is there, and with data read, that it is right.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and [`Error::Store`] where the repository cannot be read. Damage is
    /// no error: the report names it.
    pub fn check(&self, options: &CheckOptions, monitor: &Monitor) -> Result<CheckReport, Error> {
        super::check(&self.repository, options, monitor)
    }

    /// Mends what can be mended, and names what is lost.
    ///
    /// # Errors
    /// [`Error::StillInUse`] where others use the repository for longer than `wait`,
    /// [`Error::Refused`] where most packs are gone and nobody gave them up,
    /// [`Error::Interrupted`], and [`Error::Store`] where it cannot be read or written: what cannot
    /// be read is not taken for lost.
    pub fn repair(
        &self,
        options: &RepairOptions,
        monitor: &Monitor,
    ) -> Result<RepairReport, Error> {
        super::repair(&self.repository, options, monitor)
    }
}
