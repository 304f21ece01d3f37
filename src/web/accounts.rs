//! Who may come in: the password, who is signed in, and the tokens of programs. A small file of the user who runs the service.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::backend::open_to_read;

/// Longer is none of ours.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Sessions that are kept: the oldest makes room.
const SESSIONS_MAX: usize = 50;
/// A session that is not used for so long ends.
const IDLE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Characters of a password, at least, and bytes at most.
pub const PASSWORD_CHARS: (usize, usize) = (8, 1024);

/// Why an account cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The password is too short or too long.
    #[error("a password needs at least {} characters, and at most {} bytes", PASSWORD_CHARS.0, PASSWORD_CHARS.1)]
    Length,
    /// It could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// The file cannot be read or written.
    #[error("the file {path} could not be {verb}: {source}")]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is in the file is none of ours.
    #[error("the file {0} is damaged. Delete it, then set the password again: jellyvault web password")]
    Damaged(PathBuf),
}

/// Somebody who is signed in on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Hash of the secret in the cookie.
    pub id: String,
    /// What the browser says that it is.
    pub device: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last here.
    pub seen: Timestamp,
}

/// A program that may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Hash of the token.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accounts {
    /// Argon2id, as a PHC string.
    pub password: Option<String>,
    /// Who is signed in.
    pub sessions: Vec<SignedIn>,
    /// Programs.
    pub tokens: Vec<Token>,
}

impl Accounts {
    /// Reads the file; none is a service without a password.
    ///
    /// # Errors
    /// [`Trouble::File`], [`Trouble::Damaged`]: without a word everybody would be a new owner.
    pub fn read(file: &Path) -> Result<Accounts, Trouble> {
        let failed = |source| Trouble::File { verb: "read", path: file.to_path_buf(), source };
        let mut bytes = Vec::new();
        match open_to_read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Accounts::default()),
            opened => opened.map_err(failed)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?,
        };
        serde_json::from_slice(&bytes).map_err(|_| Trouble::Damaged(file.to_path_buf()))
    }

    /// Writes the file, readable by its owner alone, all of it or none.
    ///
    /// # Errors
    /// [`Trouble::File`].
    pub fn write(&self, file: &Path) -> Result<(), Trouble> {
        let failed = |source| Trouble::File { verb: "written", path: file.to_path_buf(), source };
        let folder = file.parent().unwrap_or(Path::new("/"));
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        // A temporary file is made with mode 0600.
        let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        draft.write_all(&bytes).and_then(|()| draft.as_file().sync_all()).map_err(failed)?;
        draft.persist(file).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Sets the password and ends all sessions.
    ///
    /// # Errors
    /// [`Trouble::Length`], [`Trouble::Hash`].
    pub fn set_password(&mut self, password: &str) -> Result<(), Trouble> {
        self.password = Some(hash(password)?);
        self.sessions.clear();
        Ok(())
    }

    /// Signs somebody in; the secret for the cookie.
    pub fn sign_in(&mut self, device: &str, now: Timestamp) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        self.sessions.push(SignedIn { id: id_of(&secret), device: device.chars().take(120).collect(), since: now, seen: now });
        self.sessions.sort_by_key(|session| session.seen);
        let over = self.sessions.len().saturating_sub(SESSIONS_MAX);
        self.sessions.drain(..over);
        Ok(secret)
    }

    /// The session of a cookie's secret, unless it has ended.
    pub fn session(&self, secret: &str, now: Timestamp) -> Option<&SignedIn> {
        let id = id_of(secret);
        self.sessions.iter().find(|session| session.id == id && session.seen.duration_until(now) < IDLE)
    }

    /// Makes a token; it is shown this once.
    pub fn add_token(&mut self, name: &str, now: Timestamp) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        self.tokens.push(Token { id: id_of(&secret), name: name.to_owned(), since: now });
        Ok(secret)
    }

    /// Whether a program may ask.
    pub fn has_token(&self, secret: &str) -> bool {
        let id = id_of(secret);
        self.tokens.iter().any(|token| token.id == id)
    }
}

/// 256 random bits, as a cookie and an address can hold them.
pub fn secret() -> Result<String, getrandom::Error> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored of a secret of so many bits: its hash cannot be turned back, so it is compared like any text.
pub fn id_of(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// The hash of a password, which takes some tens of milliseconds and 19 MiB.
///
/// # Errors
/// [`Trouble::Length`], [`Trouble::Hash`].
pub fn hash(password: &str) -> Result<String, Trouble> {
    if password.chars().count() < PASSWORD_CHARS.0 || password.len() > PASSWORD_CHARS.1 {
        return Err(Trouble::Length);
    }
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|error| Trouble::Hash(error.to_string()))
}

/// Whether a password is the one of a hash.
pub fn is_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    password.len() <= PASSWORD_CHARS.1 && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
