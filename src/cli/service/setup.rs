//! `setup`: a few questions, the configuration file, the first snapshot, and how to start the
//! service.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::manifest::Catalog;
use crate::service::{EXAMPLE, Job, Loaded, Outcome, Schedule};
use crate::source::Instance;

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::open_or_make::open_or_make;
use super::super::service_args::SetupArgs;
use super::super::snapshot::tell_problems;
use super::super::{Exit, json as to_json, output, passphrase, place, render, source};
use super::{jobs, round};

/// File systems that hold data; others are the kernel's own, or gone with the next start.
const DISKS: [&str; 14] = [
    "ext4", "ext3", "ext2", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "nfs", "nfs4", "cifs",
    "smb3", "fuseblk", "exfat",
];
/// Less free room than this is no place for a repository, in bytes.
const ROOM_MIN: u64 = 1 << 30;

pub fn run(context: &Context, args: &SetupArgs) -> Result<Exit, Failure> {
    let file = place::file_to_write(context.global.config.as_deref())?;
    if file.exists() && !args.force {
        return Err(Failure::usage(
            &format!("the configuration file {} exists already", file.display()),
            "Edit it, then run jellyvault config check. To replace it with a new one, add --force.",
        ));
    }
    let asks = !args.yes && !context.global.json;
    if asks && !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "setup asks questions, but standard input is not a terminal",
            "Add --yes to take the defaults. See jellyvault setup --help for what can be set.",
        ));
    }
    // What the file says that is to be replaced does not count.
    let context =
        &context.with_settings(Loaded::read(None, &context.surroundings().variables)?, None);
    let named = SourceArgs { data_dir: args.data_dir.clone(), ..SourceArgs::default() };
    let (instance, spec) = source::find(context, &named)?;
    let version = spec
        .server
        .version
        .as_ref()
        .map_or_else(String::new, |version| format!(" {}", version.value));
    context.say(&format!("Found Jellyfin{version}: {} ({}).", instance.program_data, instance.how));
    let answers = Answers::take(context, args, asks, &instance)?;
    let text = filled(
        &answers,
        args.data_dir.as_deref().map(|_| instance.program_data.as_str()),
        args.email.as_deref(),
        &passphrase_line(context),
    );
    // Checked as it will be read.
    let config: crate::service::Config = toml::from_str(&text)
        .map_err(|error| Failure::usage(error.message(), "See jellyvault setup --help."))?;
    config.check().map_err(|error| {
        Failure::usage(&error.to_string(), "Nothing was written. See jellyvault setup --help.")
    })?;
    let loaded = Loaded { config, file: Some(file.clone()), variables: Vec::new() };
    let fresh = context.with_settings(loaded, Some(&answers.repo));
    // A place that cannot be used is told before anything is written.
    let repository = open_or_make(&fresh, false, &args.encrypt)?;
    let is_encrypted = repository.config().is_encrypted();
    drop(repository);
    write(&file, &text)?;
    context.say(&format!("Wrote {}.", file.display()));
    let outcome = jobs::run(&fresh, fresh.settings()?, Job::Snapshot)?;
    if outcome.is_ok {
        round::remember(&fresh, Job::Snapshot, &outcome);
    }
    if is_encrypted && !passphrase::is_named(&fresh).map_err(crate::ops::Error::from)? {
        fresh.complain(
            "scheduled jobs cannot open the repository, because nobody is there to type the passphrase. Write it into a file that only you can read, and name that \
             file with passphrase_file in [encryption] of the configuration file",
        );
    }
    finish(&fresh, &outcome, &file, &answers.repo)
}

/// Where scheduled jobs get the passphrase from: from where this run gets it.
fn passphrase_line(context: &Context) -> Option<String> {
    let value = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let global = &context.global;
    if let Some(file) = &global.passphrase_file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        return Some(format!("passphrase_file = {}", value(&file.to_string_lossy())));
    }
    let command = global.passphrase_command.as_deref();
    command.map(|command| format!("passphrase_command = {}", value(command)))
}

