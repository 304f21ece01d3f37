//! Which labels can name a snapshot? One that `LABEL:PATH` can be told from, that a terminal can
//! show, and that means one snapshot only.

use crate::manifest::{Catalog, display};
use crate::ops::clean_name;
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;

/// A name of so many hexadecimal digits is shown and taken as an id.
const ID_DIGITS: usize = 6;
/// Longer ones fit in no list.
const LABEL_CHARS_MAX: usize = 100;

/// Refuses what could not name a snapshot.
pub fn check(label: &str) -> Result<(), Failure> {
    if label.trim().is_empty() {
        return Err(Failure::usage(
            "the label is empty",
            "Leave out --label, or give a name, for example --label 'before 12.0'.",
        ));
    }
    if label == "latest" || label.starts_with("latest~") {
        return Err(Failure::usage(
            &format!("{label:?} always means the newest snapshots, so it cannot be a label"),
            "Choose another name.",
        ));
    }
    if label.contains(':') {
        return Err(Failure::usage(
            &format!(
                "the label {label:?} contains a colon, which separates a snapshot from a path (cat LABEL:PATH)"
            ),
            "Choose a label without a colon.",
        ));
    }
    let is_id = label.len() >= ID_DIGITS
        && label.bytes().all(|byte| byte.is_ascii_hexdigit())
        && label.bytes().any(|byte| byte.is_ascii_digit());
    if is_id || Catalog::is_time(label, &jiff::tz::TimeZone::UTC) {
        let what = if is_id { "a snapshot's id" } else { "a time" };
        return Err(Failure::usage(
            &format!("the label {label:?} looks like {what}, so it could name another snapshot"),
            "Choose a label with a word in it, for example --label 'before 12.0'.",
        ));
    }
    if label.chars().count() > LABEL_CHARS_MAX {
        return Err(Failure::usage(
            &format!("the label is longer than {LABEL_CHARS_MAX} characters"),
            "Choose a short label, and put the rest into --note.",
        ));
    }
    // Characters that reverse the direction of a line can deceive the reader.
    if clean_name(label) != label {
        return Err(Failure::usage(
            &format!(
                "the label {} contains a line break or another control character",
                clean_name(&display(label.as_bytes()))
            ),
            "Choose a label without control characters.",
        ));
    }
    Ok(())
}

/// Refuses a label that another snapshot of the same server has.
pub fn check_free(
    context: &Context,
    repository: &Repository,
    server: Option<&str>,
    label: &str,
) -> Result<(), Failure> {
    let catalog = Catalog::load(repository).map_err(crate::ops::Error::from)?;
    let is_taken = |record: &crate::manifest::SnapshotRecord| {
        let is_others =
            server.zip(record.server.id.as_deref()).is_some_and(|(ours, theirs)| ours != theirs);
        record.label.as_deref() == Some(label) && !is_others
    };
    match catalog.snapshots.iter().find(|(_, record)| is_taken(record)) {
        Some((id, record)) => Err(Failure::usage(
            &format!(
                "the label {label:?} is already used by snapshot {} of {}. No snapshot was taken",
                super::render::short(id),
                super::render::time(record.time_ns, &context.zone)
            ),
            "Choose another label, or leave out --label.",
        )),
        None => Ok(()),
    }
}

/// A label for each of several zips: the label itself for one, else numbered; numbers that are
/// taken are passed over, so that the same command may be run again.
pub fn for_zips(
    repository: &Repository,
    label: &str,
    count: usize,
) -> Result<Vec<String>, Failure> {
    let catalog = Catalog::load(repository).map_err(crate::ops::Error::from)?;
    let is_free = |label: &String| {
        !catalog.snapshots.iter().any(|(_, record)| record.label.as_ref() == Some(label))
    };
    let alone = (count == 1).then(|| label.to_owned());
    let first = if count == 1 { 2 } else { 1 };
    Ok(alone
        .into_iter()
        .chain((first..).map(|number| format!("{label} {number}")))
        .filter(is_free)
        .take(count)
        .collect())
}
