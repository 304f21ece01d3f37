//! The report: how the last week went, to whoever gets the alarms.

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::manifest::{Catalog, instance_of};
use crate::ops::{self, Snapshot};
use crate::service::{Alarm, Job, Loaded, Message, Standing};
use crate::store::{Location, Repository};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::render;
use super::facts::{Schedules, Whose, alarm_file, gather};
use super::notice::capital;

/// The time that a report covers.
const SPAN: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Lines of what happened.
const TOLD: usize = 12;
/// Names that are found out of a list.
const NAMED: usize = 3;

/// Sends it.
pub fn run(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let notify = &loaded.config.notify;
    if notify.is_empty() {
        return Ok((true, "[notify] names no destination, so no report was sent".to_owned()));
    }
    let repository = context.open()?;
    let now = Zoned::now().with_time_zone(context.zone.clone());
    let alarm = alarm_file(context).map(|file| Alarm::read(&file)).unwrap_or_default();
    let (mut facts, _) = gather(context, loaded, &Schedules::of(loaded)?, &alarm, &now)?;
    // This one is the next try.
    facts.failures.retain(|(job, _)| *job != Job::Report);
    let standing = Standing::of(&facts, now.timestamp());
    let (level, body) = (standing.level, body(context, &repository, standing, now.timestamp())?);
    let title = format!("jellyvault on {}: the last 7 days", context.host());
    let outcomes = notify.send(&Message { title, body, level });
    let sent: Vec<&str> =
        outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| *name).collect();
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?)))
        .collect();
    Ok(match (sent.is_empty(), failed.is_empty()) {
        (true, _) => (false, failed.join("; ")),
        (false, true) => (true, format!("the report was sent ({})", sent.join(", "))),
        (false, false) => (
            true,
            format!("the report was sent ({}), but not by {}", sent.join(", "), failed.join("; ")),
        ),
    })
}

fn body(
    context: &Context,
    repository: &Repository,
    standing: Standing,
    now: Timestamp,
) -> Result<String, Failure> {
    let mut lines = vec![standing.sentence];
    lines.extend(
        standing
            .reasons
            .iter()
            .map(|reason| format!("- {}. {}", capital(&reason.what), reason.todo)),
    );
    let whose = Whose::find(context);
    let catalog = Catalog::load(repository).map_err(ops::Error::from)?;
    let own: Vec<&Snapshot> = catalog
        .snapshots
        .iter()
        .filter(|(_, record)| whose.has(record) && !record.is_safety())
        .collect();
    // If the server is not found, these are the snapshots of all servers: the report is about one.
    let server = own.last().map(|(_, record)| instance_of(record).to_owned());
    let own: Vec<&Snapshot> = own
        .into_iter()
        .filter(|(_, record)| server.as_deref() == Some(instance_of(record)))
        .collect();
    let begin = now.saturating_sub(SPAN).unwrap_or(Timestamp::MIN);
    let is_recent = |(_, record): &Snapshot| render::moment(record.time_ns) > begin;
    let recent: Vec<&Snapshot> = own.iter().copied().filter(|one| is_recent(one)).collect();
    lines.push(String::new());
    let added = format!(
        "In the last 7 days, {} added {} to the repository. {}",
        render::plural(recent.len() as u64, "snapshot", "snapshots"),
        render::size(recent.iter().map(|(_, record)| record.bytes.new_stored).sum()),
        room(repository)
    );
    lines.push(added.trim_end().to_owned());
    let before = own.iter().rev().find(|one| !is_recent(one)).or(own.first());
    if let (Some(before), Some(after)) = (before, own.last())
        && before.0 != after.0
    {
        lines.extend(happened(context, repository, before, after)?);
    }
    Ok(lines.join("\n"))
}

fn happened(
    context: &Context,
    repository: &Repository,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<Vec<String>, Failure> {
    let found = match ops::happened(repository, before, after, NAMED, &context.monitor) {
        Ok(found) => found,
        Err(error) if error.kind() == ops::ErrorKind::Interrupted => return Err(error.into()),
        Err(error) => {
            return Ok(vec![format!(
                "What happened could not be read: {}",
                ops::in_one_line(&error)
            )]);
        }
    };
    let all = found.lines();
    if all.is_empty() {
        return Ok(vec!["Nothing changed on the server.".to_owned()]);
    }
    let mut lines: Vec<String> = all.iter().take(TOLD).map(|line| format!("- {line}")).collect();
    if all.len() > TOLD {
        lines.push(format!("- and {} more", all.len() - TOLD));
    }
    lines.insert(0, "What happened on the server:".to_owned());
    Ok(lines)
}

/// How large the repository is, and what is left on its disk. Where it cannot be listed, nothing is
/// said of it.
fn room(repository: &Repository) -> String {
    let Ok(packs) = repository.backend().list("packs/") else { return String::new() };
    let bytes: u64 = packs.iter().map(|pack| pack.size_bytes).sum();
    let free = match repository.location() {
        Location::Folder(folder) => rustix::fs::statvfs(folder).ok(),
        _ => None,
    };
    let free = free.map_or_else(String::new, |disk| {
        format!(", and its disk has {} free", render::size(disk.f_bavail * disk.f_frsize))
    });
    format!("It has {}{free}.", render::size(bytes))
}
