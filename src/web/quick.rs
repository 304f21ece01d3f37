//! Sign-ins by Quick Connect that wait for their code to be typed in Jellyfin. Each belongs to the
//! browser that began it, by a cookie.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::server::{Asked, Client, QuickConnect, ServerError};

use super::accounts::{id_of, secret};

/// The server forgets a code after ten minutes.
pub const VALID: Duration = Duration::from_secs(600);
/// Sign-ins that wait at the same time, at most, and of one address.
const WAITING_MAX: (usize, usize) = (64, 4);
/// A browser that asks more often is told to wait without a question to the server.
const PAUSE: Duration = Duration::from_millis(1500);
/// Questions to the server at the same time.
const QUESTIONS_MAX: usize = 2;

/// A sign-in that waits.
#[derive(Clone)]
struct Waiting {
    address: IpAddr,
    begun: Instant,
    asked: Option<Instant>,
    connect: QuickConnect,
    /// The server's id when it began: another one must not end it.
    server: String,
}

/// All that wait.
pub struct Quick {
    client: Option<Client>,
    waiting: Mutex<HashMap<String, Waiting>>,
    questions: Semaphore,
}

/// How a sign-in stands.
pub enum Stand {
    /// The browser has none, or it is over.
    None,
    /// This code was not typed yet.
    Code(String),
    /// Somebody typed it.
    Done(crate::server::SignedIn),
}

impl Quick {
    /// With a client, where the configuration names a server.
    pub fn new(client: Option<Client>) -> Quick {
        Quick { client, waiting: Mutex::default(), questions: Semaphore::new(QUESTIONS_MAX) }
    }

    /// Whether anybody can sign in this way.
    pub fn is_offered(&self) -> bool {
        self.client.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those that ask the server; nothing where it is asked enough.
    pub fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.questions.try_acquire().ok()
    }

    /// Asks the server for a code. Blocks. The secret of the browser's cookie.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn begin(&self, address: IpAddr, server: &str) -> Result<Option<String>, ServerError> {
        let (Some(client), Ok(secret)) = (&self.client, secret()) else { return Ok(None) };
        let connect = QuickConnect::begin(client, Some((server, "snapshots")))?;
        let mut waiting = self.lock();
        waiting.retain(|_, own| own.begun.elapsed() < VALID);
        let oldest = |waiting: &HashMap<String, Waiting>, of: Option<IpAddr>| {
            let own = waiting.iter().filter(|(_, own)| of.is_none_or(|of| own.address == of));
            own.min_by_key(|(_, own)| own.begun).map(|(id, _)| id.clone())
        };
        let of_address = waiting.values().filter(|own| own.address == address).count();
        let over = if of_address >= WAITING_MAX.1 { oldest(&waiting, Some(address)) } else { None };
        let over = over
            .or_else(|| (waiting.len() >= WAITING_MAX.0).then(|| oldest(&waiting, None)).flatten());
        if let Some(over) = over {
            waiting.remove(&over);
        }
        waiting.insert(
            id_of(&secret),
            Waiting {
                address,
                begun: Instant::now(),
                asked: None,
                connect,
                server: server.to_owned(),
            },
        );
        Ok(Some(secret))
    }

    /// How the sign-in of a browser stands. Blocks while it asks the server.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn stand(&self, secret: &str) -> Result<Stand, ServerError> {
        let id = id_of(secret);
        let own = {
            let mut waiting = self.lock();
            let Some(own) = waiting.get_mut(&id).filter(|own| own.begun.elapsed() < VALID) else {
                return Ok(Stand::None);
            };
            if own.asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
                return Ok(Stand::Code(own.connect.code.clone()));
            }
            own.asked = Some(Instant::now());
            own.clone()
        };
        let Some(client) = &self.client else { return Ok(Stand::None) };
        match own.connect.ask(client, Some((&own.server, "snapshots")))? {
            Asked::Waiting => Ok(Stand::Code(own.connect.code)),
            Asked::Over => {
                self.lock().remove(&id);
                Ok(Stand::None)
            }
            // Only one of two tabs gets the session.
            Asked::SignedIn(user) => {
                Ok(self.lock().remove(&id).map_or(Stand::None, |_| Stand::Done(user)))
            }
        }
    }

    /// The code of a browser's sign-in, without a question to the server.
    pub fn code(&self, secret: &str) -> Option<String> {
        self.lock()
            .get(&id_of(secret))
            .filter(|own| own.begun.elapsed() < VALID)
            .map(|own| own.connect.code.clone())
    }
}
