//! A restore that stopped halfway: the command that goes on.

use std::path::Path;

use crate::manifest::SnapshotId;
use crate::ops::{Error, ErrorKind};

use super::failure::Failure;
use super::render;

/// The failure of a restore of the snapshot that was named so, with the command that goes on where
/// it stopped halfway.
pub fn failure(error: Error, name: &str, id: &SnapshotId) -> Failure {
    if !matches!(error, Error::HalfDone { .. }) {
        return error.into();
    }
    let failure = Failure::from(error);
    let first = match failure.kind() {
        ErrorKind::Interrupted => "To go on, run",
        _ => "Fix the cause, then run",
    };
    // What was typed may mean another snapshot by then.
    let command = command(
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()),
        name,
        &id.to_string(),
    );
    failure
        .advising(&format!("{first}: {command}. Files that are up to date are not written again."))
}

/// The command that was typed, with the snapshot's own id.
fn command(typed: impl Iterator<Item = String>, name: &str, id: &str) -> String {
    let (mut is_restore, mut is_named) = (false, false);
    let words = typed.skip(1).map(|word| {
        if is_restore && !is_named && word == name {
            is_named = true;
            return id.to_owned();
        }
        is_restore |= word == "restore";
        render::argument(Path::new(&word))
    });
    std::iter::once("jellyvault".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_one_that_was_typed_with_the_id() {
        let typed = [
            "/usr/bin/jellyvault",
            "--server",
            "latest",
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            "/srv/my server",
        ];
        let command = command(typed.into_iter().map(str::to_owned), "latest", "01ab");
        assert_eq!(
            command,
            "jellyvault --server latest restore 01ab --in-place --data-dir '/srv/my server'"
        );
    }
}
