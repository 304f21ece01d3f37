//! Who is told, and how: ntfy, Gotify, Discord, a webhook, e-mail, a program, healthchecks.
//!
//! Requests go to the addresses of the configuration alone: no redirect is followed. Addresses hold
//! secrets and stand in no message.

use std::path::PathBuf;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::hooks::run_hook;
use super::level::Level;
use super::mail::{Server, Way, by_mailer, by_smtp};
use super::message::{LIMIT, Message, SendError};
use super::one_or_many::OneOrMany;
use crate::ops::HIDDEN;

/// Longer texts are cut: services refuse them.
const BODY_CHARS_MAX: usize = 1500;

/// The section `[notify]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// After what time it is said again that something is wrong.
    pub reminder: Option<String>,
    /// How long the repository may be away before that is an alarm.
    pub absent_after: Option<String>,
    /// `https://SERVER/TOPIC`.
    pub ntfy: Option<OneOrMany>,
    /// `https://SERVER/message?token=TOKEN`.
    pub gotify: Option<OneOrMany>,
    /// The address of a channel's webhook.
    pub discord: Option<OneOrMany>,
    /// Any address that takes JSON.
    pub webhook: Option<OneOrMany>,
    /// Addresses of people.
    pub email: Option<OneOrMany>,
    /// The server that sends e-mail, `smtps://HOST`; without it the system's mailer does.
    pub smtp: Option<String>,
    /// Who signs in there.
    pub smtp_user: Option<String>,
    /// With what password.
    pub smtp_password: Option<String>,
    /// Or the file that has it.
    pub smtp_password_file: Option<PathBuf>,
    /// Whom the e-mail comes from; where nothing is said, the user or the first of the people.
    pub smtp_from: Option<String>,
    /// A program with its arguments, to which the title and the text are added.
    pub command: Vec<String>,
    /// The address of a check, called after each job.
    pub healthchecks: Option<String>,
}

impl Notify {
    /// Whether its values make sense.
    ///
    /// # Errors
    /// The first that does not, in words.
    pub fn check(&self) -> Result<(), String> {
        self.reminder()?;
        self.absent_after()?;
        for (name, addresses) in self.addresses() {
            let host = |address: &String| {
                address
                    .strip_prefix("https://")
                    .or(address.strip_prefix("http://"))
                    .map(|rest| !rest.trim_matches('/').is_empty())
            };
            if addresses.iter().any(|address| host(address) != Some(true)) {
                // The address itself may hold a secret.
                return Err(format!(
                    "{name}: an address must begin with https:// or http://, followed by the server's name"
                ));
            }
        }
        let is_wrong = |address: &String| {
            !address.contains('@') || address.contains(['\n', '\r', ',', ' ', '<', '>'])
        };
        if all(&self.email).iter().chain(&self.smtp_from).any(is_wrong) {
            return Err("email: an address must have the form name@example.org".to_owned());
        }
        self.way()?;
        Ok(())
    }

    /// How e-mail leaves; nothing where the system's mailer sends it.
    fn way(&self) -> Result<Option<Way<'_>>, String> {
        let has_password = self.smtp_password.is_some() || self.smtp_password_file.is_some();
        let Some(address) = &self.smtp else {
            if has_password || self.smtp_user.is_some() || self.smtp_from.is_some() {
                return Err("smtp: it is needed where smtp_user, smtp_password or smtp_from is given: smtp = \"smtps://mail.example.org\"".to_owned());
            }
            return Ok(None);
        };
        if self.smtp_password.is_some() && self.smtp_password_file.is_some() {
            return Err("smtp_password: give it or smtp_password_file, not both".to_owned());
        }
        if has_password != self.smtp_user.is_some() {
            return Err(
                "smtp_user: a user needs a password (smtp_password_file), and a password a user"
                    .to_owned(),
            );
        }
        Ok(Some(Way {
            server: Server::parse(address, self.smtp_user.is_some())?,
            user: self.smtp_user.as_deref(),
            password: self.smtp_password.as_deref(),
            password_file: self.smtp_password_file.as_ref(),
            from: self.smtp_from.as_deref(),
        }))
    }

    /// A day where nothing is said.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn reminder(&self) -> Result<SignedDuration, String> {
        duration("reminder", self.reminder.as_deref())
    }

    /// A day where nothing is said.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn absent_after(&self) -> Result<SignedDuration, String> {
        duration("absent_after", self.absent_after.as_deref())
    }

    fn addresses(&self) -> [(&'static str, Vec<String>); 5] {
        let healthchecks = self.healthchecks.iter().cloned().collect();
        [
            ("ntfy", all(&self.ntfy)),
            ("gotify", all(&self.gotify)),
            ("discord", all(&self.discord)),
            ("webhook", all(&self.webhook)),
            ("healthchecks", healthchecks),
        ]
    }

    /// It with every address and argument hidden but for the server's name: to be shown.
    #[must_use]
    pub fn masked(&self) -> Notify {
        let hidden = |addresses: &Option<OneOrMany>| {
            addresses.as_ref().map(|addresses| addresses.map(&hidden_address))
        };
        Notify {
            ntfy: hidden(&self.ntfy),
            gotify: hidden(&self.gotify),
            discord: hidden(&self.discord),
            webhook: hidden(&self.webhook),
            healthchecks: self.healthchecks.as_deref().map(hidden_address),
            smtp_password: self.smtp_password.as_ref().map(|_| HIDDEN.to_owned()),
            command: hidden_arguments(&self.command),
            ..self.clone()
        }
    }

    /// Where alarms are sent, without tokens and arguments: `ntfy: https://ntfy.sh/…`.
    pub fn destinations(&self) -> Vec<String> {
        let shown = self.masked();
        let mut words = Vec::new();
        for (name, addresses) in shown.addresses() {
            words.extend(addresses.iter().map(|address| format!("{name}: {address}")));
        }
        words.extend(all(&self.email).iter().map(|address| format!("e-mail: {address}")));
        words.extend(shown.command.first().map(|program| format!("program: {program}")));
        words
    }

    /// Whether anybody would be told.
    pub fn is_empty(&self) -> bool {
        self.addresses()
            .iter()
            .all(|(name, addresses)| *name == "healthchecks" || addresses.is_empty())
            && all(&self.email).is_empty()
            && self.command.is_empty()
    }

    /// Tells everybody; what became of each.
    pub fn send(&self, message: &Message) -> Vec<(&'static str, Result<(), SendError>)> {
        let mut outcomes = Vec::new();
        for (name, addresses) in self.addresses() {
            for address in addresses {
                let outcome = match name {
                    "ntfy" => ntfy(&address, message),
                    "gotify" => post(
                        &address,
                        &json!({"title": message.title, "message": cut(&message.body), "priority": priority(message.level)}),
                    ),
                    "discord" => post(
                        &address,
                        &json!({"content": cut(&format!("**{}**\n{}", message.title, message.body)), "allowed_mentions": {"parse": []}}),
                    ),
                    "webhook" => post(
                        &address,
                        &json!({"title": message.title, "message": message.body, "level": message.level}),
                    ),
                    _ => continue,
                };
                outcomes.push((name, outcome));
            }
        }
        let people = all(&self.email);
        if !people.is_empty() {
            let sent = match self.way() {
                Ok(Some(way)) => by_smtp(&way, &people, message),
                Ok(None) => by_mailer(&people, message),
                Err(what) => Err(SendError::Transport(what)),
            };
            outcomes.push(("email", sent));
        }
        if !self.command.is_empty() {
            let command =
                [self.command.as_slice(), &[message.title.clone(), message.body.clone()]].concat();
            outcomes.push((
                "command",
                run_hook(&command, &[("JELLYVAULT_LEVEL", word(message.level))], LIMIT, &|| false)
                    .map_err(SendError::from),
            ));
        }
        outcomes
    }

    /// Tells the service that waits for it that a job ended; nothing where there is none.
    ///
    /// # Errors
    /// [`SendError`] where it was not reached.
    pub fn ping(&self, is_ok: bool, words: &str) -> Result<(), SendError> {
        let Some(address) = &self.healthchecks else { return Ok(()) };
        let address =
            if is_ok { address.clone() } else { format!("{}/fail", address.trim_end_matches('/')) };
        answer(
            agent().post(&address).header("Content-Type", "text/plain; charset=utf-8").send(words),
        )
    }
}

