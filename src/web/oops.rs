//! What went wrong with a request, shown on a page or as JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::ops::{Error, ErrorKind};

/// An error as an answer.
#[derive(Clone, Debug)]
pub struct Oops {
    /// Its status.
    pub status: StatusCode,
    /// What happened.
    pub what: String,
    /// What to do.
    pub todo: String,
}

impl Oops {
    /// With these texts.
    pub fn new(status: StatusCode, what: impl Into<String>, todo: impl Into<String>) -> Oops {
        Oops { status, what: what.into(), todo: todo.into() }
    }

    /// There is no such page, snapshot or path.
    pub fn not_found(what: impl Into<String>) -> Oops {
        Oops::new(StatusCode::NOT_FOUND, what, "Go back, or start from the overview.")
    }

    /// The request makes no sense.
    pub fn bad(what: impl Into<String>) -> Oops {
        Oops::new(StatusCode::BAD_REQUEST, what, "Go back and try again.")
    }
}

impl From<Error> for Oops {
    fn from(error: Error) -> Oops {
        let mut what = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !what.contains(&text) {
                what.push_str(": ");
                what.push_str(&text);
            }
            source = cause.source();
        }
        let (status, todo) = match error.kind() {
            ErrorKind::NoRepository => (
                StatusCode::SERVICE_UNAVAILABLE,
                "If the repository is on a separate disk, mount or connect the disk, then reload this page.",
            ),
            ErrorKind::Damaged => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Run jellyvault check to see what is damaged, then jellyvault repair.",
            ),
            ErrorKind::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "Wait a moment, then reload this page.")
            }
            ErrorKind::Usage => (StatusCode::BAD_REQUEST, "Go back, and choose something else."),
            ErrorKind::NotFound => (
                StatusCode::NOT_FOUND,
                "It may have been removed meanwhile. Choose another from the list of snapshots.",
            ),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Fix the cause, then reload this page."),
        };
        Oops::new(status, what, todo)
    }
}

impl From<super::accounts::Trouble> for Oops {
    fn from(trouble: super::accounts::Trouble) -> Oops {
        Oops::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            trouble.to_string(),
            "Fix the cause, then reload this page.",
        )
    }
}

impl IntoResponse for Oops {
    /// The guard turns this into a page or JSON, because it knows who asks.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
