//! `import`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use serde_json::json;

use crate::ops::documents::ImportedZip;
use crate::ops::{self, ImportOptions, ImportReport};

use super::context::Context;
use super::copy_args::ImportArgs;
use super::failure::Failure;
use super::open_or_make::open_or_make;
use super::snapshot::tell_problems;
use super::{Exit, json as to_json, labels, output, render};

pub fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Failure> {
    let zips = zips(&args.zips)?;
    args.label.as_deref().map_or(Ok(()), labels::check)?;
    let repository = open_or_make(context, args.init, &args.encrypt)?;
    let labels = args
        .label
        .as_deref()
        .map_or(Ok(Vec::new()), |label| labels::for_zips(&repository, label, zips.len()))?;
    let built = ops::build_known(&repository, &context.monitor)?;
    if !built.is_empty() {
        context.say(super::schema::built_words(&built).trim_end());
    }
    let mut done: Vec<(PathBuf, ImportReport)> = Vec::new();
    let mut failed: Vec<(PathBuf, Failure)> = Vec::new();
    let last = zips.len().saturating_sub(1);
    for (number, zip) in zips.into_iter().enumerate() {
        let options = ImportOptions {
            label: labels.get(number).cloned(),
            note: args.note.clone(),
            zone: context.zone.clone(),
            force: args.force,
            threads: 0,
        };
        let file = match zip.open() {
            Ok(file) => file,
            Err(failure) => {
                failed.push((zip.path, failure));
                continue;
            }
        };
        let zip = zip.path;
        match ops::import_open(&repository, (&zip, file), &options, &context.monitor) {
            Ok(report) => {
                if !context.global.json && !context.global.quiet {
                    let others = if number < last { " (the zips after it were not)" } else { "" };
                    let done = format!("{} was imported{others}", zip.display());
                    output::print_done(&words(context, &zip, &report), &done)?;
                }
                if report.record.problem_count > 0 && !report.was_there {
                    tell_problems(context, report.record.problem_count, &report.record.problems);
                }
                done.push((zip, report));
            }
            Err(ops::Error::Interrupted) => return Err(ops::Error::Interrupted.into()),
            // The others may be sound.
            Err(error) => failed.push((zip, error.into())),
        }
    }
    if context.global.json {
        let mut document = json!({"snapshots": done.iter().map(|(zip, report)| ImportedZip::of(zip, report)).collect::<Vec<_>>()});
        if let Some(object) = document.as_object_mut().filter(|_| context.has_made.get()) {
            object.insert("made_repository".to_owned(), json!(true));
        }
        if let (Some(object), Some((_, first))) = (document.as_object_mut(), failed.first()) {
            if done.is_empty() {
                object.insert("error".to_owned(), first.document());
            }
            let all = failed.iter().map(|(zip, failure)| json!({"path": zip.to_string_lossy(), "error": failure.document()})).collect();
            object.insert("failed".to_owned(), serde_json::Value::Array(all));
        }
        to_json::print(&document);
    } else {
        failed.iter().for_each(|(_, failure)| {
            failure.report(context.global.json);
        });
    }
    let has_problems =
        done.iter().any(|(_, report)| report.record.problem_count > 0 && !report.was_there);
    Ok(match (failed.is_empty(), done.is_empty()) {
        (false, true) => Exit::Failed,
        (true, _) if !has_problems => Exit::Done,
        // Some came in: done, with problems.
        _ => Exit::Problems,
    })
}

/// A zip by the path that the user sees, and where it was found in a folder.
struct Zip {
    path: PathBuf,
    found: Option<Arc<OwnedFd>>,
}

impl Zip {
    /// The file, where it was found in a folder: who may write there must not lead us elsewhere by
    /// a link.
    fn open(&self) -> Result<Option<File>, Failure> {
        let (Some(dir), Some(name)) = (&self.found, self.path.file_name()) else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&**dir, name, flags, Mode::empty());
        opened.map(|fd| Some(File::from(fd))).map_err(|source| {
            ops::Error::Source { path: self.path.clone(), source: source.into() }.into()
        })
    }
}

/// The zips that were named; of a folder all that lie in it, oldest name first. A link in a folder
/// is followed only by the user's own word.
fn zips(named: &[PathBuf]) -> Result<Vec<Zip>, Failure> {
    let mut zips = Vec::new();
    for path in named {
        let failed = |source| Failure::from(ops::Error::Source { path: path.clone(), source });
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            zips.push(Zip { path: path.clone(), found: None });
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Arc::new(
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?,
        );
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file
                && entry.path().extension().is_some_and(|kind| kind.eq_ignore_ascii_case("zip"))
            {
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            return Err(Failure::usage(
                &format!("no zip found in {}", path.display()),
                "Give a zip, or the directory data/backups of a Jellyfin server.",
            ));
        }
        found.sort();
        zips.extend(found.into_iter().map(|path| Zip { path, found: Some(dir.clone()) }));
    }
    Ok(zips)
}

fn words(context: &Context, zip: &Path, report: &ImportReport) -> String {
    let (id, record) = (render::short(&report.id), &report.record);
    let time = render::time(record.time_ns, &context.zone);
    if report.was_there {
        return format!(
            "{} was already imported: snapshot {id} of {time}. Nothing was stored.\n",
            zip.display()
        );
    }
    let version =
        record.server.version.as_ref().map_or("an unknown version", |version| &version.value);
    let mut out = format!(
        "Imported {}: snapshot {id} of {time}, Jellyfin {version}, {} ({}); {} added to the repository.\n",
        zip.display(),
        render::plural(record.files.total, "file", "files"),
        render::size(record.bytes.source),
        render::size(record.bytes.new_stored),
    );
    for remark in &record.remarks {
        out.push_str(&format!("Note: {remark}.\n"));
    }
    out
}
