//! `status`: is the server protected?

use jiff::Zoned;
use serde_json::json;

use crate::service::{Alarm, Level, Standing};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::StatusArgs;
use super::super::{Exit, jellyfin, json as to_json, output};
use super::facts::{Schedules, alarm_file, ask_server, gather};
use super::notice::capital;
use super::round::next_words;

pub fn run(context: &Context, args: &StatusArgs) -> Result<Exit, Failure> {
    let loaded = context.settings()?;
    let schedules = Schedules::of(loaded)?;
    let now = Zoned::now().with_time_zone(context.zone.clone());
    let alarm = alarm_file(context).map(|file| Alarm::read(&file)).unwrap_or_default();
    let (facts, log) = gather(context, loaded, &schedules, &alarm, &now)?;
    let standing = Standing::of(&facts, now.timestamp());
    let next = if facts.period.is_some() { schedules.next(&now) } else { Vec::new() };
    // Who only wants to know whether all is well must not wait for a server that does not answer.
    let asked = if args.healthy { None } else { ask_server(context) };
    if context.global.json {
        let next: Vec<_> =
            next.iter().map(|(job, time)| json!({"job": job, "time": time.timestamp()})).collect();
        to_json::print(&json!({
            "status": standing, "snapshots": facts.snapshots, "last_complete": facts.last_complete,
            "last": facts.last.as_ref().map(|last| json!({"id": last.id, "time": last.time, "problems": last.problems, "complete": last.is_complete})),
            "jobs": log, "next": next, "repository": context.repository_path()?, "jellyfin": jellyfin::document(asked.as_ref()),
        }));
    } else if !context.global.quiet || standing.level != Level::Good {
        let mut out = format!("{}\n", standing.sentence);
        for reason in &standing.reasons {
            out.push_str(&format!("  {}. {}\n", capital(&reason.what), reason.todo));
        }
        out.push_str(&format!("Repository: {}\n", context.repository_path()?.display()));
        match &asked {
            None => {}
            Some(Ok(server)) => out.push_str(&format!(
                "Server: {}; {}\n",
                server.name_words(),
                server.activity_words()
            )),
            Some(Err(failure)) => out.push_str(&format!("Server: {}\n", failure.in_one_line())),
        }
        if facts.period.is_some() {
            out.push_str(&format!("{}\n", next_words(&next)));
        } else if facts.away.is_none() {
            out.push_str("No snapshots are scheduled here. Run jellyvault setup, or see jellyvault config example.\n");
        }
        output::print(&out)?;
    }
    Ok(match standing.level {
        Level::Good => Exit::Done,
        Level::Attention if args.healthy => Exit::Done,
        Level::Bad if args.healthy => Exit::Failed,
        _ => Exit::Problems,
    })
}