/// Tells how the first snapshot went, and what comes next.
fn finish(context: &Context, outcome: &Outcome, file: &Path, repo: &Path) -> Result<Exit, Failure> {
    let start = start_words(context.global.config.as_deref());
    let newest = if outcome.is_ok {
        Catalog::newest(&context.open()?, |_| true).map_err(crate::ops::Error::from)?
    } else {
        None
    };
    let problems =
        newest.map(|(_, record)| (record.problem_count, record.problems)).unwrap_or_default();
    if context.global.json {
        to_json::print(&json!({
            "config": file, "repository": repo, "start": start,
            "snapshot": {"ok": outcome.is_ok, "what": outcome.words, "problems": problems.1},
        }));
    } else {
        let done = "the configuration was written and a snapshot was tried";
        output::print_done(&round::line(Job::Snapshot, outcome), done)?;
        if problems.0 > 0 {
            tell_problems(context, problems.0, &problems.1);
        }
        if outcome.is_ok {
            context.say(&start);
        } else {
            context.say("The configuration is written, but the first snapshot failed. Fix the cause, then run: jellyvault run");
        }
    }
    Ok(match (outcome.is_ok, problems.0) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Problems,
    })
}

/// What the user said, or would say.
struct Answers {
    repo: PathBuf,
    every: String,
    ntfy: Option<String>,
}

impl Answers {
    fn take(
        context: &Context,
        args: &SetupArgs,
        asks: bool,
        instance: &Instance,
    ) -> Result<Answers, Failure> {
        let repo = |text: &str| -> Result<PathBuf, String> {
            let home = std::env::home_dir().filter(|_| text.starts_with("~/"));
            let path = home.map_or_else(
                || PathBuf::from(text),
                |home| home.join(text.trim_start_matches("~/")),
            );
            place::repository(Some(&path), None).map_err(|failure| failure.message().to_owned())?;
            std::path::absolute(&path).map_err(|error| error.to_string())
        };
        let every = |text: &str| Schedule::every(text).map(|_| text.to_owned());
        let ntfy = |text: &str| match text.starts_with("https://")
            || text.starts_with("http://")
            || text.is_empty()
        {
            true => Ok(text.to_owned()),
            false => Err("an address begins with https://".to_owned()),
        };
        let wrong = |what: String| {
            Failure::usage(&what, "Nothing was written. See jellyvault setup --help.")
        };
        let proposed = match &context.global.repo {
            Some(repo) => repo.clone(),
            None => proposed_repository(context, instance)?,
        };
        let (proposed, usual) = (
            proposed.to_string_lossy().into_owned(),
            args.every.clone().unwrap_or_else(|| "15m".to_owned()),
        );
        let given = args.ntfy.clone().unwrap_or_default();
        let (repo, every, ntfy) = if asks {
            (
                ask(
                    context,
                    "Where should snapshots be stored (best on another disk)?",
                    &proposed,
                    repo,
                )?,
                if args.every.is_some() {
                    every(&usual).map_err(wrong)?
                } else {
                    ask(context, "How often should a snapshot be taken?", &usual, every)?
                },
                if args.ntfy.is_some() {
                    ntfy(&given).map_err(wrong)?
                } else {
                    ask(
                        context,
                        "Send alarms to an ntfy topic (its https:// address; empty for none)?",
                        "",
                        ntfy,
                    )?
                },
            )
        } else {
            (
                repo(&proposed).map_err(wrong)?,
                every(&usual).map_err(wrong)?,
                ntfy(&given).map_err(wrong)?,
            )
        };
        Ok(Answers { repo, every, ntfy: Some(ntfy).filter(|address| !address.is_empty()) })
    }
}