/// `https://ntfy.sh/(secret)`.
fn hidden_address(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{HIDDEN}")
}

/// A program's name; its arguments may hold secrets.
pub(super) fn hidden_arguments(command: &[String]) -> Vec<String> {
    command
        .iter()
        .enumerate()
        .map(|(number, word)| if number == 0 { word.clone() } else { HIDDEN.to_owned() })
        .collect()
}

fn all(addresses: &Option<OneOrMany>) -> Vec<String> {
    addresses.as_ref().map(OneOrMany::all).unwrap_or_default()
}

/// A duration; a day where nothing is said.
pub(super) fn duration(name: &str, text: Option<&str>) -> Result<SignedDuration, String> {
    let Some(text) = text else { return Ok(SignedDuration::from_hours(24)) };
    let span: Option<Span> = text.parse().ok();
    let found = span
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .filter(SignedDuration::is_positive);
    found.ok_or_else(|| format!("{name} is not a duration such as 12h or 1d"))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= BODY_CHARS_MAX {
        text.to_owned()
    } else {
        format!("{} …", text.chars().take(BODY_CHARS_MAX).collect::<String>())
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Attention => "attention",
        Level::Bad => "bad",
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Good => 3,
        Level::Attention => 5,
        Level::Bad => 8,
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into()
}

/// ntfy takes the text as it is, and the rest in headers, which hold ASCII only.
fn ntfy(address: &str, message: &Message) -> Result<(), SendError> {
    let title: String = message
        .title
        .chars()
        .map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' })
        .collect();
    let (priority, tag) = match message.level {
        Level::Good => ("3", "white_check_mark"),
        Level::Attention => ("4", "warning"),
        Level::Bad => ("5", "rotating_light"),
    };
    answer(
        agent()
            .post(address)
            .header("Title", title)
            .header("Priority", priority)
            .header("Tags", tag)
            .send(cut(&message.body)),
    )
}

fn post(address: &str, document: &serde_json::Value) -> Result<(), SendError> {
    answer(
        agent().post(address).header("Content-Type", "application/json").send(document.to_string()),
    )
}

/// An error of the library may name the address, which may hold a secret: only its kind is told.
fn answer(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(), SendError> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(SendError::Status(answer.status().as_u16())),
        Err(ureq::Error::Timeout(_)) => {
            Err(SendError::Transport("the server did not answer in time".to_owned()))
        }
        Err(ureq::Error::HostNotFound) => {
            Err(SendError::Transport("the server's name is unknown".to_owned()))
        }
        Err(ureq::Error::Io(error))
            if error.kind() != std::io::ErrorKind::Other
                && !error.kind().to_string().contains("uncategorized") =>
        {
            Err(SendError::Transport(format!(
                "the server was not reached ({})",
                std::io::Error::from(error.kind())
            )))
        }
        Err(ureq::Error::BadUri(_)) => {
            Err(SendError::Transport("the address is not valid".to_owned()))
        }
        Err(_) => Err(SendError::Transport(
            "the server was not reached, or its answer was not valid".to_owned(),
        )),
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
