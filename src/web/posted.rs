//! Reads a form. Its size and time are limited, and it must carry the token that only jellyvault's
//! pages have.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};

use super::oops::Oops;
use super::view::View;

/// The longest form, in bytes.
const FORM_BYTES_MAX: usize = 256 << 10;
/// The longest time that a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// The fields of a form.
pub struct Posted(Vec<(String, String)>);

impl Posted {
    /// A field; empty if it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// All values of a field that may come several times.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Oops;

    async fn from_request(request: Request, _: &S) -> Result<Posted, Oops> {
        let view = request.extensions().get::<View>().cloned().ok_or_else(|| {
            Oops::bad("the request was not checked, which is a bug in jellyvault")
        })?;
        let read =
            tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), FORM_BYTES_MAX)).await;
        let bytes = read
            .map_err(|_| Oops::bad("the form took too long to arrive"))?
            .map_err(|_| Oops::bad("the form is too large, or was cut off"))?;
        let posted = Posted(
            form_urlencoded::parse(&bytes)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        );
        view.check_form(posted.get("token"))?;
        Ok(posted)
    }
}
