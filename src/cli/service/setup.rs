//! `setup`: a few questions, the configuration file, the first snapshot, and how to start the service.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::service::{EXAMPLE, Job, Loaded, Schedule};
use crate::source::Instance;

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::SetupArgs;
use super::super::{Exit, json as to_json, output, place, render, source};
use super::{jobs, round};

/// File systems that hold data; others are the kernel's own, or gone with the next start.
const DISKS: [&str; 14] = ["ext4", "ext3", "ext2", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "nfs", "nfs4", "cifs", "smb3", "fuseblk", "exfat"];
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
    let named = SourceArgs { data_dir: args.data_dir.clone(), ..SourceArgs::default() };
    let (instance, spec) = source::find(context, &named)?;
    let version = spec.server.version.as_ref().map_or_else(String::new, |version| format!(" {}", version.value));
    context.say(&format!("Found Jellyfin{version}: {} ({}).", instance.program_data, instance.how));
    let proposed = match &context.global.repo {
        Some(repo) => std::path::absolute(repo).unwrap_or_else(|_| repo.clone()),
        None => proposed_repository(context, &instance)?,
    };
    let repo = if asks { PathBuf::from(ask("Where should snapshots be stored (best on another disk)?", &proposed.to_string_lossy())?) } else { proposed };
    let every = args.every.clone().unwrap_or_else(|| "15m".to_owned());
    let every = if asks { ask("How often should a snapshot be taken?", &every)? } else { every };
    Schedule::every(&every).map_err(|what| Failure::usage(&what, "Give a duration such as 15m, 6h or 1d."))?;
    let ntfy = match &args.ntfy {
        None if asks => Some(ask("Send alarms to an ntfy topic (its https:// address; empty for none)?", "")?).filter(|address| !address.is_empty()),
        given => given.clone(),
    };
    let text = filled(&repo, args.data_dir.as_deref().map(|_| instance.program_data.as_str()), &every, ntfy.as_deref(), args.email.as_deref());
    // Checked as it will be read.
    let config: crate::service::Config = toml::from_str(&text).map_err(|error| Failure::usage(error.message(), "See jellyvault config example."))?;
    config.check()?;
    write(&file, &text)?;
    context.say(&format!("Wrote {}.", file.display()));
    let loaded = Loaded { config, file: Some(file.clone()), variables: Vec::new() };
    let fresh = context.with_settings(loaded, &repo);
    let outcome = jobs::run(&fresh, fresh.settings()?, Job::Snapshot)?;
    if outcome.is_ok {
        round::remember(&fresh, Job::Snapshot, &outcome);
    }
    let start = start_words();
    if context.global.json {
        to_json::print(&json!({"config": file, "repository": repo, "snapshot": {"ok": outcome.is_ok, "what": outcome.words}, "start": start}));
    } else {
        output::print(&round::line(Job::Snapshot, &outcome))?;
        context.say(&start);
    }
    Ok(if outcome.is_ok { Exit::Done } else { Exit::Failed })
}

/// A question with what holds where nothing is answered.
fn ask(question: &str, usual: &str) -> Result<String, Failure> {
    let shown = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
    let mut answer = String::new();
    let asked = std::io::stderr().write_all(format!("{question}{shown} ").as_bytes()).and_then(|()| std::io::stdin().read_line(&mut answer));
    match asked {
        Ok(0) | Err(_) => Err(Failure::usage("the question was not answered; nothing was written", "Run jellyvault setup again, or add --yes.")),
        Ok(_) => Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()).unwrap_or_else(|| usual.to_owned())),
    }
}

/// A folder on the disk with the most room that is not the server's own; the usual place where there is no other disk.
fn proposed_repository(context: &Context, instance: &Instance) -> Result<PathBuf, Failure> {
    let own = std::fs::metadata(&instance.program_data).map(|facts| facts.dev()).ok();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let disk = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) = (words.next()?.replace("\\040", " "), words.next()?, words.next()?);
        let is_system = ["/boot", "/etc", "/proc", "/sys", "/dev", "/run/credentials"].iter().any(|place| point.starts_with(place));
        let is_writable = options.split(',').any(|option| option == "rw") && rustix::fs::access(&point, rustix::fs::Access::WRITE_OK).is_ok();
        let device = std::fs::metadata(&point).ok().filter(std::fs::Metadata::is_dir)?.dev();
        let room = rustix::fs::statvfs(&point).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))?;
        (DISKS.contains(&kind) && !is_system && is_writable && point != "/" && Some(device) != own && room >= ROOM_MIN).then_some((room, PathBuf::from(point)))
    };
    match mounts.lines().filter_map(disk).max() {
        Some((_, point)) => Ok(point.join("jellyvault")),
        None => context.repository_path(),
    }
}

/// The example with the answers in it.
fn filled(repo: &Path, data_dir: Option<&str>, every: &str, ntfy: Option<&str>, email: Option<&str>) -> String {
    let value = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let repo = repo.to_string_lossy();
    let answers = [("#: repo = ", Some(&*repo)), ("#: data_dir = ", data_dir), ("every = ", Some(every)), ("#: ntfy = ", ntfy), ("#: email = ", email)];
    let line = |line: &str| {
        let (begin, answer) = answers.iter().find(|(begin, answer)| line.starts_with(begin) && answer.is_some())?;
        Some(format!("{}{}", begin.trim_start_matches("#: "), value((*answer)?)))
    };
    EXAMPLE.lines().map(|text| format!("{}\n", line(text).unwrap_or_else(|| text.to_owned()))).collect()
}

/// The file may name addresses with tokens in them: it is its owner's alone.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |source| Failure::from(crate::ops::Error::Target { verb: "write", path: file.to_path_buf(), source });
    let dir = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut new = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// How the jobs are done by themselves from now on, on this machine.
fn start_words() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("jellyvault"));
    let has_unit =
        ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"].iter().any(|dir| Path::new(dir).join("jellyvault.service").exists());
    if has_unit {
        return "Next: start the service with systemctl enable --now jellyvault".to_owned();
    }
    format!(
        "Next: keep {0} serve running (docs/service.md has a systemd unit and a compose file), or let cron run {0} run every few minutes",
        render::argument(&program)
    )
}
