//! The password, the sessions, and the tokens of programs, in a small file that belongs to the user
//! who runs the service.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::backend::open_to_read;

/// The largest file that is read, in bytes. jellyvault never writes a larger one.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Sessions that are kept, at most. A new one replaces the one that was unused for longest.
const SESSIONS_MAX: usize = 50;
/// A session ends if it is not used for this long.
const IDLE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Characters of a password, at least, and bytes at most.
pub const PASSWORD_CHARS: (usize, usize) = (8, 1024);

/// Why an account cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The password is too short or too long.
    #[error("a password must have at least {} characters and at most {} bytes", PASSWORD_CHARS.0, PASSWORD_CHARS.1)]
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
    /// The content of the file cannot be understood.
    #[error(
        "the file {0} is damaged. Delete it, then set the password again: jellyvault web password"
    )]
    Damaged(PathBuf),
}

/// A session on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Hash of the secret in the cookie.
    pub id: String,
    /// The browser's own description of itself (`User-Agent`).
    pub device: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
}

/// The token of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Hash of the token.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
}

/// The content of the file.
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
    /// Reads the file. If there is no file, no password is set.
    ///
    /// # Errors
    /// [`Trouble::File`], [`Trouble::Damaged`]: a damaged file must not be treated like a missing
    /// one, which means that no password is set.
    pub fn read(file: &Path) -> Result<Accounts, Trouble> {
        let failed = |source| Trouble::File { verb: "read", path: file.to_path_buf(), source };
        let mut bytes = Vec::new();
        match open_to_read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Accounts::default());
            }
            opened => opened
                .map_err(failed)?
                .take(FILE_BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(failed)?,
        };
        serde_json::from_slice(&bytes).map_err(|_| Trouble::Damaged(file.to_path_buf()))
    }

    /// Writes the file atomically, readable by its owner only.
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

    /// Starts a session. Returns the secret for its cookie.
    pub fn sign_in(&mut self, device: &str, now: Timestamp) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        self.sessions.push(SignedIn {
            id: id_of(&secret),
            device: device.chars().take(120).collect(),
            since: now,
            seen: now,
        });
        self.sessions.sort_by_key(|session| session.seen);
        let over = self.sessions.len().saturating_sub(SESSIONS_MAX);
        self.sessions.drain(..over);
        Ok(secret)
    }

    /// The session of a cookie's secret, unless it has ended.
    pub fn session(&self, secret: &str, now: Timestamp) -> Option<&SignedIn> {
        let id = id_of(secret);
        self.sessions
            .iter()
            .find(|session| session.id == id && session.seen.duration_until(now) < IDLE)
    }

    /// Makes a token. Only its hash is stored, so this is the only time that it can be shown.
    pub fn add_token(&mut self, name: &str, now: Timestamp) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        self.tokens.push(Token { id: id_of(&secret), name: name.to_owned(), since: now });
        Ok(secret)
    }

    /// Whether a token is valid.
    pub fn has_token(&self, secret: &str) -> bool {
        let id = id_of(secret);
        self.tokens.iter().any(|token| token.id == id)
    }
}

/// 256 random bits, encoded for cookies and addresses.
pub fn secret() -> Result<String, getrandom::Error> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored instead of a secret. A hash of 256 random bits cannot be reversed, so it can be
/// compared like any text.
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
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Trouble::Hash(error.to_string()))
}

/// Whether a password is the one of a hash.
pub fn is_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    password.len() <= PASSWORD_CHARS.1
        && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
