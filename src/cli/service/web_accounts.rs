//! `web password` and `web token`: who may open the page.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use crate::ops::Error;
use crate::web::{Accounts, AccountsTrouble};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::WebCommand;
use super::super::{Exit, json as to_json, output};
use super::facts::state_file;

pub fn run(context: &Context, command: &WebCommand) -> Result<Exit, Failure> {
    let file = state_file(context, "web").ok_or_else(|| {
        refused("the password of the web page cannot be stored", "Set HOME or XDG_STATE_HOME.")
    })?;
    match command {
        WebCommand::Password => {
            let password = asked()?;
            change(&file, |accounts| accounts.set_password(&password))?;
            let words = "The password of the web page has been set. Everyone who was signed in has to sign in again.\n";
            answer(
                context,
                &json!({"password": "set"}),
                if context.global.quiet { "" } else { words },
            )?;
        }
        WebCommand::Token { name } => {
            let token = change(&file, |accounts| accounts.add_token(name, jiff::Timestamp::now()))?;
            answer(context, &json!({"name": name, "token": token}), &format!("{token}\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn answer(context: &Context, document: &serde_json::Value, words: &str) -> Result<(), Failure> {
    if context.global.json {
        to_json::print(document);
        return Ok(());
    }
    output::print_done(words, "the web page's accounts were changed")
}

fn refused(what: &str, hint: &str) -> Failure {
    Error::Refused { what: what.to_owned(), hint: hint.to_owned() }.into()
}

fn change<T>(
    file: &Path,
    change: impl FnOnce(&mut Accounts) -> Result<T, AccountsTrouble>,
) -> Result<T, Failure> {
    let changed = Accounts::read(file).and_then(|mut accounts| {
        let outcome = change(&mut accounts)?;
        accounts.write(file)?;
        Ok(outcome)
    });
    changed.map_err(|trouble| {
        refused(&trouble.to_string(), "Nothing was changed. Fix this, then try again.")
    })
}

/// The password: typed twice on a terminal, where it is not shown, or the first line of standard
/// input.
fn asked() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let first = hidden("New password for the web page: ")?;
    if hidden("Repeat the password: ")? != first {
        return Err(refused(
            "the two passwords do not match, so nothing was changed",
            "Run the command again.",
        ));
    }
    Ok(first)
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|source| Error::Target {
        verb: "read",
        path: "standard input".into(),
        source,
    })?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn hidden(question: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    // If the terminal cannot hide the password, it is shown.
    crate::tolerate(std::io::stderr().write_all(question.as_bytes()));
    if let Some(mut quiet) = before.clone() {
        quiet.local_modes -= LocalModes::ECHO;
        crate::tolerate(tcsetattr(&stdin, OptionalActions::Now, &quiet));
    }
    let typed = line();
    if let Some(before) = before {
        crate::tolerate(tcsetattr(&stdin, OptionalActions::Now, &before));
        crate::tolerate(std::io::stderr().write_all(b"\n"));
    }
    typed
}
