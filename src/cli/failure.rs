//! A command that failed: what, on which file or snapshot, why, and what to do.

use std::io::Write;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::manifest::{Catalog, NameError};
use crate::ops::{Error, ErrorKind};
use crate::server::{KeyError, ServerError, ThroughError};
use crate::service::ConfigError;

use super::advice::hint;
use super::clean::in_a_line;
use super::{Exit, json as to_json, render};

/// Why a command failed.
pub struct Failure {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// Lines below the hint: what there is to choose from.
    choices: Vec<String>,
    exit: Exit,
    /// What the operating system said, if it was the cause.
    system: Option<std::io::ErrorKind>,
}

impl Failure {
    /// Whether it is that a directory holds no instance.
    pub fn is_no_instance(&self) -> bool {
        self.kind == ErrorKind::NoSource
    }

    /// Whether this user may not do that.
    pub fn is_denied(&self) -> bool {
        self.system == Some(std::io::ErrorKind::PermissionDenied)
    }

    /// What went wrong, in a word.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the user ended it.
    pub fn is_interrupt(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    /// Wrong usage that clap does not see.
    pub fn usage(message: &str, hint: &str) -> Failure {
        Failure {
            kind: ErrorKind::Usage,
            message: message.to_owned(),
            causes: Vec::new(),
            hint: Some(hint.to_owned()),
            choices: Vec::new(),
            exit: Exit::Usage,
            system: None,
        }
    }

    /// It would do harm.
    pub fn refused(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::Refused, exit: Exit::Failed, ..Failure::usage(message, hint) }
    }

