//! Cookies, as they come and as they are set.

use axum::http::{HeaderMap, header};

use super::view::View;

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|cookies| cookies.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The header that sets one.
pub fn set_cookie(view: &View, name: &str, value: &str, seconds: u32, is_secret: bool) -> String {
    let path = if view.base.is_empty() { "/" } else { &view.base };
    let (secure, only) =
        (if view.is_secure { "; Secure" } else { "" }, if is_secret { "; HttpOnly" } else { "" });
    format!("{name}={value}; Path={path}; Max-Age={seconds}; SameSite=Lax{only}{secure}")
}
