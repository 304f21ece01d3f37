//! Where is the Jellyfin instance? A pure function of platform, environment and files, so that
//! every platform is tested on one.
//!
//! The rules are the server's own (`reference/jellyfin.md` 1.1) and the packages' (1.2). Paths are
//! strings with the platform's own separator.

use super::find_error::FindError;
use super::found::{Instance, Named};
use super::surroundings::{Finder, Platform, Surroundings};
use super::usual_places::Candidate;

/// Finds the instance that the user means.
pub fn find(
    platform: Platform,
    named: &Named,
    at: &dyn Surroundings,
) -> Result<Instance, FindError> {
    let finder = Finder { platform, at };
    if let Some(data) = &named.data {
        return finder.named(data, named);
    }
    let candidates = finder.candidates();
    let looked = candidates.iter().map(|c| format!("{} ({})", c.program_data, c.how)).collect();
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if finder.evidence(&candidate.program_data, candidate.config.as_deref())
            && !found.iter().any(|f| f.program_data == candidate.program_data)
        {
            found.push(candidate);
        }
    }
    // What the environment or the service's settings name is the one that runs; defaults are only
    // guesses beside it.
    if let Some(first) = found
        .iter()
        .position(|c| c.how.starts_with("JELLYFIN_DATA_DIR") || c.how.starts_with("/etc/"))
    {
        found = vec![found.swap_remove(first)];
    }
    if found.len() > 1 {
        return Err(FindError::Several {
            found: found.into_iter().map(|c| (c.program_data, c.how)).collect(),
        });
    }
    match found.pop() {
        Some(candidate) => Ok(finder.resolve(candidate, named)),
        None => Err(FindError::None { looked }),
    }
}

impl Finder<'_> {
    /// Whether a data directory and its configuration look like an instance.
    fn evidence(&self, program_data: &str, config: Option<&str>) -> bool {
        let data = self.join(program_data, "data");
        let in_data = ["jellyfin.db", "library.db", ".jellyfin-data"]
            .iter()
            .any(|name| self.at.is_file(&self.join(&data, name)));
        // The marker lies in the data directory and in its `data`: alone it does not tell which of
        // the two this is.
        in_data
            || (self.at.is_dir(&data)
                && self.at.is_file(&self.join(program_data, ".jellyfin-data")))
            || config.is_some_and(|config| self.at.is_file(&self.join(config, "system.xml")))
    }

    /// The instance in a directory that the user named.
    fn named(&self, dir: &str, named: &Named) -> Result<Instance, FindError> {
        let dir = match dir.trim_end_matches(['/', '\\']) {
            "" => dir,
            trimmed => trimmed,
        };
        if !self.at.is_dir(dir) {
            return Err(FindError::Missing { path: dir.to_owned() });
        }
        let nested = self.join(&self.join(dir, "data"), "data");
        let below = self.join(dir, "data");
        let candidate = |program_data: &str, config: Option<String>, how: &str| {
            Candidate::at(program_data.to_owned(), config, how)
        };
        // linuxserver.io's volume: settings on top, the data directory in `data`, its `data` in
        // that.
        if self.at.is_dir(&nested) && self.at.is_file(&self.join(dir, "system.xml")) {
            let found = candidate(
                &below,
                Some(dir.to_owned()),
                "the given directory, in linuxserver.io's layout",
            );
            return Ok(self.resolve(found, named));
        }
        // The inner `data`, which holds the database itself.
        let inner = self.at.is_file(&self.join(dir, "jellyfin.db")) && !self.at.is_dir(&below);
        if inner
            && let Some(at) =
                dir.rfind(['/', '\\']).filter(|at| *at > 0 && dir.get(at + 1..) == Some("data"))
        {
            let above = dir.get(..at).unwrap_or(dir);
            let found = candidate(
                above,
                self.config_beside(above, named),
                "the parent of the given directory, which contains the database itself",
            );
            return Ok(self.resolve(found, named));
        }
        let config = self.config_beside(dir, named);
        let shaped = ["data", "metadata", "root", "plugins", "config"]
            .iter()
            .filter(|name| self.at.is_dir(&self.join(dir, name)))
            .count();
        let is_known = named.is_known_place && self.at.is_file(&self.join(dir, ".jellyfin-data"));
        if !is_known
            && !self.evidence(dir, config.as_deref())
            && !self.at.is_dir(&self.join(&self.join(dir, "metadata"), "library"))
            && shaped < 2
        {
            let looked = vec![
                self.join(&below, "jellyfin.db"),
                self.join(&self.join(dir, "config"), "system.xml"),
                self.join(&below, ".jellyfin-data"),
                self.join(&self.join(dir, "metadata"), "library"),
            ];
            return Err(FindError::NotOne { path: dir.to_owned(), looked });
        }
        Ok(self.resolve(candidate(dir, config, "the given directory"), named))
    }

    /// The configuration that belongs to a named data directory.
    fn config_beside(&self, dir: &str, named: &Named) -> Option<String> {
        let inside = self.join(dir, "config");
        if named.config.is_some() || self.at.is_dir(&inside) {
            return named.config.clone().or(Some(inside));
        }
        let known = self.candidates().into_iter().find(|c| c.program_data == dir);
        known.and_then(|c| c.config).filter(|config| self.at.is_dir(config))
    }
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
