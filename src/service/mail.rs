//! E-mail: through an SMTP server where the configuration names one, else by the system's own
//! mailer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, SmtpTransport, Transport as _};

use super::message::{LIMIT, Message, SendError};

/// Where mailers are.
const MAILERS: [&str; 3] = ["/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail"];
/// Characters of a line of the body.
const LINE_CHARS: usize = 76;
/// Bytes of text in an encoded word: with its frame, base64 of 45 bytes has 72 characters.
const WORD_BYTES: usize = 45;
/// A password is no longer than this, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// A server that takes e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the beginning (`smtps://`).
    AtOnce,
    /// From STARTTLS on, or nothing is sent.
    Required,
    /// From STARTTLS on, where the server has it: nothing secret is sent.
    Offered,
    /// Never: it does not leave this machine.
    None,
}

impl Server {
    /// `smtps://HOST[:PORT]` or `smtp://HOST[:PORT]`; a password is never sent unencrypted to
    /// another machine.
    pub(super) fn parse(address: &str, has_user: bool) -> Result<Server, String> {
        let form = "smtp: it must have the form smtps://mail.example.org or smtp://mail.example.org, with :PORT where it is not the usual one";
        let (at_once, rest) =
            match (address.strip_prefix("smtps://"), address.strip_prefix("smtp://")) {
                (Some(rest), _) => (true, rest),
                (None, Some(rest)) => (false, rest),
                (None, None) => return Err(form.to_owned()),
            };
        if rest.contains('@') {
            return Err("smtp: the user and the password go into smtp_user and smtp_password_file"
                .to_owned());
        }
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => {
                (host, Some(port.parse::<u16>().map_err(|_| form.to_owned())?))
            }
            _ => (rest, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-:_".contains(c);
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(form.to_owned());
        }
        let is_here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let (encryption, usual) = match (at_once, is_here, has_user) {
            (true, ..) => (Encryption::AtOnce, 465),
            (false, true, _) => (Encryption::None, 25),
            (false, false, true) => (Encryption::Required, 587),
            (false, false, false) => (Encryption::Offered, 25),
        };
        Ok(Server { host: host.to_owned(), port: port.unwrap_or(usual), encryption })
    }
}

/// How e-mail leaves.
pub(super) struct Way<'n> {
    pub server: Server,
    pub user: Option<&'n str>,
    pub password: Option<&'n str>,
    pub password_file: Option<&'n PathBuf>,
    pub from: Option<&'n str>,
}

/// Sends it through a server.
pub(super) fn by_smtp(
    way: &Way<'_>,
    people: &[String],
    message: &Message,
) -> Result<(), SendError> {
    let wrong = |what: &str| SendError::Transport(what.to_owned());
    let from = way
        .from
        .or(way.user.filter(|user| user.contains('@')))
        .or(people.first().map(String::as_str))
        .unwrap_or_default();
    let address =
        |text: &str| text.parse::<Address>().map_err(|_| wrong("an e-mail address is not valid"));
    let to = people.iter().map(|person| address(person)).collect::<Result<Vec<_>, _>>()?;
    let envelope = Envelope::new(Some(address(from)?), to)
        .map_err(|_| wrong("an e-mail address is not valid"))?;
    let server = &way.server;
    let parameters = || {
        TlsParameters::new(server.host.clone())
            .map_err(|_| wrong("the mail server's name is not valid"))
    };
    let tls = match server.encryption {
        Encryption::AtOnce => Tls::Wrapper(parameters()?),
        Encryption::Required => Tls::Required(parameters()?),
        Encryption::Offered => Tls::Opportunistic(parameters()?),
        Encryption::None => Tls::None,
    };
    let mut builder = SmtpTransport::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(LIMIT));
    if let Some(user) = way.user {
        builder = builder.credentials(Credentials::new(user.to_owned(), password(way)?));
    }
    let text = text(from, people, message).replace('\n', "\r\n");
    builder.build().send_raw(&envelope, text.as_bytes()).map(|_| ()).map_err(|error| told(&error))
}

/// The password, from its file where there is one.
fn password(way: &Way<'_>) -> Result<String, SendError> {
    use std::io::Read;
    let Some(file) = way.password_file else {
        return Ok(way.password.unwrap_or_default().to_owned());
    };
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| {
            SendError::Transport(format!("{} could not be read ({error})", file.display()))
        })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// An error of the library may quote what the server said: only its kind is told.
fn told(error: &lettre::transport::smtp::Error) -> SendError {
    let text = match error.status() {
        Some(code) if matches!(u16::from(code), 530 | 534 | 535 | 538) => {
            "the mail server did not accept the user and the password".to_owned()
        }
        Some(code) => format!("the mail server refused the message with code {code}"),
        None if error.is_timeout() => "the mail server did not answer in time".to_owned(),
        None if error.is_tls() => {
            "no encrypted connection to the mail server could be made: its certificate is not valid for this name, or it does not encrypt on this port"
                .to_owned()
        }
        None if error.is_client() => {
            "the mail server does not offer what is needed: encryption, or signing in".to_owned()
        }
        None => "the mail server was not reached, or its answer was not valid".to_owned(),
    };
    SendError::Transport(text)
}

/// The message with its headers.
fn text(from: &str, people: &[String], message: &Message) -> String {
    let date =
        jiff::fmt::rfc2822::to_string(&jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC))
            .unwrap_or_default();
    let body = BASE64.encode(format!("{}\n", message.body).as_bytes());
    let mut lines = String::new();
    for line in body.as_bytes().chunks(LINE_CHARS) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    format!(
        "From: jellyvault <{from}>\nTo: {}\nSubject: {}\nDate: {date}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{lines}",
        people.join(", "),
        header(&message.title),
    )
}

/// Text for a header. What is not ASCII is written in encoded words (RFC 2047), which may have 75
/// characters each.
fn header(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_ascii() {
        return text;
    }
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD_BYTES => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let encoded =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word.as_bytes())));
    encoded.collect::<Vec<_>>().join("\n ")
}

/// Sends it by the system's own mailer.
pub(super) fn by_mailer(people: &[String], message: &Message) -> Result<(), SendError> {
    let mailer = MAILERS.iter().find(|path| Path::new(path).exists()).ok_or(SendError::NoMailer)?;
    let text = format!(
        "To: {}\nSubject: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}\n",
        people.join(", "),
        header(&message.title),
        message.body
    );
    let failed = |error: std::io::Error| SendError::Mailer(error.to_string());
    let mut command = Command::new(mailer);
    super::hooks::without_secrets(&mut command);
    let mut child = command
        .args(["-t", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()))
        .map_err(failed)?;
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(SendError::Mailer(status.to_string())) }
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
