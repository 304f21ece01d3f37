//! `serve`: does the jobs when they are due, until it is stopped.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::service::{Level, look_again};

use super::super::Exit;
use super::super::context::Context;
use super::super::failure::Failure;
use super::facts::{Schedules, Whose, open, past};
use super::{notice, round};

/// The clock is looked at so often: it may jump, and the machine may sleep.
const BREATH: Duration = Duration::from_secs(1);
/// So often it is looked whether something is due, whatever the schedule says: somebody may have forgotten a snapshot, or mounted a disk.
const LOOK: SignedDuration = SignedDuration::from_secs(60);

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.settings()?;
    let schedules = Schedules::of(loaded)?;
    // Errors of the configuration's places are told at once, not at the first slot.
    context.repository_path()?;
    context.say(&format!("Running scheduled jobs for the repository {}. Stop with Ctrl-C.", context.repository_path()?.display()));
    context.say(&round::next_words(&schedules.next(&now(context))));
    tell_systemd("READY=1");
    let mut before = None;
    while !context.monitor.interrupt.is_raised() {
        let chosen = match round::due_now(context, loaded, &schedules, &now(context), true) {
            Ok(chosen) => chosen,
            Err(failure) => {
                context.complain(&failure.in_one_line());
                Vec::new()
            }
        };
        let done = match round::do_all(context, loaded, &chosen) {
            Ok(done) => done.unwrap_or_default(),
            Err(failure) if failure.is_interrupt() => break,
            Err(failure) => {
                context.complain(&failure.in_one_line());
                Vec::new()
            }
        };
        done.iter().for_each(|(job, outcome)| context.say(&format!("{} {}", stamp(context), round::line(*job, outcome).trim_end())));
        match notice::look_and_tell(context, loaded, &schedules, &done, &now(context)) {
            Ok((standing, _)) => {
                tell_systemd(&format!("STATUS={}", standing.sentence));
                if before.replace(standing.level) != Some(standing.level) && (standing.level != Level::Good || before.is_some()) {
                    context.say(&stamp(context));
                    notice::tell(&standing);
                }
            }
            Err(failure) => context.complain(&failure.in_one_line()),
        }
        let until = wake(context, &schedules);
        while !context.monitor.interrupt.is_raised() && Timestamp::now() < until {
            let asleep = Timestamp::now();
            std::thread::sleep(BREATH);
            // A clock that went back must not make this a long night.
            if Timestamp::now() < asleep {
                break;
            }
        }
    }
    tell_systemd("STOPPING=1");
    context.say("Stopped.");
    Ok(Exit::Done)
}

fn now(context: &Context) -> Zoned {
    Zoned::now().with_time_zone(context.zone.clone())
}

fn stamp(context: &Context) -> String {
    now(context).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// When to look again.
fn wake(context: &Context, schedules: &Schedules) -> Timestamp {
    let now = now(context);
    let look = now.timestamp().checked_add(LOOK).unwrap_or(Timestamp::MAX);
    let Ok(Ok(repository)) = open(context) else { return look };
    let (log, whose) = (round::log_of(&repository), Whose::find(context));
    let times = schedules.iter().filter_map(|(job, schedule)| {
        let past = past(Some(&repository), &log, job, &whose, now.timestamp()).ok()?;
        look_again(schedule, past, &now)
    });
    times.min().map_or(look, |next| next.min(look))
}

/// A line for systemd, where it started this (`sd_notify(3)`).
fn tell_systemd(line: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = socket.as_encoded_bytes();
    let sent = UnixDatagram::unbound().and_then(|datagram| match bytes.strip_prefix(b"@") {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            datagram.send_to_addr(line.as_bytes(), &address)
        }
        None => datagram.send_to(line.as_bytes(), &socket),
    });
    // Whether systemd hears it changes nothing here.
    crate::tolerate(sent);
}
