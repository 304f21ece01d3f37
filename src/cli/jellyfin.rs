//! The running Jellyfin server, as the configuration names it.

use serde_json::{Value, json};

use crate::manifest::SnapshotRecord;
use crate::ops::Server;
use crate::server::{About, Client, Expected, Jellyfin, ServerError, Task, Watching};

use super::context::Context;
use super::failure::Failure;

/// A client with the API key of the configuration; nothing where there is none.
pub fn client(context: &Context) -> Result<Option<Client>, Failure> {
    Ok(context.settings()?.config.jellyfin.client()?)
}

/// The same for what cannot be done without.
pub fn needed(context: &Context, what: &str) -> Result<Client, Failure> {
    client(context)?.ok_or_else(|| {
        Failure::usage(
            &format!("{what} needs an API key of the running Jellyfin server, and none is configured; nothing was changed"),
            "Create one in the dashboard (Dashboard, API Keys), write it to a file, and set api_key_file in [jellyfin] of the configuration, or \
             JELLYVAULT_JELLYFIN_API_KEY_FILE.",
        )
    })
}

/// The same for a change: a server that cannot be told from others is not changed.
pub fn known<'a>(server: &'a Server, record: &'a SnapshotRecord) -> Result<Expected<'a>, Failure> {
    let expected = expected(server, Some(record));
    if expected.is_some() {
        return Ok(expected);
    }
    Err(Failure::refused(
        "neither the data directory nor the snapshot says which server they are of, so the running server cannot be compared; nothing was changed",
        "Give the server's data directory with --data-dir: its id is in data/device.txt.",
    ))
}

/// The id that the running server must have.
pub fn expected<'a>(server: &'a Server, record: Option<&'a SnapshotRecord>) -> Expected<'a> {
    let own = server.id.as_deref().map(|id| (id, "data directory"));
    own.or_else(|| record.and_then(|record| record.server.id.as_deref()).map(|id| (id, "snapshot")))
}

/// What the running server says: who it is, what it does, who watches.
pub struct Facts {
    address: String,
    about: About,
    tasks: Vec<Task>,
    watching: Vec<Watching>,
}

/// Asks the running server; nothing where there is no key.
pub fn ask(context: &Context, server: &Server) -> Option<Result<Facts, Failure>> {
    let client = client(context).transpose()?;
    let asked = |client: Client| -> Result<Facts, ServerError> {
        let address = client.address().to_string();
        let jellyfin = Jellyfin::connect(client, expected(server, None))?;
        Ok(Facts {
            address,
            tasks: jellyfin.running_tasks()?,
            watching: jellyfin.watching()?,
            about: jellyfin.about,
        })
    };
    Some(client.and_then(|client| Ok(asked(client)?)))
}

impl Facts {
    /// Which server it is, in a line.
    pub fn name_words(&self) -> String {
        let restart = if self.about.has_pending_restart { ", waits for a restart" } else { "" };
        format!(
            "{}, version {}, answers at {}{restart}",
            if self.about.name.is_empty() { "Jellyfin" } else { &self.about.name },
            self.about.version,
            self.address
        )
    }

    /// What it does and who watches, in a line.
    pub fn activity_words(&self) -> String {
        let task = |task: &Task| match task.percent {
            Some(percent) => format!("{} runs ({percent:.0} %)", task.name),
            None => format!("{} runs", task.name),
        };
        let watching = |one: &Watching| {
            format!(
                "{} {} {}",
                one.user,
                if one.is_paused { "paused" } else { "watches" },
                one.title
            )
        };
        let words: Vec<String> =
            self.tasks.iter().map(task).chain(self.watching.iter().map(watching)).collect();
        if words.is_empty() { "no task runs, nobody watches".to_owned() } else { words.join(", ") }
    }

    /// Its directories, as it sees them.
    pub fn directories(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.about.directories.iter().map(|directory| (directory.what, directory.path.as_str()))
    }
}

/// What was answered, or why not, for programs.
pub fn document(asked: Option<&Result<Facts, Failure>>) -> Value {
    match asked {
        None => Value::Null,
        Some(Ok(facts)) => {
            json!({"address": facts.address, "server": facts.about, "tasks": facts.tasks, "watching": facts.watching})
        }
        Some(Err(failure)) => json!({"error": failure.document()}),
    }
}
