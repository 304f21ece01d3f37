//! Quick Connect: a user types a code in Jellyfin, and the server says who they are. Needs no API
//! key.

use serde_json::json;

use super::answer::Answer;
use super::client::{Client, Sent};
use super::error::ServerError;
use super::jellyfin::{Expected, compare_ids};

/// A sign-in that waits for its code to be typed.
#[derive(Clone)]
pub struct QuickConnect {
    secret: String,
    /// What the user types.
    pub code: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The code was not typed yet.
    Waiting,
    /// The server does not know of it any more.
    Over,
    /// Somebody signed in.
    SignedIn(SignedIn),
}

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Their name.
    pub name: String,
    /// They administrate the server.
    pub is_administrator: bool,
}

/// How this program calls itself. The same device each time, so that the server's list of devices
/// does not grow.
fn authorization(token: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let token = token.map_or_else(String::new, |token| format!(", Token=\"{token}\""));
    format!(
        "MediaBrowser Client=\"jellyvault\", Device=\"jellyvault\", DeviceId=\"jellyvault\", Version=\"{version}\"{token}"
    )
}

impl QuickConnect {
    /// Asks for a code.
    ///
    /// # Errors
    /// [`ServerError`]: not reached, another server, or Quick Connect is off.
    pub fn begin(client: &Client, expected: Expected<'_>) -> Result<QuickConnect, ServerError> {
        const DOING: &str = "asking for a Quick Connect code";
        let info = client.document(DOING, "/System/Info/Public", &Sent::Get)?;
        let id = info.name("Id").ok_or_else(|| client.invalid(DOING, "it does not name an id"))?;
        compare_ids(client, &id, expected)?;
        if !ask(client, DOING, "/QuickConnect/Enabled", &Sent::Get, None)?.is_true() {
            return Err(ServerError::NoQuickConnect { address: client.address().clone() });
        }
        let answer = ask(client, DOING, "/QuickConnect/Initiate", &Sent::Post, None)?;
        let is_code = |code: &String| {
            code.len() <= 12
                && !code.is_empty()
                && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        match (
            answer.text("Secret").filter(|secret| is_token(secret)),
            answer.text("Code").filter(is_code),
        ) {
            (Some(secret), Some(code)) => Ok(QuickConnect { secret, code }),
            _ => Err(client.invalid(DOING, "it has no code")),
        }
    }

    /// Asks whether the code was typed, and by whom. The token that the server gives is ended at
    /// once.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn ask(&self, client: &Client, expected: Expected<'_>) -> Result<Asked, ServerError> {
        const DOING: &str = "asking whether the Quick Connect code was typed";
        let path =
            format!("/QuickConnect/Connect?secret={}", super::address::encoded(&self.secret));
        let answer = match ask(client, DOING, &path, &Sent::Get, None) {
            Err(ServerError::Status { status: 404, .. }) => return Ok(Asked::Over),
            answer => answer?,
        };
        if answer.flag("Authenticated") != Some(true) {
            return Ok(Asked::Waiting);
        }
        const WHO: &str = "asking who typed the Quick Connect code";
        let answer = match ask(
            client,
            WHO,
            "/Users/AuthenticateWithQuickConnect",
            &Sent::Json(&json!({"Secret": self.secret})),
            None,
        ) {
            Err(ServerError::Status { status: 404, .. }) => return Ok(Asked::Over),
            answer => answer?,
        };
        let token = answer.text("AccessToken").filter(|token| is_token(token));
        let found = signed_in(client, WHO, &answer, expected);
        // It belongs to a new device in the server's database. Where it cannot be ended the user is
        // still who they are.
        if let Some(token) = token {
            crate::tolerate(client.ask_as(
                "signing out",
                "/Sessions/Logout",
                &Sent::Post,
                Some(&authorization(Some(&token))),
            ));
        }
        found.map(Asked::SignedIn)
    }
}

fn signed_in(
    client: &Client,
    doing: &'static str,
    answer: &Answer,
    expected: Expected<'_>,
) -> Result<SignedIn, ServerError> {
    let invalid = || client.invalid(doing, "it does not name the user and the server");
    let user = answer.inner("User").ok_or_else(invalid)?;
    let server = answer.name("ServerId").or_else(|| user.name("ServerId")).ok_or_else(invalid)?;
    compare_ids(client, &server, expected)?;
    let policy = user.inner("Policy").ok_or_else(invalid)?;
    let is_administrator =
        policy.flag("IsAdministrator") == Some(true) && policy.flag("IsDisabled") != Some(true);
    Ok(SignedIn { name: user.name("Name").ok_or_else(invalid)?, is_administrator })
}

/// What may stand in a header and in an address.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn ask(
    client: &Client,
    doing: &'static str,
    path: &str,
    sent: &Sent<'_>,
    token: Option<&str>,
) -> Result<Answer, ServerError> {
    let bytes = client.ask_as(doing, path, sent, Some(&authorization(token)))?;
    Answer::read(&bytes).ok_or_else(|| client.invalid(doing, "it is not JSON"))
}
