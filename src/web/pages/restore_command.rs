//! The command of a restore that was chosen on the page.

use std::ffi::OsString;

use crate::ops::{Snapshot, read_id};
use crate::source::Category;

use super::super::oops::Oops;
use super::super::posted::Posted;

/// The longest argument of a command, in bytes.
const WORD_BYTES_MAX: usize = 64 << 10;

/// The command for a form, without `--dry-run`. Values are written as `--option=value`, so none can
/// be taken for an option.
pub fn arguments(snapshot: &Snapshot, posted: &Posted) -> Result<Vec<OsString>, Oops> {
    let mut words = vec!["restore".to_owned(), snapshot.0.to_string()];
    if ["all", "categories", "paths"].contains(&posted.get("what")) {
        words.push("--in-place".to_owned());
    }
    match posted.get("what") {
        "watch-state" => {
            if posted.get("user").is_empty() {
                return Err(Oops::bad("no user is chosen"));
            }
            words.extend(["--watch-state".to_owned(), format!("--user={}", posted.get("user"))]);
        }
        "picture" => {
            let name = posted.get("path").rsplit('/').next().unwrap_or_default();
            // What begins with a dash would be taken for an option.
            if read_id(posted.get("item")).is_none() || name.is_empty() || name.starts_with('-') {
                return Err(Oops::bad("no picture of an item is chosen"));
            }
            words.extend([
                "--item".to_owned(),
                posted.get("item").to_owned(),
                name.to_owned(),
                "--through-server".to_owned(),
            ]);
        }
        "list" => {
            let (option, id) = list_of(posted.get("list"))
                .ok_or_else(|| Oops::bad("no playlist or collection is chosen"))?;
            words.push(format!("{option}={id}"));
        }
        "all" => {
            if posted.has("keep") {
                words.push("--keep-old".to_owned());
            }
        }
        "categories" => {
            let chosen: Vec<&str> = posted.all("category").collect();
            if chosen.is_empty() || chosen.iter().any(|name| name.parse::<Category>().is_err()) {
                return Err(Oops::bad("no category is chosen"));
            }
            words.push(format!("--only={}", chosen.join(",")));
        }
        "paths" => {
            let path = posted.get("path");
            if path.is_empty() {
                return Err(Oops::bad("no path is given"));
            }
            words.push(format!("--path={path}"));
            if posted.has("replace") {
                words.push("--replace-pictures".to_owned());
            }
        }
        _ => return Err(Oops::bad("the form does not say what to restore")),
    }
    if posted.has("delete") && posted.get("what") == "watch-state" {
        words.push("--delete".to_owned());
    } else if posted.has("delete") && !["picture", "list"].contains(&posted.get("what")) {
        words.extend(["--delete".to_owned(), "--yes".to_owned()]);
    }
    if words.iter().any(|word| word.contains('\0') || word.len() > WORD_BYTES_MAX) {
        return Err(Oops::bad("a path cannot contain a NUL character, nor be so long"));
    }
    Ok(words.into_iter().map(OsString::from).collect())
}

/// What the form asks for.
pub fn what(posted: &Posted) -> String {
    match posted.get("what") {
        "all" => "everything".to_owned(),
        "paths" | "picture" => posted.get("path").to_owned(),
        "list" => posted.get("name").to_owned(),
        "watch-state" => format!("the watch state of {}", posted.get("user")),
        _ => posted.all("category").collect::<Vec<_>>().join(", "),
    }
}

/// The option of the command, and the id, of `playlist:ID` or `collection:ID`.
pub fn list_of(list: &str) -> Option<(&'static str, &str)> {
    let (kind, id) = list.split_once(':')?;
    let option = match kind {
        "playlist" => "--playlist",
        "collection" => "--collection",
        _ => return None,
    };
    read_id(id).map(|_| (option, id))
}
