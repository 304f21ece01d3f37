//! `restore --arm` and `armed`: a restore that is done at the next start of Jellyfin.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::json;

use crate::manifest::SnapshotId;
use crate::ops::Error;
use crate::service::{Armed, ArmedOrder, ArmedOutcome};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::ArmedArgs;
use super::super::{Exit, json as to_json, output, render};
use super::facts::state_file;

/// Output that is kept, in bytes.
const WORDS_BYTES_MAX: usize = 64 << 10;

fn file(context: &Context) -> Result<PathBuf, Failure> {
    state_file(context, "armed").ok_or_else(|| {
        Error::Refused {
            what: "there is no directory in which an armed restore could be remembered".to_owned(),
            hint: "Set HOME or XDG_STATE_HOME.".to_owned(),
        }
        .into()
    })
}

fn write(armed: &Armed, path: PathBuf) -> Result<(), Failure> {
    armed.write(&path).map_err(|source| Error::Target { verb: "write", path, source }.into())
}

/// Remembers this command for the next start of Jellyfin, with the snapshot that it means today.
const NO_DROP_IN: &str = "jellyvault found no drop-in for jellyfin.service on this machine. Without it, the start of Jellyfin restores nothing. Install it first:\n  \
     sudo mkdir -p /etc/systemd/system/jellyfin.service.d\n  \
     sudo cp jellyfin.service.d-jellyvault.conf /etc/systemd/system/jellyfin.service.d/jellyvault.conf   (from /usr/share/jellyvault, or packaging/systemd)\n  \
     sudo systemctl daemon-reload\n";

/// Whether some drop-in of Jellyfin's service runs jellyvault.
fn has_drop_in() -> bool {
    const PLACES: [&str; 4] = ["/etc", "/run", "/usr/lib", "/lib"];
    PLACES
        .iter()
        .filter_map(|place| {
            std::fs::read_dir(format!("{place}/systemd/system/jellyfin.service.d")).ok()
        })
        .flatten()
        // What cannot be read is as good as not there: then the words say more than they must.
        .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok())
        .any(|text| text.contains("jellyvault"))
}

pub fn arm(context: &Context, typed: &str, meant: &SnapshotId) -> Result<Exit, Failure> {
    let refused = |what: &str| {
        Failure::usage(what, "Give such a restore when Jellyfin is stopped, without --arm.")
    };
    let mut arguments = Vec::new();
    for argument in std::env::args_os().skip(1) {
        let argument = argument
            .into_string()
            .map_err(|_| refused("an armed restore cannot have arguments that are not UTF-8"))?;
        match argument.as_str() {
            "--arm" => {}
            // `latest` may be another one when it is done.
            text if text == typed => arguments.push(meant.to_string()),
            _ => arguments.push(argument),
        }
    }
    if !arguments.iter().any(|argument| argument == "--repo" || argument.starts_with("--repo=")) {
        let repo = std::path::absolute(context.repository_path()?).unwrap_or_default();
        arguments.splice(
            0..0,
            [
                "--repo".to_owned(),
                repo.to_str()
                    .ok_or_else(|| refused("the repository's path is not UTF-8"))?
                    .to_owned(),
            ],
        );
    }
    let directory = std::env::current_dir().map_err(|source| Error::Target {
        verb: "find",
        path: "the current directory".into(),
        source,
    })?;
    let path = file(context)?;
    let order = ArmedOrder { arguments, directory, since: Timestamp::now() };
    let armed = Armed { order: Some(order), last: Armed::read(&path).last };
    write(&armed, path)?;
    if context.global.json {
        to_json::print(&json!({"armed": armed.order}));
    } else if !context.global.quiet {
        let words = format!(
            "Armed: snapshot {} is restored at the next start of Jellyfin. Nothing was changed yet.\n{}\
             To restore now, restart Jellyfin: systemctl restart jellyfin\n\
             To change your mind: jellyvault armed --cancel\n",
            render::short(meant),
            if has_drop_in() { "" } else { NO_DROP_IN }
        );
        output::print_done(&words, "the restore is armed")?;
    }
    Ok(Exit::Done)
}

