//! Where does a server that is not there yet keep its things? The directories of each way to run
//! Jellyfin (`reference/jellyfin.md` 1.2), made of the one that the user names.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::manifest::Directories;

use super::found::{Instance, Named};

/// A way to run Jellyfin, as far as its directories tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// The official container: the volume `/config`.
    Docker,
    /// linuxserver.io's container: settings on top of the volume, the data directory in it.
    LinuxServer,
    /// The packages of Debian, Ubuntu and Fedora: `/var/lib/jellyfin` and `/etc/jellyfin`.
    Debian,
    /// A server that was unpacked and started with `--datadir`.
    Portable,
}

/// A word that is no arrangement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown layout {0:?}; the layouts are docker, linuxserver, debian and portable")]
pub struct UnknownArrangement(String);

impl FromStr for Arrangement {
    type Err = UnknownArrangement;
    fn from_str(word: &str) -> Result<Arrangement, UnknownArrangement> {
        match word.to_ascii_lowercase().as_str() {
            "docker" => Ok(Arrangement::Docker),
            "linuxserver" | "linuxserver.io" => Ok(Arrangement::LinuxServer),
            "debian" | "ubuntu" | "fedora" => Ok(Arrangement::Debian),
            "portable" => Ok(Arrangement::Portable),
            _ => Err(UnknownArrangement(word.to_owned())),
        }
    }
}

impl fmt::Display for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arrangement::Docker => "docker",
            Arrangement::LinuxServer => "linuxserver",
            Arrangement::Debian => "debian",
            Arrangement::Portable => "portable",
        })
    }
}

/// A directory that the user must name, because nothing tells where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the location of the server's {what} is unknown")]
pub struct Unnamed {
    /// What it is for.
    pub what: &'static str,
    /// The option that names it.
    pub option: &'static str,
}

impl Arrangement {
    /// The one that directories have; nothing where they do not tell, as those of a zip.
    pub fn of(directories: &Directories) -> Option<Arrangement> {
        let data = Path::new(directories.get("programdata")?);
        let config = Path::new(directories.get("config")?);
        Some(if config.join("data") == data {
            Arrangement::LinuxServer
        } else if data.join("config") == config {
            Arrangement::Docker
        } else {
            Arrangement::Debian
        })
    }

    /// The options by which a command finds these directories again where nothing is left in them.
    pub fn options_of(directories: &Directories) -> Vec<(&'static str, String)> {
        let Some(data) = directories.get("programdata") else { return Vec::new() };
        let (config, kind) = (directories.get("config"), Arrangement::of(directories));
        let is_in_volume = kind == Some(Arrangement::LinuxServer);
        let place = if is_in_volume { config.unwrap_or(data) } else { data };
        let mut options = vec![("--data-dir", place.clone())];
        if kind == Some(Arrangement::Debian) && data != "/var/lib/jellyfin" {
            options.extend(config.map(|config| ("--config-dir", config.clone())));
        }
        let usual = format!("{}/metadata", data.trim_end_matches('/'));
        let metadata = directories.get("metadata").filter(|metadata| **metadata != usual);
        options.extend(metadata.map(|metadata| ("--metadata-dir", metadata.clone())));
        let database = directories.get("database");
        options.extend(database.map(|database| ("--database", database.clone())));
        options
    }

    /// Where a server that is run in this way sees what lies in these directories: a container sees
    /// its volume at `/config`.
    pub fn seen_by_server(self, directories: &Directories) -> Directories {
        let volume = match self {
            Arrangement::Docker => {
                directories.get("programdata").map(|data| (data.clone(), "/config"))
            }
            Arrangement::LinuxServer => {
                directories.get("config").map(|config| (config.clone(), "/config"))
            }
            Arrangement::Debian | Arrangement::Portable => None,
        };
        let seen = |dir: &String| match &volume {
            Some((here, there)) => match dir.strip_prefix(here.as_str()) {
                Some(below) if below.is_empty() || below.starts_with('/') => {
                    format!("{there}{below}")
                }
                _ => dir.clone(),
            },
            None => dir.clone(),
        };
        directories.iter().map(|(name, dir)| (name.clone(), seen(dir))).collect()
    }

