//! `cat`.

use crate::manifest::typed_path;
use crate::ops;

use super::context::Context;
use super::failure::Failure;
use super::ls::split_place;
use super::{Exit, titles};

pub fn run(context: &Context, place: &str, item: &[String]) -> Result<Exit, Failure> {
    if let Some(title) = item.first() {
        let picture = item.get(1).map_or("poster", String::as_str);
        return picture_of(context, place, title, picture);
    }
    let (name, Some(path)) = split_place(place) else {
        return Err(Failure::usage(
            &format!("{place:?} does not name a file"),
            "Write SNAPSHOT:PATH, for example latest:config/system.xml.",
        ));
    };
    if context.global.json {
        return Err(Failure::usage(
            "cat writes the content of a file and cannot print JSON",
            "Leave out --json.",
        ));
    }
    let repository = context.open()?;
    let catalog = context.catalog_named(&repository, &[name])?;
    let snapshot = context.resolve(&catalog, name)?;
    ops::cat(&repository, snapshot, &typed_path(path), &mut std::io::stdout().lock())?;
    Ok(Exit::Done)
}

/// `--item TITLE PICTURE`: the first such picture.
fn picture_of(context: &Context, name: &str, title: &str, picture: &str) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog_named(&repository, &[name])?;
    let snapshot = context.resolve(&catalog, name)?;
    let path = titles::picture(&repository, snapshot, title, picture)?;
    ops::cat(&repository, snapshot, &path, &mut std::io::stdout().lock())?;
    Ok(Exit::Done)
}
