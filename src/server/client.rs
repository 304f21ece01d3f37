//! Requests to the server: no redirect is followed, no proxy of the environment is used, and
//! answers are limited in size and time.

use std::time::Duration;

use super::address::Address;
use super::answer::Answer;
use super::error::ServerError;
use super::key::ApiKey;

/// The longest that one request may take where nothing is said.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest that a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes. Parsed, it takes some ten times as much memory.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Where the server is, and by what right it is asked.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    key: Option<ApiKey>,
    agent: ureq::Agent,
}

/// What is sent.
pub(super) enum Sent<'a> {
    /// Nothing, to read.
    Get,
    /// A change.
    Post,
    /// A change with this document.
    Json(&'a serde_json::Value),
    /// A change with this text, of this type.
    Text(&'a str, &'static str),
}

impl Client {
    /// A client of the server at an address; without a key only what needs none can be asked.
    pub fn new(address: Address, key: Option<ApiKey>, limit: Option<Duration>) -> Client {
        let limit = limit.unwrap_or(LIMIT);
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .timeout_connect(Some(limit.min(CONNECT_LIMIT)))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Client { address, key, agent }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Asks with the key. `doing` says in messages what is asked.
    pub(super) fn ask(
        &self,
        doing: &'static str,
        path: &str,
        sent: &Sent<'_>,
    ) -> Result<Vec<u8>, ServerError> {
        self.ask_as(doing, path, sent, self.key.as_ref().map(ApiKey::header).as_deref())
    }

    /// The same with other words in the header `Authorization`.
    pub(super) fn ask_as(
        &self,
        doing: &'static str,
        path: &str,
        sent: &Sent<'_>,
        authorization: Option<&str>,
    ) -> Result<Vec<u8>, ServerError> {
        let url = self.address.at(path);
        let answered = match sent {
            Sent::Get => authorized(self.agent.get(&url), authorization).call(),
            Sent::Post => authorized(self.agent.post(&url), authorization).send_empty(),
            Sent::Json(document) => authorized(self.agent.post(&url), authorization)
                .header("Content-Type", "application/json")
                .send(document.to_string()),
            Sent::Text(text, kind) => authorized(self.agent.post(&url), authorization)
                .header("Content-Type", *kind)
                .send(*text),
        };
        let answer = answered.map_err(|error| self.failed(doing, &error))?;
        let (address, status) = (self.address.clone(), answer.status().as_u16());
        tracing::debug!(doing, status, "the server answered");
        match status {
            200..=299 => {}
            300..=399 => return Err(ServerError::Redirect { address, status }),
            401 | 403 => return Err(ServerError::WrongKey { address, status }),
            503 => return Err(ServerError::Starting { address }),
            _ => return Err(ServerError::Status { address, doing, status }),
        }
        answer
            .into_body()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| self.failed(doing, &error))
    }

    /// Asks for a document.
    pub(super) fn document(
        &self,
        doing: &'static str,
        path: &str,
        sent: &Sent<'_>,
    ) -> Result<Answer, ServerError> {
        let bytes = self.ask(doing, path, sent)?;
        Answer::read(&bytes).ok_or_else(|| self.invalid(doing, "it is not JSON"))
    }

    /// The error for an answer that makes no sense.
    pub(super) fn invalid(&self, doing: &'static str, what: &'static str) -> ServerError {
        ServerError::Answer { address: self.address.clone(), doing, what }
    }

    /// An error of the library may name headers: only its kind is told.
    fn failed(&self, doing: &'static str, error: &ureq::Error) -> ServerError {
        let address = self.address.clone();
        let unreachable = |why: String| ServerError::Unreachable { address: address.clone(), why };
        match error {
            ureq::Error::Timeout(_) => ServerError::TimedOut { address, doing },
            ureq::Error::BodyExceedsLimit(_) => {
                self.invalid(doing, "it is larger than any answer of Jellyfin")
            }
            ureq::Error::HostNotFound => unreachable("the name of the host is unknown".to_owned()),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => unreachable(
                "its certificate was not accepted, or it does not speak https".to_owned(),
            ),
            ureq::Error::Io(error) if is_end(error.kind()) => {
                self.invalid(doing, "the connection ended before the answer did")
            }
            ureq::Error::Io(error) => unreachable(error.kind().to_string()),
            ureq::Error::ConnectionFailed => unreachable("no connection".to_owned()),
            ureq::Error::BadUri(_) => unreachable("the address is not valid".to_owned()),
            _ => self.invalid(doing, "it is not HTTP as Jellyfin speaks it"),
        }
    }
}

fn is_end(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        kind,
        K::UnexpectedEof
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::BrokenPipe
            | K::InvalidData
    )
}

fn authorized<B>(
    request: ureq::RequestBuilder<B>,
    authorization: Option<&str>,
) -> ureq::RequestBuilder<B> {
    match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    }
}
