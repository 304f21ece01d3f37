//! Signing in and out, the first password, and the colours.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::accounts::PASSWORD_CHARS;
use super::super::auth::Refusal;
use super::super::cookies::set_cookie;
use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::view::{Theme, View};
use super::{bare_page, parts};

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct Next {
    /// A path of ours.
    pub next: Option<String>,
}

/// A path on this page, never an address on another host.
pub fn safe(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path { next } else { "/" }
}

/// The form.
pub async fn form(view: View, Query(next): Query<Next>) -> Result<Response, Oops> {
    if view.session.is_some() {
        return Ok(
            Redirect::to(&view.to(safe(next.next.as_deref().unwrap_or("/")))).into_response()
        );
    }
    let has_password = view.site.auth.has_password()?;
    Ok(bare_page(
        &view,
        "Sign in",
        if has_password {
            sign_in(&view, safe(next.next.as_deref().unwrap_or("/")), None)
        } else {
            no_password()
        },
    ))
}

pub fn sign_in(view: &View, next: &str, wrong: Option<&str>) -> Markup {
    html! {
        h1 { "Sign in" }
        div.card {
            @if let Some(wrong) = wrong { p.badge.bad.long role="alert" { (wrong) } }
            form method="post" action=(view.to("/login")) {
                input type="hidden" name="next" value=(next);
                label { "Password" input type="password" name="password" autocomplete="current-password" required autofocus; }
                button.first { "Sign in" }
            }
            @if view.site.quick.is_offered() {
                form method="post" action=(view.to("/login/quick")) {
                    input type="hidden" name="next" value=(next);
                    button { "Sign in with Jellyfin (Quick Connect)" }
                }
            }
            p.soft.small { "Forgotten? On the machine that runs jellyvault, set a new one: " code { "jellyvault web password" } }
        }
    }
}

fn no_password() -> Markup {
    html! {
        h1 { "No password is set yet" }
        div.card {
            p { "When the service starts, it prints a link to set the password. The link is valid for ten minutes. Restart the service to get a new one." }
            p { "Or set the password on the machine that runs jellyvault: " code { "jellyvault web password" } }
        }
    }
}

/// Tries the password.
pub async fn enter(view: View, headers: HeaderMap, posted: Posted) -> Result<Response, Oops> {
    let next = safe(posted.get("next")).to_owned();
    match view.site.auth.try_password(posted.get("password").to_owned(), view.address).await? {
        Ok(()) => signed_in(&view, &headers, &next),
        Err(Refusal::Wrong) => Ok((
            StatusCode::FORBIDDEN,
            bare_page(&view, "Sign in", sign_in(&view, &next, Some("The password is wrong."))),
        )
            .into_response()),
        Err(Refusal::Wait(seconds)) => Ok(too_many(&view, &next, seconds)),
    }
}

/// The answer to who has to wait.
pub fn too_many(view: &View, next: &str, seconds: u64) -> Response {
    let words = format!("Too many wrong passwords. Try again in {seconds} seconds.");
    let page = bare_page(view, "Sign in", sign_in(view, next, Some(&words)));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], page)
        .into_response()
}

pub fn signed_in(view: &View, headers: &HeaderMap, next: &str) -> Result<Response, Oops> {
    let device = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("a program");
    let secret = view.site.auth.sign_in(device)?;
    Ok((
        AppendHeaders([(
            header::SET_COOKIE,
            set_cookie(view, "jellyvault", &secret, 30 * 86_400, true),
        )]),
        Redirect::to(&view.to(next)),
    )
        .into_response())
}

/// Signs this device out.
pub async fn leave(view: View, _posted: Posted) -> Result<Response, Oops> {
    if let Some(session) = &view.session {
        view.site.auth.change(|accounts| {
            accounts.sessions.retain(|own| own.id != *session);
            Ok(())
        })?;
    }
    Ok((
        AppendHeaders([(header::SET_COOKIE, set_cookie(&view, "jellyvault", "", 0, true))]),
        Redirect::to(&view.to("/login")),
    )
        .into_response())
}

