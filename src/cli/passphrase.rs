//! Where does the passphrase come from? A file, a command, systemd, or the person at the terminal.

use std::cell::RefCell;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::service::EncryptionConfig;
use crate::store::Error;
use crate::store::encryption::{KeySlots, Keys, RecoveryKey, Secret};

use super::args::Global;
use super::failure::Failure;

/// The name of systemd's credential.
const CREDENTIAL: &str = "jellyvault-passphrase";
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// How often somebody at a terminal may mistype it.
const TRIES: usize = 3;
/// Passphrases that are shorter can be guessed by a computer.
const SAFE_CHARS: usize = 16;
const SAFE_LETTERS: usize = 6;

/// Who is asked, and what was said on the command line.
pub trait User {
    /// The options.
    fn global(&self) -> &Global;
    /// What the configuration file says.
    fn configured(&self) -> Result<EncryptionConfig, Error>;
    /// What was typed that opened a repository: a second one may have the same passphrase.
    fn typed(&self) -> &RefCell<Option<Secret>>;
    /// Says something, unless quiet is wanted.
    fn say(&self, line: &str);
    /// Says that something is wrong.
    fn complain(&self, what: &str);
}

/// The keys that open a repository, by what the user gives. A terminal is asked again after a
/// mistake.
pub fn unlock(user: &dyn User, slots: &KeySlots) -> Result<(u32, Keys), Error> {
    protect_memory();
    match given(user)? {
        Some(secret) => slots.open(&secret),
        None => ask_and_open(user, slots, "Passphrase of the repository: "),
    }
}

/// The same of a second repository: by a file or a command of its own, the first one's passphrase,
/// or the terminal.
pub fn unlock_other(
    user: &dyn User,
    slots: &KeySlots,
    (file, command): (Option<&Path>, Option<&str>),
    path: &Path,
) -> Result<(u32, Keys), Error> {
    protect_memory();
    let own = match (file, command) {
        (Some(file), _) => Some(of_file(user, file)),
        (None, Some(command)) => Some(of_command(command)),
        (None, None) => None,
    };
    let of_it = |what: &str| Error::Key { what: format!("{}: {what}", path.display()) };
    if let Some(own) = own {
        let secret =
            own.map_err(|what| Error::NoSecret { what: format!("{}: {what}", path.display()) })?;
        return slots.open(&secret).map_err(|error| match error {
            // Two repositories are open: which of them is meant?
            Error::WrongPassphrase { .. } => of_it(&error.to_string()),
            error => error,
        });
    }
    // If it does not open this one, the terminal is asked.
    let known = given(user)?.or_else(|| user.typed().borrow().clone());
    if let Some(opened) = known.and_then(|secret| slots.open(&secret).ok()) {
        return Ok(opened);
    }
    ask_and_open(user, slots, &format!("Passphrase of {}: ", path.display())).map_err(|error| {
        match error {
            Error::Locked => Error::NoSecret {
                what: format!(
                    "no passphrase was given that opens {}: give it with --to-passphrase-file FILE or --to-passphrase-command COMMAND",
                    path.display()
                ),
            },
            error => error,
        }
    })
}

fn ask_and_open(user: &dyn User, slots: &KeySlots, question: &str) -> Result<(u32, Keys), Error> {
    let mut tries = 1;
    loop {
        let secret = ask(user, question)?.ok_or(Error::Locked)?;
        match slots.open(&secret) {
            Err(error @ (Error::WrongPassphrase { .. } | Error::Key { .. })) if tries < TRIES => {
                user.complain(&format!("{error}. Try again."));
                tries += 1;
            }
            opened => {
                if opened.is_ok() {
                    user.typed().replace(Some(secret));
                }
                return opened;
            }
        }
    }
}

/// What a file, a command or systemd gives; nothing where none is named.
fn given(user: &dyn User) -> Result<Option<Secret>, Error> {
    let wrong = |what: String| Error::NoSecret { what };
    let global = user.global();
    if let Some(file) = &global.passphrase_file {
        return of_file(user, file).map(Some).map_err(wrong);
    }
    if let Some(command) = &global.passphrase_command {
        return of_command(command).map(Some).map_err(wrong);
    }
    let configured = user.configured()?;
    if let Some(file) = &configured.passphrase_file {
        return of_file(user, file).map(Some).map_err(wrong);
    }
    if let Some(command) = &configured.passphrase_command {
        return of_command(command).map(Some).map_err(wrong);
    }
    credential().map(|file| of_file(user, &file)).transpose().map_err(wrong)
}

/// Whether a file, a command or systemd is named that gives a passphrase.
pub fn is_named(user: &dyn User) -> Result<bool, Error> {
    let (global, configured) = (user.global(), user.configured()?);
    Ok(global.passphrase_file.is_some()
        || global.passphrase_command.is_some()
        || configured.passphrase_file.is_some()
        || configured.passphrase_command.is_some()
        || credential().is_some())
}