pub fn run(context: &Context, args: &ArmedArgs) -> Result<Exit, Failure> {
    let path = file(context)?;
    let armed = Armed::read(&path);
    if args.run {
        return carry_out(context, armed, path);
    }
    if args.cancel {
        let was_armed = armed.order.is_some();
        write(&Armed { order: None, ..armed }, path)?;
        let words = if was_armed {
            "The armed restore was cancelled. Nothing was changed.\n"
        } else {
            "No restore was armed.\n"
        };
        return tell(context, &json!({"cancelled": was_armed}), words);
    }
    let command = |arguments: &[String]| {
        arguments.iter().map(|word| render::argument(word.as_ref())).collect::<Vec<_>>().join(" ")
    };
    let mut words = match &armed.order {
        Some(order) => format!(
            "Armed for the next start of Jellyfin: jellyvault {}\n",
            command(&order.arguments)
        ),
        None => "No restore is armed.\n".to_owned(),
    };
    if let Some(last) = &armed.last {
        let how = if last.code == 0 {
            "succeeded".to_owned()
        } else {
            format!("ended with exit code {}", last.code)
        };
        words.push_str(&format!(
            "The last one {how} ({}): jellyvault {}\n{}",
            last.ended,
            command(&last.arguments),
            last.words
        ));
    }
    tell(context, &json!({"armed": armed.order, "last": armed.last}), &words)
}

fn tell(context: &Context, document: &serde_json::Value, words: &str) -> Result<Exit, Failure> {
    if context.global.json {
        to_json::print(document);
    } else if !context.global.quiet {
        output::print(words)?;
    }
    Ok(Exit::Done)
}

/// Does what waits. It waits no longer from this moment on: a restore that fails must not be tried
/// at every start.
fn carry_out(context: &Context, armed: Armed, path: PathBuf) -> Result<Exit, Failure> {
    let Some(order) = armed.order.clone() else { return Ok(Exit::Done) };
    write(&Armed { order: None, ..armed.clone() }, path.clone())?;
    if order.is_over(Timestamp::now()) {
        let words = "it was armed more than seven days ago, so it was not done\n".to_owned();
        let last = ArmedOutcome {
            arguments: order.arguments,
            code: 1,
            words: words.clone(),
            ended: Timestamp::now(),
        };
        write(&Armed { order: None, last: Some(last) }, path)?;
        context.complain(words.trim());
        return Ok(Exit::Problems);
    }
    context.say(&format!(
        "Restoring as armed on {}: jellyvault {}",
        order.since,
        order.arguments.join(" ")
    ));
    let program = std::env::current_exe().map_err(|source| Error::Target {
        verb: "find",
        path: "this program".into(),
        source,
    })?;
    let done = Command::new(program)
        .args(&order.arguments)
        .current_dir(&order.directory)
        .stdin(Stdio::null())
        .output();
    let (code, mut said) = match done {
        Ok(done) => (done.status.code().unwrap_or(130), [done.stdout, done.stderr].concat()),
        Err(error) => (1, format!("the restore could not be started: {error}\n").into_bytes()),
    };
    said.truncate(WORDS_BYTES_MAX);
    let words = String::from_utf8_lossy(&said).into_owned();
    write(
        &Armed {
            order: None,
            last: Some(ArmedOutcome {
                arguments: order.arguments,
                code,
                words: words.clone(),
                ended: Timestamp::now(),
            }),
        },
        path,
    )?;
    if context.global.json {
        to_json::print(&json!({"code": code, "words": words}));
    } else {
        output::print_done(&words, "the armed restore has run")?;
    }
    Ok(match code {
        0 => Exit::Done,
        3 => Exit::Problems,
        _ => Exit::Failed,
    })
}
