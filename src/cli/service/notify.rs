//! `notify test`.

use serde_json::json;

use crate::service::{Level, Message};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::NotifyCommand;
use super::super::{Exit, json as to_json, output};

pub fn run(context: &Context, command: NotifyCommand) -> Result<Exit, Failure> {
    let NotifyCommand::Test = command;
    let loaded = context.settings()?;
    let notify = &loaded.config.notify;
    if notify.is_empty() {
        return Err(Failure::usage(
            "no alarms can be sent: [notify] in the configuration names no destination",
            "Add one to [notify] in the configuration file, for example ntfy = \"https://ntfy.sh/my-topic\". See jellyvault config example.",
        ));
    }
    let message = Message {
        title: format!("jellyvault on {}: a test", context.host()),
        body: "This is a test of the notifications. Real messages look like this one.".to_owned(),
        level: Level::Good,
    };
    let outcomes = notify.send(&message);
    let is_ok = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    if context.global.json {
        let sent: Vec<_> = outcomes.iter().map(|(name, outcome)| json!({"to": name, "error": outcome.as_ref().err().map(ToString::to_string)})).collect();
        to_json::print(&json!({"sent": sent}));
    } else {
        let line = |(name, outcome): &(&str, Result<(), crate::service::SendError>)| match outcome {
            Ok(()) => format!("{name}: sent\n"),
            Err(error) => format!("{name}: not sent: {error}\n"),
        };
        let shown =
            outcomes.iter().filter(|(_, outcome)| !context.global.quiet || outcome.is_err());
        output::print(&shown.map(line).collect::<String>())?;
    }
    Ok(if is_ok { Exit::Done } else { Exit::Failed })
}
