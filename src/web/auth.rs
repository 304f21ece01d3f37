//! Signing in and out: the password is tried one at a time, whoever sends wrong ones waits, and the way in without a password is a link that the
//! service prints when it starts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex as Queue, Semaphore};

use super::accounts::{Accounts, SignedIn, Trouble, hash, id_of, is_password, secret};
use super::throttle::Throttle;

/// The link that the service prints is good for so long.
const LINK: Duration = Duration::from_secs(600);
/// Who gave the password is not asked again for so long, before something is removed or overwritten.
const PROVED: Duration = Duration::from_secs(600);
/// Who may wait for their turn to try a password.
const WAITING_MAX: usize = 64;
/// The file is written no oftener than this only to say when somebody was last here.
const SEEN_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Why somebody does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The password is wrong.
    Wrong,
    /// Too many wrong ones: after so many seconds.
    Wait(u64),
}

/// What of the file is known.
#[derive(Default)]
struct Known {
    accounts: Accounts,
    /// The file's time when it was read: commands change it, too.
    read: Option<SystemTime>,
}

/// The doorkeeper.
pub struct Auth {
    file: PathBuf,
    /// The hash of the password that the configuration gives; it goes before that of the file.
    fixed: Option<String>,
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
    /// With the file of accounts, and the password that the configuration gives.
    ///
    /// # Errors
    /// [`Trouble`] where the file is damaged, or the password too short.
    pub fn new(file: PathBuf, password: Option<&str>) -> Result<Auth, Trouble> {
        let mut form_key = [0; 32];
        getrandom::fill(&mut form_key).map_err(|error| Trouble::Hash(error.to_string()))?;
        let auth = Auth {
            fixed: password.map(hash).transpose()?,
            known: Mutex::default(),
            link: Mutex::default(),
            proved: Mutex::default(),
            throttle: Throttle::default(),
            turn: Queue::new(()),
            waiting: Semaphore::new(WAITING_MAX),
            form_key,
            file,
        };
        auth.with(|_| ())?;
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

    /// Changes the accounts, in the file, too.
    pub fn change<T>(&self, change: impl FnOnce(&mut Accounts) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let mut known = locked(&self.known);
        let mut accounts = Accounts::read(&self.file)?;
        let outcome = change(&mut accounts)?;
        accounts.write(&self.file)?;
        let read = std::fs::metadata(&self.file).and_then(|facts| facts.modified()).ok();
        *known = Known { accounts, read };
        Ok(outcome)
    }

    /// Who is signed in, and which programs may ask.
    pub fn accounts(&self) -> Result<Accounts, Trouble> {
        self.with(Clone::clone)
    }

    /// Whether a password is set.
    pub fn has_password(&self) -> Result<bool, Trouble> {
        Ok(self.fixed.is_some() || self.with(|accounts| accounts.password.is_some())?)
    }

    /// Whether the configuration gives the password, so that it cannot be changed here.
    pub fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// A link by which whoever reads what the service prints sets the first password; it is good once.
    pub fn new_link(&self) -> Result<String, Trouble> {
        let secret = secret().map_err(|error| Trouble::Hash(error.to_string()))?;
        *locked(&self.link) = Some((id_of(&secret), Instant::now()));
        Ok(secret)
    }

    /// Whether that is the link, and it is still good.
    pub fn is_link(&self, secret: &str) -> bool {
        locked(&self.link).as_ref().is_some_and(|(id, made)| *id == id_of(secret) && made.elapsed() < LINK)
    }

    /// The link was used.
    pub fn use_up_link(&self) {
        *locked(&self.link) = None;
    }

    /// Tries a password. One at a time in all: each takes memory and time, and that many at once are an attack.
    pub async fn try_password(&self, password: String, address: IpAddr) -> Result<Result<(), Refusal>, Trouble> {
        let wait = self.throttle.wait(address, Instant::now());
        if !wait.is_zero() {
            return Ok(Err(Refusal::Wait(wait.as_secs() + 1)));
        }
        if password.is_empty() {
            // A field that was left out is no guess.
            return Ok(Err(Refusal::Wrong));
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Ok(Err(Refusal::Wait(2))) };
        let _turn = self.turn.lock().await;
        // Others of the same address may have had their turn meanwhile.
        let wait = self.throttle.wait(address, Instant::now());
        if !wait.is_zero() {
            return Ok(Err(Refusal::Wait(wait.as_secs() + 1)));
        }
        let stored = match &self.fixed {
            Some(fixed) => Some(fixed.clone()),
            None => self.with(|accounts| accounts.password.clone())?,
        };
        let is_right = tokio::task::spawn_blocking(move || stored.is_some_and(|hash| is_password(&password, &hash))).await.unwrap_or(false);
        if is_right {
            self.throttle.right(address);
            return Ok(Ok(()));
        }
        self.throttle.wrong(address, Instant::now());
        Ok(Err(Refusal::Wrong))
    }

    /// Signs a device in; the secret for its cookie.
    pub fn sign_in(&self, device: &str) -> Result<String, Trouble> {
        let secret = self.change(|accounts| accounts.sign_in(device, Timestamp::now()))?;
        self.prove(&id_of(&secret));
        Ok(secret)
    }

    /// The session of a cookie.
    pub fn session(&self, secret: &str) -> Result<Option<SignedIn>, Trouble> {
        let now = Timestamp::now();
        let Some(session) = self.with(|accounts| accounts.session(secret, now).cloned())? else { return Ok(None) };
        if session.seen.duration_until(now) >= SEEN_EVERY {
            let id = session.id.clone();
            self.change(|accounts| {
                accounts.sessions.iter_mut().filter(|session| session.id == id).for_each(|session| session.seen = now);
                Ok(())
            })?;
        }
        Ok(Some(session))
    }

    /// Whether a program may ask.
    pub fn has_token(&self, secret: &str) -> Result<bool, Trouble> {
        self.with(|accounts| accounts.has_token(secret))
    }

    /// The password was given in this session just now.
    pub fn prove(&self, session: &str) {
        let mut proved = locked(&self.proved);
        proved.retain(|_, at| at.elapsed() < PROVED);
        proved.insert(session.to_owned(), Instant::now());
    }

    /// Whether that was a short while ago.
    pub fn is_proved(&self, session: &str) -> bool {
        locked(&self.proved).get(session).is_some_and(|at| at.elapsed() < PROVED)
    }

    /// What each form of a session carries.
    pub fn form_token(&self, session: &str) -> String {
        blake3::keyed_hash(&self.form_key, session.as_bytes()).to_hex().chars().take(32).collect()
    }
}