/// A question with what holds where nothing is answered, until the answer is one.
fn ask<T>(
    context: &Context,
    question: &str,
    usual: &str,
    take: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    let shown = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
    loop {
        let mut answer = String::new();
        // Ctrl-C ends a question at once.
        let waiting = context.monitor.interrupt.out_of_hand();
        let asked = std::io::stderr()
            .write_all(format!("{question}{shown} ").as_bytes())
            .and_then(|()| std::io::stdin().read_line(&mut answer));
        drop(waiting);
        if !asked.is_ok_and(|length| length > 0) {
            return Err(Failure::usage(
                "the question was not answered; nothing was written",
                "Run jellyvault setup again, or add --yes.",
            ));
        }
        match take(Some(answer.trim()).filter(|answer| !answer.is_empty()).unwrap_or(usual)) {
            Ok(taken) => return Ok(taken),
            Err(what) => context.say(&format!("That does not work: {what}.")),
        }
    }
}

/// A folder on the disk with the most room that is not the server's own; the usual place where
/// there is no other disk.
fn proposed_repository(context: &Context, instance: &Instance) -> Result<PathBuf, Failure> {
    let own = std::fs::metadata(&instance.program_data).map(|facts| facts.dev()).ok();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let disk = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) =
            (words.next()?.replace("\\040", " "), words.next()?, words.next()?);
        let is_system = ["/boot", "/etc", "/proc", "/sys", "/dev", "/run/credentials"]
            .iter()
            .any(|place| point.starts_with(place));
        let is_writable = options.split(',').any(|option| option == "rw")
            && rustix::fs::access(&point, rustix::fs::Access::WRITE_OK).is_ok();
        let device = std::fs::metadata(&point).ok().filter(std::fs::Metadata::is_dir)?.dev();
        let room = rustix::fs::statvfs(&point)
            .ok()
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))?;
        (DISKS.contains(&kind)
            && !is_system
            && is_writable
            && point != "/"
            && Some(device) != own
            && room >= ROOM_MIN)
            .then_some((room, PathBuf::from(point)))
    };
    match mounts.lines().filter_map(disk).max() {
        Some((_, point)) => Ok(point.join("jellyvault")),
        None => context.repository_path(),
    }
}

/// The example with the answers in it.
fn filled(
    answers: &Answers,
    data_dir: Option<&str>,
    email: Option<&str>,
    passphrase: &Option<String>,
) -> String {
    let value = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let repo = answers.repo.to_string_lossy();
    let answers = [
        ("#: repo = ", Some(&*repo)),
        ("#: data_dir = ", data_dir),
        ("every = ", Some(&answers.every)),
        ("#: ntfy = ", answers.ntfy.as_deref()),
        ("#: email = ", email),
    ];
    let line = |line: &str| {
        if line.starts_with("#: passphrase_file = ") && passphrase.is_some() {
            return passphrase.clone();
        }
        let (begin, answer) =
            answers.iter().find(|(begin, answer)| line.starts_with(begin) && answer.is_some())?;
        Some(format!("{}{}", begin.trim_start_matches("#: "), value((*answer)?)))
    };
    EXAMPLE
        .lines()
        .map(|text| format!("{}\n", line(text).unwrap_or_else(|| text.to_owned())))
        .collect()
}

/// The file may name addresses with tokens in them: it is its owner's alone.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |source| {
        Failure::from(crate::ops::Error::Target { verb: "write", path: file.to_path_buf(), source })
    };
    let dir = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut new = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// How the jobs are done by themselves from now on, on this machine.
fn start_words(config: Option<&Path>) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("jellyvault"));
    let config =
        config.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()));
    let option = config
        .as_ref()
        .map_or_else(String::new, |file| format!(" --config {}", render::argument(file)));
    let has_unit = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|dir| Path::new(dir).join("jellyvault.service").exists());
    if has_unit && config.is_none() {
        return "Next: start the service with systemctl enable --now jellyvault".to_owned();
    }
    format!(
        "Next: start automatic snapshots. Either keep this command running: {0}{option} serve (docs/service.md has a systemd unit and a compose file)\nOr let cron run this every five minutes: {0}{option} -q run",
        render::argument(&program)
    )
}