/// Remembers the colours.
pub async fn theme(view: View, posted: Posted) -> Response {
    let theme = Theme::of(posted.get("theme"));
    let cookie = set_cookie(&view, "theme", theme.word(), 365 * 86_400, false);
    (
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(&view.to(safe(posted.get("back")))),
    )
        .into_response()
}

fn is_usable(view: &View, link: &str) -> Result<(), Oops> {
    if view.site.auth.is_link(link) && !view.site.auth.has_password()? {
        return Ok(());
    }
    Err(Oops::new(
        StatusCode::NOT_FOUND,
        "this link is not valid or has expired",
        "If a password is set, sign in. If not, restart the service for a new link.",
    ))
}

/// The form for the first password, behind the link that the service printed.
pub async fn first(view: View, Path(link): Path<String>) -> Result<Response, Oops> {
    is_usable(&view, &link)?;
    Ok(bare_page(&view, "Choose a password", choose(&view, &link, None)))
}

fn choose(view: &View, link: &str, wrong: Option<&str>) -> Markup {
    html! {
        h1 { "Choose a password" }
        div.card {
            p { "Anyone who has the password can see and restore everything in the snapshots. It needs at least " (PASSWORD_CHARS.0) " characters." }
            @if let Some(wrong) = wrong { p.badge.bad role="alert" { (wrong) } }
            form method="post" action=(view.to(&format!("/setup/{link}"))) {
                (parts::token(view))
                label { "Password" input type="password" name="password" autocomplete="new-password" required autofocus; }
                label { "Repeat the password" input type="password" name="again" autocomplete="new-password" required; }
                button.first { "Set the password" }
            }
        }
    }
}

/// Sets the first password.
pub async fn set_first(
    view: View,
    Path(link): Path<String>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Oops> {
    is_usable(&view, &link)?;
    let (password, again) = (posted.get("password").to_owned(), posted.get("again"));
    let refuse = |wrong: &str| {
        Ok((
            StatusCode::BAD_REQUEST,
            bare_page(&view, "Choose a password", choose(&view, &link, Some(wrong))),
        )
            .into_response())
    };
    if password != again {
        return refuse("The two passwords do not match.");
    }
    let (site, chosen) = (view.site.clone(), password);
    let set = tokio::task::spawn_blocking(move || {
        site.auth.change(|accounts| accounts.set_password(&chosen))
    })
    .await;
    match set {
        Ok(Ok(())) => {
            view.site.auth.use_up_link();
            signed_in(&view, &headers, "/")
        }
        Ok(Err(trouble)) => refuse(&format!("{}.", parts::capital(&trouble.to_string()))),
        Err(_) => Err(Oops::bad("the password could not be set")),
    }
}

/// Checks the password before something is removed or overwritten, unless it was entered recently.
pub async fn prove(view: &View, posted: &Posted) -> Result<(), Oops> {
    if view.is_proved() {
        return Ok(());
    }
    let Some(session) = view.session.clone() else {
        return Err(Oops::new(
            StatusCode::FORBIDDEN,
            "a token cannot do this",
            "Sign in with a browser.",
        ));
    };
    match view.site.auth.try_password(posted.get("password").to_owned(), view.address).await? {
        Ok(()) => {
            view.site.auth.prove(&session);
            Ok(())
        }
        Err(Refusal::Wrong) => Err(Oops::new(
            StatusCode::FORBIDDEN,
            "the password is missing or wrong, so nothing was done",
            "Go back and enter your password.",
        )),
        Err(Refusal::Wait(seconds)) => Err(Oops::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many wrong passwords, so nothing was done",
            format!("Wait {seconds} seconds, then go back and try again."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn the_way_back_leads_nowhere_else() {
        for next in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "",
            "evil",
            "/\u{1}",
            "/a b",
            "/\u{7f}",
        ] {
            assert_eq!(safe(next), "/");
        }
        assert_eq!(safe("/snapshots?q=a"), "/snapshots?q=a");
    }
}
