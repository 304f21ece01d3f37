//! Signing in and out. Passwords are tried one at a time, and an address that sends wrong ones has
//! to wait. The first password is set through a link that the service prints when it starts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex as Queue, Semaphore};

use super::accounts::{Accounts, SignedIn, Trouble, id_of, is_password, secret};
use super::throttle::Throttle;

/// How long the link that the service prints is valid.
const LINK: Duration = Duration::from_secs(600);
/// How long after entering the password it is not asked for again before something is removed or
/// overwritten.
const PROVED: Duration = Duration::from_secs(600);
/// Requests that may wait to try a password, at most.
const WAITING_MAX: usize = 64;
/// How often the last use of a session is written to the file, at most.
const SEEN_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The password is wrong.
    Wrong,
    /// Too many wrong passwords: wait this many seconds.
    Wait(u64),
}

/// The accounts as they were last read from the file.
#[derive(Default)]
struct Known {
    accounts: Accounts,
    /// The file's modification time when it was read. `jellyvault web` changes the file as well.
    read: Option<SystemTime>,
}

/// Checks passwords, sessions and tokens.
pub struct Auth {
    file: PathBuf,
    /// The configuration gives the password.
    is_fixed: bool,
    known: Mutex<Known>,
    link: Mutex<Option<(String, Instant)>>,
    proved: Mutex<HashMap<String, Instant>>,
    throttle: Throttle,
    turn: Queue<()>,
    waiting: Semaphore,
    form_key: [u8; 32],
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Auth {
    /// With the file of accounts, and the password from the configuration.
    ///
    /// # Errors
    /// [`Trouble`] if the file is damaged or the password is too short.
    pub fn new(file: PathBuf, password: Option<&str>) -> Result<Auth, Trouble> {
        let mut form_key = [0; 32];
        getrandom::fill(&mut form_key).map_err(|error| Trouble::Hash(error.to_string()))?;
        let auth = Auth {
            is_fixed: password.is_some(),
            known: Mutex::default(),
            link: Mutex::default(),
            proved: Mutex::default(),
            throttle: Throttle::default(),
            turn: Queue::new(()),
            waiting: Semaphore::new(WAITING_MAX),
            form_key,
            file,
        };
        let stored = auth.with(|accounts| accounts.password.clone())?;
        if let Some(password) =
            password.filter(|password| !stored.is_some_and(|hash| is_password(password, &hash)))
        {
            // Another password ends all sessions, whoever sets it.
            auth.change(|accounts| accounts.set_password(password))?;
        }
        Ok(auth)
    }

    /// Looks at the accounts as they are now.
    fn with<T>(&self, look: impl FnOnce(&Accounts) -> T) -> Result<T, Trouble> {
        let mut known = locked(&self.known);
        let time = std::fs::metadata(&self.file).and_then(|facts| facts.modified()).ok();
        if known.read != time || time.is_none() {
            *known = Known { accounts: Accounts::read(&self.file)?, read: time };
        }
        Ok(look(&known.accounts))
    }

    /// Changes the accounts and writes the file.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut known = locked(&self.known);
        let mut accounts = Accounts::read(&self.file)?;
        let outcome = change(&mut accounts)?;
        accounts.write(&self.file)?;
        let read = std::fs::metadata(&self.file).and_then(|facts| facts.modified()).ok();
        *known = Known { accounts, read };
        Ok(outcome)
    }

    /// The sessions and tokens.
    pub fn accounts(&self) -> Result<Accounts, Trouble> {
        self.with(Clone::clone)
    }

    /// Whether a password is set.
    pub fn has_password(&self) -> Result<bool, Trouble> {
        self.with(|accounts| accounts.password.is_some())
    }

