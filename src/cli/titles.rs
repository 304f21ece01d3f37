//! `--item TITLE`: what the user calls it, instead of a folder named by an id.

use serde_json::{Value, json};

use crate::manifest::{SnapshotId, SnapshotRecord, display, file_name};
use crate::ops::{self, Titled, image_word_of_file};
use crate::store::Repository;

use super::failure::Failure;

/// As many are listed where several are called so.
const LISTED: usize = 12;

/// The paths of what is called so, or of one of its pictures.
pub fn paths(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    title: &str,
    picture: Option<&str>,
) -> Result<Vec<Vec<u8>>, Failure> {
    let one = pick(find(repository, snapshot, title)?, title)?;
    if one.paths.is_empty() {
        return Err(Failure::not_found(
            &format!("{} has no files of its own in this snapshot", words(&one)),
            "Its pictures may be stored with the media, which is not part of a snapshot. Run jellyvault find TITLE to see its files.",
        ));
    }
    let Some(picture) = picture else { return Ok(one.paths) };
    // As the dashboard calls them.
    let picture = match picture.to_ascii_lowercase().as_str() {
        "primary" => "poster",
        "thumb" => "thumbnail",
        _ => picture,
    };
    let mut found = Vec::new();
    for folder in &one.paths {
        ops::ls(repository, snapshot, folder, false, |_, entry| {
            let name = String::from_utf8_lossy(file_name(&entry.path)).into_owned();
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            // A user has one picture, which people call as they call those of films.
            let is_profile =
                one.kind == "user" && stem == "profile" && picture.eq_ignore_ascii_case("poster");
            let is_kind =
                image_word_of_file(&name).is_some_and(|word| word == picture.to_lowercase());
            if is_kind
                || is_profile
                || stem.eq_ignore_ascii_case(picture)
                || name.eq_ignore_ascii_case(picture)
            {
                found.push(entry.path.clone());
            }
            Ok(())
        })?;
    }
    if found.is_empty() {
        return Err(Failure::not_found(
            &format!("{} has no {picture} in this snapshot", words(&one)),
            "Use poster, backdrop, logo, thumbnail, banner, art, disc, or a file name. Run jellyvault find TITLE to see its files.",
        ));
    }
    Ok(found)
}

/// The one picture that is meant, or the first of its kind.
pub fn picture(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    title: &str,
    picture: &str,
) -> Result<Vec<u8>, Failure> {
    let found = paths(repository, snapshot, title, Some(picture))?.into_iter().next();
    found.ok_or_else(|| {
        Failure::not_found(
            &format!("{title} has no {picture} in this snapshot"),
            "Run jellyvault ls SNAPSHOT --item TITLE to see its files.",
        )
    })
}

/// What is called so, and the one picture of it that is meant, or the first of its kind.
pub fn one_picture(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    title: &str,
    word: &str,
) -> Result<(Titled, Vec<u8>), Failure> {
    let one = pick(find(repository, snapshot, title)?, title)?;
    let path = picture(repository, snapshot, &format!("{:032x}", one.id), word)?;
    Ok((one, path))
}

/// All that are called so.
pub fn find(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    title: &str,
) -> Result<Vec<Titled>, Failure> {
    let index = repository.index().map_err(ops::Error::from)?;
    Ok(ops::titles(repository, &index, snapshot, title)?)
}

/// The one that is meant.
fn pick(found: Vec<Titled>, title: &str) -> Result<Titled, Failure> {
    let exact = found.iter().filter(|titled| titled.is_exact).count();
    let several = if exact > 0 { exact } else { found.len() };
    if several > 1 {
        let more = if several > LISTED {
            format!(", and {} more", several - LISTED)
        } else {
            String::new()
        };
        let list: Vec<String> = found.iter().take(several.min(LISTED)).map(words).collect();
        return Err(Failure::usage(
            &format!("{several} items match {title:?}"),
            &format!("Add the year (\"TITLE (1999)\"), or give the id: {}{more}.", list.join("; ")),
        ));
    }
    found.into_iter().next().ok_or_else(|| {
        Failure::not_found(
            &format!("no item in this snapshot matches {title:?}"),
            "Part of a title is enough. The item may not have existed at that time: run jellyvault find TITLE --in SNAPSHOT to search another snapshot.",
        )
    })
}

/// One of them, for people.
pub fn words(titled: &Titled) -> String {
    let year = titled.year.map_or_else(String::new, |year| format!(" ({year})"));
    let media = titled
        .media
        .as_ref()
        .map_or_else(String::new, |path| format!(", {}", display(path.as_bytes())));
    format!("{}{year}, {}, {:032x}{media}", titled.name, titled.kind, titled.id)
}

/// The same for programs.
pub fn document(titled: &Titled) -> Value {
    let paths: Vec<String> = titled.paths.iter().map(|path| display(path)).collect();
    json!({"title": titled.name, "kind": titled.kind, "year": titled.year, "id": format!("{:032x}", titled.id), "media": titled.media, "paths": paths})
}