    /// The instance that a server of this kind makes in a directory. What is named otherwise lies
    /// there.
    pub fn instance(self, dir: &str, named: &Named) -> Result<Instance, Unnamed> {
        let dir = if dir == "/" { dir } else { dir.trim_end_matches('/') };
        let below = |base: &str, name: &str| format!("{}/{name}", base.trim_end_matches('/'));
        let program_data =
            if self == Arrangement::LinuxServer { below(dir, "data") } else { dir.to_owned() };
        let config = match (&named.config, self) {
            (Some(config), _) => config.clone(),
            (None, Arrangement::Docker | Arrangement::Portable) => below(dir, "config"),
            (None, Arrangement::LinuxServer) => dir.to_owned(),
            (None, Arrangement::Debian) if program_data == "/var/lib/jellyfin" => {
                "/etc/jellyfin".to_owned()
            }
            (None, Arrangement::Debian) => {
                return Err(Unnamed { what: "configuration", option: "--config-dir" });
            }
        };
        let default = below(&program_data, "metadata");
        let metadata = named.metadata.clone().unwrap_or_else(|| default.clone());
        let beside = if self == Arrangement::LinuxServer { dir } else { &program_data };
        let log = named.log.clone().unwrap_or_else(|| {
            if self == Arrangement::Debian {
                "/var/log/jellyfin".to_owned()
            } else {
                below(beside, "log")
            }
        });
        let mut passing: Vec<String> =
            ["cache", "log", "logs", "transcodes"].iter().map(|name| below(beside, name)).collect();
        passing.extend(named.cache.clone());
        Ok(Instance {
            how: format!("a new instance in the {self} layout"),
            data: below(&program_data, "data"),
            root: below(&program_data, "root"),
            plugins: below(&program_data, "plugins"),
            database: Some(
                named.database.clone().unwrap_or_else(|| below(&program_data, "data/jellyfin.db")),
            ),
            metadata_default: (metadata != default).then_some(default),
            // The user says where all of it goes.
            trusted: [
                Some(dir.to_owned()),
                Some(program_data.clone()),
                Some(config.clone()),
                Some(metadata.clone()),
                named.database.clone(),
            ]
            .into_iter()
            .flatten()
            .collect(),
            config: Some(config),
            metadata,
            passing,
            log,
            program_data,
            ..Instance::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arrangement_is_told_by_the_directories_that_it_makes() {
        for arrangement in [
            Arrangement::Docker,
            Arrangement::LinuxServer,
            Arrangement::Debian,
            Arrangement::Portable,
        ] {
            let dir =
                if arrangement == Arrangement::Debian { "/var/lib/jellyfin" } else { "/srv/jf/" };
            let instance = arrangement.instance(dir, &Named::default()).unwrap();
            let directories = Directories::from([
                ("programdata".to_owned(), instance.program_data.clone()),
                ("config".to_owned(), instance.config.clone().unwrap()),
            ]);
            let told = Arrangement::of(&directories).unwrap();
            assert_eq!(
                told,
                if arrangement == Arrangement::Portable {
                    Arrangement::Docker
                } else {
                    arrangement
                }
            );
            assert_eq!(arrangement.to_string().parse(), Ok(arrangement));
        }
        let elsewhere = Arrangement::Debian.instance("/data/jf", &Named::default());
        assert_eq!(elsewhere, Err(Unnamed { what: "configuration", option: "--config-dir" }));
        let named = Named { metadata: Some("/big/metadata".to_owned()), ..Named::default() };
        let instance = Arrangement::LinuxServer.instance("/config", &named).unwrap();
        assert_eq!(
            (instance.data.as_str(), instance.metadata.as_str()),
            ("/config/data/data", "/big/metadata")
        );
        assert_eq!(instance.metadata_default.as_deref(), Some("/config/data/metadata"));
    }
}
