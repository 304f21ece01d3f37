//! The directories of a server that is made anew by a restore, and how it is started there.

use std::path::{Path, PathBuf};

use crate::manifest::SnapshotRecord;
use crate::source::{Arrangement, Instance, Named};

use super::args::RestoreArgs;
use super::failure::Failure;

/// The directories of a server that keeps its things in this way.
pub(super) fn arranged(
    arrangement: Arrangement,
    dir: &Path,
    args: &RestoreArgs,
) -> Result<Instance, Failure> {
    let text = |path: &Option<PathBuf>| {
        path.as_ref().map(|path| absolute(path).to_string_lossy().into_owned())
    };
    let named = Named {
        config: text(&args.config_dir),
        metadata: text(&args.metadata_dir),
        database: text(&args.database),
        ..Named::default()
    };
    arrangement.instance(&absolute(dir).to_string_lossy(), &named).map_err(|unnamed| {
        Failure::usage(
            &unnamed.to_string(),
            &format!(
                "Give the directory with {}. It is created if it does not exist.",
                unnamed.option
            ),
        )
    })
}

/// A path of the current directory is meant, whether it is there or not.
fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}

/// A directory that is arranged as a server keeps its things: the packages' directories lie below
/// it as below `/`.
pub(super) fn below(
    dir: &Path,
    arrangement: Arrangement,
    args: &RestoreArgs,
) -> Result<Instance, Failure> {
    if arrangement != Arrangement::Debian || args.config_dir.is_some() {
        return arranged(arrangement, dir, args);
    }
    let dir = absolute(dir);
    let named = Named {
        config: Some(dir.join("etc/jellyfin").to_string_lossy().into_owned()),
        ..Named::default()
    };
    arrangement.instance(&dir.join("var/lib/jellyfin").to_string_lossy(), &named).map_err(
        |unnamed| {
            Failure::usage(
                &unnamed.to_string(),
                &format!("Give the directory with {}.", unnamed.option),
            )
        },
    )
}

/// What is left to do by hand before the server runs.
pub(super) fn start_words(
    arrangement: Arrangement,
    instance: &Instance,
    dir: &Path,
    record: &SnapshotRecord,
    args: &RestoreArgs,
) -> String {
    let dir = absolute(dir);
    let media = if !args.map.map.is_empty() {
        "at its new path"
    } else if args.map.map_layout.is_some() {
        "as said above"
    } else {
        "at the same path as before"
    };
    match arrangement {
        Arrangement::Docker | Arrangement::LinuxServer => {
            let elsewhere = volumes_elsewhere(instance, &dir, record);
            format!(
                "Start the container with this directory as its configuration (-v {}:/config){elsewhere}, and with the media {media}",
                dir.display()
            )
        }
        Arrangement::Debian => packaged_start_words(instance, media),
        Arrangement::Portable => {
            let config = instance.config.clone().unwrap_or_default();
            format!(
                "Mount the media {media}, then start the server: jellyfin --datadir {} --configdir {config}",
                dir.display()
            )
        }
    }
}

/// The volumes that a container needs beside its configuration, at the paths that its settings
/// name.
fn volumes_elsewhere(instance: &Instance, dir: &Path, record: &SnapshotRecord) -> String {
    let folder = |file: &str| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let source = &record.source;
    let metadata = source.own_metadata_path().map(str::to_owned);
    let database = instance.database.as_deref().and_then(folder);
    let places = [
        ("metadata", Some(instance.metadata.clone()), metadata),
        ("database", database, source.own_database_path().and_then(folder)),
    ];
    places
        .into_iter()
        .filter_map(|(what, here, seen)| Some((what, here?, seen?)))
        .filter(|(_, here, _)| !Path::new(here).starts_with(dir))
        .map(|(what, here, seen)| {
            format!(", with its {what} at the same path as before (-v {here}:{seen})")
        })
        .collect()
}

/// The packages' server looks in the usual directories; for others its service must be told.
fn packaged_start_words(instance: &Instance, media: &str) -> String {
    let config = instance.config.as_deref().unwrap_or_default();
    let usual = [
        ("JELLYFIN_DATA_DIR", instance.program_data.as_str(), "/var/lib/jellyfin"),
        ("JELLYFIN_CONFIG_DIR", config, "/etc/jellyfin"),
    ];
    let own: Vec<String> = usual
        .iter()
        .filter(|(_, dir, usual)| dir != usual)
        .map(|(name, dir, _)| format!("{name}=\"{dir}\""))
        .collect();
    let set = if own.is_empty() {
        "Mount".to_owned()
    } else {
        format!(
            "Set {} in /etc/default/jellyfin (Fedora: /etc/sysconfig/jellyfin), so that the server uses these directories. Mount",
            own.join(" and ")
        )
    };
    format!("{set} the media {media}, then start the server: systemctl start jellyfin")
}
