//! Where the running Jellyfin server is asked, and with which API key. Without a key nothing is
//! asked.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::server::{Address, ApiKey, Client, KeyError};

/// The address where nothing is said: Jellyfin's own on this machine.
const URL: &str = "http://127.0.0.1:8096";
/// A snapshot waits so long at most for a library scan where nothing is said.
const WAIT_MAX: SignedDuration = SignedDuration::from_mins(10);

/// The section `[jellyfin]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JellyfinConfig {
    /// The server's address, with its base path.
    pub url: Option<String>,
    /// A file that holds the API key and nothing else.
    pub api_key_file: Option<PathBuf>,
    /// The longest that one request may take.
    pub timeout: Option<String>,
    /// How long a scheduled snapshot waits at most for the end of a library scan.
    pub wait_max: Option<String>,
}

impl JellyfinConfig {
    /// Whether its values make sense.
    ///
    /// # Errors
    /// The first that does not, in words.
    pub fn check(&self) -> Result<(), String> {
        self.address()?;
        self.timeout()?;
        self.wait_max().map(drop)
    }

    /// The server's address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn address(&self) -> Result<Address, String> {
        Address::parse(self.url.as_deref().unwrap_or(URL)).map_err(|what| format!("url: {what}"))
    }

    fn timeout(&self) -> Result<Option<Duration>, String> {
        let Some(text) = &self.timeout else { return Ok(None) };
        let span: Option<SignedDuration> = text.parse().ok();
        let limit =
            span.and_then(|span| Duration::try_from(span).ok()).filter(|limit| !limit.is_zero());
        limit.map(Some).ok_or_else(|| format!("timeout: {text:?} is not a duration such as 30s"))
    }

    /// How long a scheduled snapshot waits at most for the end of a library scan.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn wait_max(&self) -> Result<SignedDuration, String> {
        let Some(text) = &self.wait_max else { return Ok(WAIT_MAX) };
        let span: Option<SignedDuration> = text.parse().ok();
        span.filter(|span| !span.is_negative()).ok_or_else(|| {
            format!("wait_max: {text:?} is not a duration such as 10m, or 0s to wait for nothing")
        })
    }

    /// A client with the API key; nothing where none is configured.
    ///
    /// # Errors
    /// A key that cannot be read.
    pub fn client(&self) -> Result<Option<Client>, KeyError> {
        let Some(file) = &self.api_key_file else { return Ok(None) };
        let key = ApiKey::read(file)?;
        Ok(self.client_with(Some(key)))
    }

    /// A client for signing in, which needs no key; nothing where nothing is said of the server.
    pub fn sign_in_client(&self) -> Option<Client> {
        if self.url.is_some() || self.api_key_file.is_some() {
            self.client_with(None)
        } else {
            None
        }
    }

    fn client_with(&self, key: Option<ApiKey>) -> Option<Client> {
        // Values that make no sense were refused when the configuration was read.
        Some(Client::new(self.address().ok()?, key, self.timeout().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_durations_are_looked_at_and_nothing_is_asked_without_a_key() {
        let usual = JellyfinConfig::default();
        assert_eq!(
            (usual.address().unwrap().to_string(), usual.wait_max(), usual.check()),
            (URL.to_owned(), Ok(WAIT_MAX), Ok(()))
        );
        assert!(usual.client().unwrap().is_none() && usual.sign_in_client().is_none());
        assert!(
            JellyfinConfig { url: Some(URL.to_owned()), ..usual.clone() }
                .sign_in_client()
                .is_some()
        );
        let wrong = |config: JellyfinConfig| config.check().unwrap_err();
        assert!(
            wrong(JellyfinConfig { url: Some("media:8096".to_owned()), ..usual.clone() })
                .contains("url: it must look like")
        );
        assert!(
            wrong(JellyfinConfig { wait_max: Some("soon".to_owned()), ..usual.clone() })
                .contains("wait_max")
        );
        assert!(
            wrong(JellyfinConfig { timeout: Some("0s".to_owned()), ..usual }).contains("timeout")
        );
    }
}
