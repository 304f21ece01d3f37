//! Which snapshots, and of which server, a command means.

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;

impl Context {
    /// The snapshots; damaged records are told, the others stay usable.
    pub fn catalog(&self, repository: &Repository) -> Result<Catalog, Failure> {
        let catalog = self.tell_damage(Catalog::load(repository))?;
        refuse_lost_list(repository, &catalog)?;
        self.choose_server(repository, &catalog)?;
        Ok(catalog)
    }

    /// Those that these names can mean, and as few others as can be. Names that could mean
    /// snapshots of several servers are refused.
    pub fn catalog_named(
        &self,
        repository: &Repository,
        names: &[&str],
    ) -> Result<Catalog, Failure> {
        let is_one = Catalog::has_one_server(repository).map_err(crate::ops::Error::from)?;
        if is_one && self.global.server.is_none() {
            let catalog = self.tell_damage(Catalog::load_named(repository, names))?;
            refuse_lost_list(repository, &catalog)?;
            return Ok(catalog);
        }
        let catalog = self.catalog(repository)?;
        super::servers::of_one(self, repository, &catalog, names)?;
        Ok(catalog)
    }

    /// The server that is meant is the one that lies in these directories, unless the user names
    /// another; where the repository knows it.
    pub fn mean_server(&self, repository: &Repository, id: Option<&str>) -> Result<(), Failure> {
        if self.global.server.is_some() || self.server.borrow().is_some() {
            return Ok(());
        }
        let Some(id) = id else { return Ok(()) };
        let found =
            Catalog::newest(repository, |record| crate::manifest::instance_of(record) == id)
                .map_err(crate::ops::Error::from)?;
        if found.is_some() {
            *self.server.borrow_mut() = Some(id.to_owned());
        }
        Ok(())
    }

    pub(super) fn choose_server(
        &self,
        repository: &Repository,
        catalog: &Catalog,
    ) -> Result<(), Failure> {
        if let Some(wanted) =
            self.global.server.as_deref().filter(|_| self.server.borrow().is_none())
        {
            let identity = super::servers::named(self, repository, catalog, wanted)?;
            *self.server.borrow_mut() = Some(identity);
        }
        Ok(())
    }

    fn tell_damage(
        &self,
        catalog: Result<Catalog, crate::manifest::Error>,
    ) -> Result<Catalog, Failure> {
        let catalog = catalog.map_err(crate::ops::Error::from)?;
        for (name, error) in &catalog.damaged {
            self.say(&format!("Problem: snapshot record {name} cannot be read, so the snapshot is not listed: {error}"));
        }
        Ok(catalog)
    }

    /// The snapshot that a name means. One that could be of several servers is refused.
    pub fn resolve_in<'c>(
        &self,
        repository: &Repository,
        catalog: &'c Catalog,
        name: &str,
    ) -> Result<&'c (SnapshotId, SnapshotRecord), Failure> {
        super::servers::of_one(self, repository, catalog, &[name])?;
        self.resolve(catalog, name)
    }

    /// The snapshot that a name means.
    pub fn resolve<'c>(
        &self,
        catalog: &'c Catalog,
        name: &str,
    ) -> Result<&'c (SnapshotId, SnapshotRecord), Failure> {
        catalog
            .resolve_of(name, &self.zone, |record| super::servers::is_meant(self, record))
            .map_err(|error| match catalog.resolve(name, &self.zone) {
                Ok((id, record)) => super::servers::of_another(name, id, record),
                Err(_) => Failure::name(error, catalog, &self.zone),
            })
    }
}

/// A repository whose records are gone is not an empty one.
pub fn refuse_lost_list(repository: &Repository, catalog: &Catalog) -> Result<(), Failure> {
    if catalog.snapshots.is_empty()
        && Catalog::is_lost(repository).map_err(crate::ops::Error::from)?
    {
        return Err(Failure::lost_list());
    }
    Ok(())
}