    /// Whether the password comes from the configuration, so that it cannot be changed here.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// The secret of a new link for setting the first password. It works once.
    pub fn new_link(&self) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        *locked(&self.link) = Some((id_of(&secret), Instant::now()));
        Ok(secret)
    }

    /// Whether a secret is that of the link, and the link is still valid.
    pub fn is_link(&self, secret: &str) -> bool {
        locked(&self.link)
            .as_ref()
            .is_some_and(|(id, made)| *id == id_of(secret) && made.elapsed() < LINK)
    }

    /// Makes the link invalid, because it was used.
    pub fn use_up_link(&self) {
        *locked(&self.link) = None;
    }

    /// Tries a password. Only one is tried at a time, because each takes time and memory, and many
    /// at once would overload the machine.
    pub async fn try_password(
        &self,
        password: String,
        address: IpAddr,
    ) -> Result<Result<(), Refusal>, Trouble> {
        let wait = self.throttle.wait(address, Instant::now());
        if !wait.is_zero() {
            return Ok(Err(Refusal::Wait(wait.as_secs() + 1)));
        }
        if password.is_empty() {
            // An empty field does not count as a wrong password.
            return Ok(Err(Refusal::Wrong));
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Ok(Err(Refusal::Wait(2))) };
        let _turn = self.turn.lock().await;
        // Other attempts from the same address may have failed meanwhile.
        let wait = self.throttle.wait(address, Instant::now());
        if !wait.is_zero() {
            return Ok(Err(Refusal::Wait(wait.as_secs() + 1)));
        }
        let stored = self.with(|accounts| accounts.password.clone())?;
        let is_right = tokio::task::spawn_blocking(move || {
            stored.is_some_and(|hash| is_password(&password, &hash))
        })
        .await
        .unwrap_or(false);
        if is_right {
            self.throttle.right(address);
            return Ok(Ok(()));
        }
        self.throttle.wrong(address, Instant::now());
        Ok(Err(Refusal::Wrong))
    }

    /// The seconds that an address has to wait before its next attempt; nothing where it may try
    /// now.
    pub fn must_wait(&self, address: IpAddr) -> Option<u64> {
        let wait = self.throttle.wait(address, Instant::now());
        (!wait.is_zero()).then(|| wait.as_secs() + 1)
    }

    /// Counts an attempt to sign in without a password like a wrong password, until it succeeds.
    pub fn count_attempt(&self, address: IpAddr) {
        self.throttle.wrong(address, Instant::now());
    }

    /// An attempt succeeded.
    pub fn forgive(&self, address: IpAddr) {
        self.throttle.right(address);
    }

    /// Starts a session for a device. Returns the secret for its cookie.
    pub fn sign_in(&self, device: &str) -> Result<String, Trouble> {
        let secret = self.change(|accounts| accounts.sign_in(device, Timestamp::now()))?;
        self.prove(&id_of(&secret));
        Ok(secret)
    }

    /// The session of a cookie.
    pub fn session(&self, secret: &str) -> Result<Option<SignedIn>, Trouble> {
        let now = Timestamp::now();
        let Some(session) = self.with(|accounts| accounts.session(secret, now).cloned())? else {
            return Ok(None);
        };
        if session.seen.duration_until(now) >= SEEN_EVERY {
            let id = session.id.clone();
            self.change(|accounts| {
                accounts
                    .sessions
                    .iter_mut()
                    .filter(|session| session.id == id)
                    .for_each(|session| session.seen = now);
                Ok(())
            })?;
        }
        Ok(Some(session))
    }

    /// Whether a token is valid.
    pub fn has_token(&self, secret: &str) -> Result<bool, Trouble> {
        self.with(|accounts| accounts.has_token(secret))
    }

    /// Notes that the password was just entered in this session.
    pub fn prove(&self, session: &str) {
        let mut proved = locked(&self.proved);
        proved.retain(|_, at| at.elapsed() < PROVED);
        proved.insert(session.to_owned(), Instant::now());
    }

    /// Whether the password was entered in this session recently.
    pub fn is_proved(&self, session: &str) -> bool {
        locked(&self.proved).get(session).is_some_and(|at| at.elapsed() < PROVED)
    }

    /// The token that each form of a session carries.
    pub fn form_token(&self, session: &str) -> String {
        blake3::keyed_hash(&self.form_key, session.as_bytes()).to_hex().chars().take(32).collect()
    }
}