/// Systemd's credential, where it gives one.
fn credential() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|dir| PathBuf::from(dir).join(CREDENTIAL))
        .filter(|file| file.exists())
}

/// The passphrase in a file. One that others can read is told.
pub fn of_file(user: &dyn User, file: &Path) -> Result<Secret, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("the passphrase file {} could not be read ({error})", file.display())
    };
    let facts = std::fs::metadata(file).map_err(|error| failed(&error))?;
    if facts.len() > SECRET_BYTES_MAX {
        return Err(failed(&"it is larger than a passphrase"));
    }
    // What a pipe gives (process substitution) has no mode that matters.
    if facts.is_file() && facts.mode() & 0o077 != 0 && !file.starts_with("/run") {
        user.say(&format!(
            "Note: other users can read the passphrase file {}. Run chmod 600 on it.",
            file.display()
        ));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(failed(&"it is larger than a passphrase"));
    }
    let secret = Secret::new(bytes);
    // The file with a recovery key has a line above it.
    let last = secret
        .text()
        .and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()))
        .map(|line| Secret::new(line.as_bytes().to_vec()));
    if let Some(key) = last.filter(|last| matches!(RecoveryKey::parse(last), Ok(Some(_)))) {
        return Ok(key);
    }
    if secret.is_empty() {
        Err(format!("the passphrase file {} is empty", file.display()))
    } else {
        Ok(secret)
    }
}

/// The passphrase that a command prints. It may talk with the person at the terminal.
fn of_command(command: &str) -> Result<Secret, String> {
    let failed = |what: &dyn std::fmt::Display| {
        format!("the command that gives the passphrase failed ({what})")
    };
    let done = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .output();
    let done = done.map_err(|error| failed(&error))?;
    let secret = Secret::new(done.stdout);
    if !done.status.success() {
        return Err(failed(&done.status));
    }
    if secret.is_empty() { Err(failed(&"it printed nothing")) } else { Ok(secret) }
}

/// Asks on the terminal, without showing what is typed; nothing where there is none.
pub fn ask(user: &dyn User, question: &str) -> Result<Option<Secret>, Error> {
    if user.global().json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    super::bar::clear();
    let typed = rpassword::prompt_password(question).map_err(|error| Error::NoSecret {
        what: format!("the passphrase could not be read from the terminal ({error})"),
    })?;
    if typed.is_empty() { Ok(None) } else { Ok(Some(Secret::new(typed.into_bytes()))) }
}

/// A new passphrase: from a file, from what gives the present one where `may_be_given`, or asked
/// for twice.
pub fn new(user: &dyn User, file: Option<&Path>, may_be_given: bool) -> Result<Secret, Failure> {
    protect_memory();
    let unusable = |what: String| {
        Failure::usage(&what, "Correct it and run the same command again. Nothing was changed.")
    };
    let given = match file {
        Some(file) => Some(of_file(user, file).map_err(unusable)?),
        None if may_be_given => given(user).map_err(|error| unusable(error.to_string()))?,
        None => None,
    };
    let secret = match given {
        Some(secret) => secret,
        None => {
            let asked =
                |question: &str| ask(user, question).map_err(|error| unusable(error.to_string()));
            let first = asked("New passphrase: ")?.ok_or_else(no_passphrase)?;
            let second = asked("The same again: ")?.ok_or_else(no_passphrase)?;
            if !first.is_same(&second) {
                return Err(Failure::usage(
                    "the two passphrases differ; nothing was changed",
                    "Run the same command again.",
                ));
            }
            first
        }
    };
    if is_weak(&secret) {
        user.say(
            "Note: this passphrase is short or repeats itself, so a computer may guess it. Four or more random words are easy to remember and hard to guess. \
             You can change it with jellyvault key change.",
        );
    }
    Ok(secret)
}

fn no_passphrase() -> Failure {
    Failure::usage(
        "no passphrase was given",
        "Run the command in a terminal, which asks for it, or give it with --passphrase-file FILE or --passphrase-command COMMAND (for a new passphrase of an \
         existing repository: --new-passphrase-file FILE).",
    )
}

fn is_weak(secret: &Secret) -> bool {
    let Some(text) = secret.text() else { return false };
    let different: std::collections::HashSet<char> = text.chars().collect();
    text.chars().count() < SAFE_CHARS || different.len() < SAFE_LETTERS
}

/// Keys and passphrases stay out of core dumps, and out of reach of other processes of the same
/// user.
pub fn protect_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Where the system does not let a process do that, the work goes on.
    crate::tolerate(set_dumpable_behavior(DumpableBehavior::NotDumpable));
    crate::tolerate(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_monotonous_passphrases_are_called_weak() {
        let weak = |text: &str| is_weak(&Secret::new(text.as_bytes().to_vec()));
        assert!(
            weak("jellyfin") && weak("12345678901") && weak("aaaaaaaaaaaaaaaaaaaaaa") && weak("")
        );
        assert!(!weak("correct horse battery staple") && !weak("Xk3-92hf-Qw8z-11pd"));
    }
}
