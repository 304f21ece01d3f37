//! Whether a server runs on what is to be replaced.

use std::path::Path;

use crate::source::{Instance, LiveFile, Stat, is_open_elsewhere};

use super::super::{Error, processes};

/// Refuses where a server runs on these directories: it may have its database closed, or none yet,
/// at this very moment.
pub(in crate::ops) fn refuse_running_process(instance: &Instance) -> Result<(), Error> {
    let Some(server) = processes::server_of(Path::new(&instance.program_data)) else {
        return Ok(());
    };
    Err(Error::Refused {
        what: format!(
            "{} is using {}. Files that a running server keeps in memory must not be replaced",
            server.words(),
            instance.program_data
        ),
        hint: STOP_IT.to_owned(),
    })
}

const STOP_IT: &str = "Stop Jellyfin first (systemctl stop jellyfin, or docker stop). While the server runs, only metadata, trickplay, subtitles and \
                       attachments can be restored (--only).";

/// Refuses to replace a database that a process has open.
pub(in crate::ops) fn refuse_running(database: &LiveFile) -> Result<(), Error> {
    let holder = process_with_open(database);
    if holder.is_none() && !is_open_elsewhere(database) {
        return Ok(());
    }
    let who = holder.map_or_else(
        || "a running server".to_owned(),
        |(id, name)| format!("{name} (process {id})"),
    );
    Err(Error::Refused {
        what: format!(
            "{who} has the database {} open. Files that a running server keeps in memory must not be replaced",
            database.shown().display()
        ),
        hint: STOP_IT.to_owned(),
    })
}

/// A process that has the file open, as far as this user may see. A server may have lost its locks
/// and still write.
pub(super) fn process_with_open(file: &LiveFile) -> Option<(u32, String)> {
    let wanted = file.stat().ok()?;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if id == std::process::id() {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            if Stat::of_path(&file.path())
                .is_ok_and(|has| (has.dev, has.ino) == (wanted.dev, wanted.ino))
            {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some((id, name.trim().to_owned()));
            }
        }
    }
    None
}
