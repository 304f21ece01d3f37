//! `snapshot`.

use serde::Serialize;

use crate::manifest::Catalog;
use crate::ops::{self, SnapshotOptions, SnapshotReport, SourceSpec};
use crate::source::{Category, version};
use crate::store::Repository;

use super::args::SnapshotArgs;
use super::clean::{cleaned, in_a_line};
use super::context::Context;
use super::failure::Failure;
use super::open_or_make::{open_or_imagine, open_or_make};
use super::output;
use super::{Exit, json as to_json, labels, render, source};

/// Problems that are shown by name without `--verbose`.
const SHOWN: usize = 20;

pub fn run(context: &Context, args: SnapshotArgs) -> Result<Exit, Failure> {
    let only = wanted(&args.only, &args.skip)?;
    let spec = match &args.plain {
        Some(folder) => SourceSpec::plain(folder)?,
        None => match source::find(context, &args.source) {
            // Where there is a repository its snapshots tell.
            Err(failure) if failure.is_no_instance() => {
                context
                    .open()
                    .ok()
                    .map_or(Err(failure), |repository| {
                        source::find_to_capture(context, &args.source, &repository)
                    })?
                    .1
            }
            found => found?.1,
        },
    };
    args.label.as_deref().map_or(Ok(()), labels::check)?;
    let repository = if args.dry_run {
        open_or_imagine(context)?
    } else {
        open_or_make(context, args.init, &args.encrypt)?
    };
    let spec = if args.plain.is_none() && (spec.layout.has_traps() || !spec.problems.is_empty()) {
        source::find_known(context, &args.source, &repository)?.1
    } else {
        spec
    };
    if args.plain.is_none() {
        source::refuse_another(context, &args.source, &repository, &spec)?;
    }
    if args.if_version_changes
        && let Some(version) = same_version(&repository, &spec)?
    {
        let what = format!(
            "Jellyfin is still {version}, as in the newest snapshot, so no snapshot was taken"
        );
        if context.global.json {
            to_json::print(&serde_json::json!({"skipped": what}));
        } else {
            context.say(&format!("{what}."));
        }
        return Ok(Exit::Done);
    }
    if let Some(label) = &args.label {
        labels::check_free(context, &repository, spec.server.id.as_deref(), label)?;
    }
    let options = SnapshotOptions {
        is_kept: args.keep,
        is_safety: false,
        only,
        exclude: args.exclude,
        label: args.label,
        note: args.note,
        dry_run: args.dry_run,
        one_file_system: args.one_file_system,
        accept_loss: args.accept_loss,
        include_generated: args.include_generated,
        scratch: context.global.scratch_dir.clone(),
        host: context.host(),
        threads: 0,
    };
    let report = ops::snapshot(&repository, &spec, &options, &context.monitor)?;
    tell(context, &report, args.dry_run)?;
    let record = &report.record;
    if record.problem_count == 0 {
        return Ok(Exit::Done);
    }
    tell_problems(context, record.problem_count, &record.problems);
    Ok(Exit::Problems)
}

/// The answer.
fn tell(context: &Context, report: &SnapshotReport, dry_run: bool) -> Result<(), Failure> {
    if context.global.json {
        to_json::print(&Taken { report, made_repository: context.has_made.get() });
    } else if !context.global.quiet {
        let done = report.id.as_ref().map_or_else(
            || "nothing was stored".to_owned(),
            |id| format!("snapshot {} was taken", render::short(id)),
        );
        output::print_done(&words(report, dry_run), &done)?;
    }
    let remarks = if context.global.verbose { &report.record.remarks } else { &report.notices };
    for remark in remarks {
        context.say(&format!("Note: {remark}."));
    }
    Ok(())
}

