//! Who asks, and how they see the page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Zoned;

use super::oops::Oops;
use super::site::Site;

/// Light, dark, or as the device has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the device has it.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Its word, in the cookie and the style.
    pub fn word(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// Of a word.
    pub fn of(word: &str) -> Theme {
        [Theme::Light, Theme::Dark]
            .into_iter()
            .find(|theme| theme.word() == word)
            .unwrap_or_default()
    }
}

/// One who asks.
#[derive(Clone)]
pub struct View {
    /// All that the pages know.
    pub site: Arc<Site>,
    /// What stands before each path.
    pub base: String,
    /// Where they come from.
    pub address: IpAddr,
    /// Whether they come by https.
    pub is_secure: bool,
    /// Their session; nothing where they are not signed in, or are a program.
    pub session: Option<String>,
    /// How they see it.
    pub theme: Theme,
    /// What they asked for, without what stands before each path.
    pub path: String,
    /// The page that they come back to, with what was searched for on it.
    pub back: String,
}

impl View {
    /// An address of ours.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What each of their forms carries.
    pub fn form_token(&self) -> String {
        self.site.auth.form_token(self.session.as_deref().unwrap_or_default())
    }

    /// Refuses a form that does not carry that token.
    pub fn check_form(&self, token: &str) -> Result<(), Oops> {
        // Without a session there is nothing that another page could misuse: programs send a token,
        // not a cookie.
        if self.session.is_none() || token == self.form_token() {
            return Ok(());
        }
        Err(Oops::new(
            StatusCode::BAD_REQUEST,
            "this form is out of date, because the service was restarted or you signed in again",
            "Go back, reload the page, then try again.",
        ))
    }

    /// Whether they gave the password a short while ago.
    pub fn is_proved(&self) -> bool {
        self.session.as_deref().is_some_and(|session| self.site.auth.is_proved(session))
    }

    /// Now, in the user's zone.
    pub fn now(&self) -> Zoned {
        Zoned::now().with_time_zone(self.site.zone.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for View {
    type Rejection = Oops;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<View, Oops> {
        // The guard puts it there, before every handler.
        parts
            .extensions
            .get::<View>()
            .cloned()
            .ok_or_else(|| Oops::bad("the request was not looked at"))
    }
}