    /// A directory holds no instance.
    pub fn no_source(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::NoSource, ..Failure::refused(message, hint) }
    }

    /// What was asked for is not there.
    pub fn not_found(message: &str, hint: &str) -> Failure {
        Failure { kind: ErrorKind::NotFound, exit: Exit::Failed, ..Failure::usage(message, hint) }
    }

    /// The same with what there is to choose from, a line each.
    pub fn choosing(self, choices: &str) -> Failure {
        Failure { choices: choices.lines().map(str::to_owned).collect(), ..self }
    }

    /// A repository whose data is there, and whose snapshots are not listed.
    pub fn lost_list() -> Failure {
        Failure {
            kind: ErrorKind::Damaged,
            message: "the repository's list of snapshots is missing, but its data is there"
                .to_owned(),
            causes: Vec::new(),
            hint: Some(
                "Run jellyvault repair: it rebuilds the list of snapshots from the data."
                    .to_owned(),
            ),
            choices: Vec::new(),
            exit: Exit::Failed,
            system: None,
        }
    }

    /// The same with other advice.
    pub fn advising(self, hint: &str) -> Failure {
        Failure { hint: Some(hint.to_owned()), ..self }
    }

    /// The same with more advice.
    pub fn advising_also(self, more: &str) -> Failure {
        let hint = self.hint.iter().map(String::as_str).chain([more]).collect::<Vec<_>>().join(" ");
        self.advising(&hint)
    }

    /// What failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The failure of an answer, after the work was done.
    pub fn but_done(mut self, what: &str) -> Failure {
        self.message = format!("{what}, but the output could not be written");
        self.hint = Some("You do not need to run the command again. Check where standard output goes: the disk may be full.".to_owned());
        self
    }

    /// A repository that this user has used, and that is not there.
    pub fn gone(known: &super::known::Known, path: &std::path::Path, otherwise: &str) -> Failure {
        let last = known.last_used(path).map(|last| {
            last.to_zoned(TimeZone::system())
                .strftime(" (last used on %Y-%m-%d at %H:%M)")
                .to_string()
        });
        Failure {
            kind: ErrorKind::NoRepository,
            message: format!(
                "the repository {} is missing: it existed before{}",
                std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display(),
                last.unwrap_or_default()
            ),
            causes: Vec::new(),
            hint: Some(format!(
                "Its disk is probably not mounted. Mount it and try again. {otherwise}"
            )),
            choices: Vec::new(),
            exit: Exit::Failed,
            system: None,
        }
    }

    /// A snapshot's name that does not name one: what is there is listed.
    pub fn name(error: NameError, catalog: &Catalog, zone: &TimeZone) -> Failure {
        let listed = |ids: Vec<&(crate::manifest::SnapshotId, crate::manifest::SnapshotRecord)>| {
            ids.iter()
                .map(|(id, record)| {
                    format!(
                        "{} ({}{})",
                        render::short(id),
                        render::time(record.time_ns, zone),
                        record.label.as_ref().map_or_else(String::new, |l| format!(", {l}"))
                    )
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let newest: Vec<_> = catalog.snapshots.iter().rev().take(5).collect();
        let hint = match &error {
            NameError::Empty => "Take a snapshot first: jellyvault snapshot".to_owned(),
            NameError::None { .. } => format!(
                "The newest snapshots are: {}. Run jellyvault list to see all.",
                listed(newest)
            ),
            NameError::Several { candidates, .. } => {
                let fitting: Vec<_> = catalog
                    .snapshots
                    .iter()
                    .filter(|(id, _)| candidates.contains(id))
                    .rev()
                    .take(10)
                    .collect();
                format!(
                    "Type more characters of the id: {}.",
                    fitting.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ")
                )
            }
        };
        Failure { hint: Some(hint), ..Failure::from(Error::from(error)) }
    }

    /// The same, told apart from "something differs": as the program diff ends.
    pub fn into_trouble(self) -> Failure {
        Failure { exit: if self.exit == Exit::Failed { Exit::Usage } else { self.exit }, ..self }
    }

    /// What happened, with its causes.
    pub fn in_one_line(&self) -> String {
        [std::slice::from_ref(&self.message), &self.causes].concat().join(": ")
    }

    /// It as JSON.
    pub fn document(&self) -> serde_json::Value {
        let hint = self
            .hint
            .as_ref()
            .map(|hint| [std::slice::from_ref(hint), &self.choices].concat().join("\n"));
        json!({"kind": self.kind.word(), "message": self.message, "causes": self.causes, "hint": hint})
    }

    /// Tells it, on standard error or as JSON.
    pub fn report(&self, as_json: bool) -> Exit {
        // A reader of our output who went away has all that they wanted.
        if self.system == Some(std::io::ErrorKind::BrokenPipe) {
            return Exit::Done;
        }
        if as_json {
            to_json::print(&json!({"error": self.document()}));
            return self.exit;
        }
        super::bar::clear();
        let mut text = format!("Error: {}\n", in_a_line(&self.message));
        self.causes
            .iter()
            .for_each(|cause| text.push_str(&format!("Caused by: {}\n", in_a_line(cause))));
        self.hint.iter().for_each(|hint| text.push_str(&format!("Hint: {}\n", in_a_line(hint))));
        self.choices.iter().for_each(|choice| text.push_str(&format!("{}\n", in_a_line(choice))));
        // Where standard error is closed the exit code still tells.
        crate::tolerate(std::io::stderr().write_all(text.as_bytes()));
        self.exit
    }
}

/// The causes of an error.
fn causes_of(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect()
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Failure {
        Failure::refused(
            &error.to_string(),
            "Create an API key in the dashboard (Dashboard, API Keys) and write it to this file, readable by this user.",
        )
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        let kind = if error.is_passing() { ErrorKind::Io } else { ErrorKind::Refused };
        Failure { kind, ..Failure::refused(&error.to_string(), error.hint()) }
    }
}

impl From<ThroughError> for Failure {
    fn from(error: ThroughError) -> Failure {
        let again = "Run the same command again: it does what is left.";
        let halfway = |hint: String| Failure {
            kind: ErrorKind::Io,
            causes: causes_of(&error),
            ..Failure::refused(&error.to_string(), &hint)
        };
        match error {
            ThroughError::Halfway { ref source, .. }
                if matches!(**source, ThroughError::Ops(Error::Interrupted)) =>
            {
                Failure {
                    kind: ErrorKind::Interrupted,
                    exit: Exit::Interrupted,
                    ..halfway(again.to_owned())
                }
            }
            ThroughError::Server(error) => error.into(),
            ThroughError::Ops(error) => error.into(),
            ThroughError::Halfway { safety: Some(safety), .. } => halfway(format!(
                "{again} Snapshot {} has the state before; jellyvault restore with --watch-state takes it from there.",
                render::short(&safety)
            )),
            _ => halfway(again.to_owned()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        let hint = "Correct it, then run jellyvault config check. jellyvault config example writes a commented example.";
        Failure::usage(&error.to_string(), hint)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let (mut causes, mut system) = (Vec::new(), None);
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            system = system.or_else(|| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
            next = cause.source();
        }
        let exit = match &error {
            error if error.kind() == ErrorKind::Interrupted => Exit::Interrupted,
            Error::Glob { .. } | Error::NotAFile { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure {
            kind: error.kind(),
            message: error.to_string(),
            causes,
            hint: hint(&error),
            choices: Vec::new(),
            exit,
            system,
        }
    }
}