/// The version of the installed server, where the newest snapshot is of the same. After an upgrade
/// the new program is installed before it first runs, so that its files know better than the logs.
fn same_version(repository: &Repository, spec: &SourceSpec) -> Result<Option<String>, Failure> {
    let is_packaged = spec
        .layout
        .directories()
        .get("programdata")
        .is_some_and(|data| data == "/var/lib/jellyfin");
    let installed = || {
        version::INSTALL_FOLDERS
            .iter()
            .find_map(|folder| version::from_install(std::path::Path::new(folder)))
    };
    let now = if is_packaged { installed() } else { None }.or_else(|| spec.server.version.clone());
    let is_its = |record: &crate::manifest::SnapshotRecord| {
        spec.server.id.is_some() && record.server.id == spec.server.id && !record.is_safety()
    };
    let last = Catalog::newest(repository, is_its)
        .map_err(ops::Error::from)?
        .and_then(|(_, record)| record.server.version);
    Ok(now
        .zip(last)
        .filter(|(now, last)| now.exact && last.exact && now.value == last.value)
        .map(|(now, _)| now.value))
}

/// Problems on standard error, even where the user wants quiet.
pub fn tell_problems(context: &Context, count: u64, problems: &[crate::progress::Problem]) {
    if context.global.json {
        return;
    }
    super::bar::clear();
    let shown = if context.global.verbose { problems.len() } else { SHOWN };
    let mut text = format!("{}:\n", render::plural(count, "problem", "problems"));
    for problem in problems.iter().take(shown) {
        text.push_str(&format!("  {}: {}\n", in_a_line(&problem.path), in_a_line(&problem.what)));
    }
    if count > shown as u64 {
        text.push_str(&format!(
            "  … and {} more (--verbose shows them)\n",
            render::count(count - shown as u64)
        ));
    }
    use std::io::Write;
    // Where standard error is closed the exit code still tells.
    crate::tolerate(std::io::stderr().write_all(cleaned(&text).as_bytes()));
}

/// The categories that `--only` and `--skip` leave; none means all.
pub fn wanted(only: &[String], skip: &[String]) -> Result<Vec<Category>, Failure> {
    let parse = |words: &[String]| {
        words.iter().map(|word| word.parse::<Category>()).collect::<Result<Vec<_>, _>>()
    };
    let usage = |error: crate::source::UnknownCategory| {
        Failure::usage(&error.to_string(), "Give one or more categories, separated by commas.")
    };
    let (only, skip) = (parse(only).map_err(usage)?, parse(skip).map_err(usage)?);
    if skip.is_empty() {
        return Ok(only);
    }
    let left: Vec<Category> =
        Category::ALL.into_iter().filter(|category| !skip.contains(category)).collect();
    if left.is_empty() {
        Err(Failure::usage("--skip excludes every category", "Skip fewer categories."))
    } else {
        Ok(left)
    }
}

/// A snapshot, and whether a repository was made for it.
#[derive(Serialize)]
struct Taken<'r> {
    #[serde(flatten)]
    report: &'r SnapshotReport,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    made_repository: bool,
}

fn words(report: &SnapshotReport, dry_run: bool) -> String {
    let (record, files, bytes) = (&report.record, &report.record.files, &report.record.bytes);
    let changes = format!(
        "{} new, {} changed, {} unchanged, {} {}",
        render::count(files.new),
        render::count(files.changed),
        render::count(files.unchanged),
        render::count(files.gone),
        // What a snapshot leaves out is not looked for.
        if record.excluded.is_empty() { "gone" } else { "gone or left out" }
    );
    let changes = match report.files_unknown {
        0 => changes,
        unknown => format!(
            "{changes}, {} unknown: in directories that could not be read",
            render::count(unknown)
        ),
    };
    let Some(id) = &report.id else {
        let all = files.new + files.changed + files.unchanged;
        return format!(
            "A snapshot would contain {}: {changes}. {} would be read.{}\n",
            render::plural(all, "file", "files"),
            render::size(bytes.read),
            if dry_run { " Nothing was stored." } else { "" }
        );
    };
    let version = record.server.version.as_ref().map_or_else(String::new, |v| {
        format!(" of Jellyfin {}{}", v.value, if v.exact { "" } else { " or later" })
    });
    let label = record.label.as_ref().map_or_else(String::new, |label| format!(" “{label}”"));
    format!(
        "Snapshot {}{label}{version}: {}, {}.\n  {changes}.\n  {} read, {} added to the repository, in {}.\n",
        render::short(id),
        render::plural(files.total, "file", "files"),
        render::size(bytes.source),
        render::size(bytes.read),
        render::size(bytes.new_stored),
        render::seconds(record.took_ms)
    )
}
