//! Signing in by Quick Connect: a code is shown, the user types it in Jellyfin, and an
//! administrator of the server is let in.

use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::super::cookies::{cookie, set_cookie};
use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::quick::{Stand, VALID};
use super::super::requests::read;
use super::super::view::View;
use super::login::{Next, safe, sign_in, signed_in, too_many};
use super::snapshot::of_a_server;
use super::{bare_page, parts};

/// The cookie by which a browser finds its code again.
const COOKIE: &str = "jellyvault-quick";
/// How often a browser asks whether the code was typed, in seconds.
const AGAIN: &str = "3";

fn refuse(view: &View, status: StatusCode, next: &str, words: &str) -> Response {
    (status, forget(view), bare_page(view, "Sign in", sign_in(view, next, Some(words))))
        .into_response()
}

fn forget(view: &View) -> AppendHeaders<[(HeaderName, String); 1]> {
    AppendHeaders([(header::SET_COOKIE, set_cookie(view, COOKIE, "", 0, true))])
}

/// The id of the server whose administrators may come in: the one of the configuration, else of the
/// newest snapshot.
async fn server(view: &View) -> Result<String, Oops> {
    if let Some(id) = &view.site.settings.server_id {
        return Ok(id.clone());
    }
    let id = read(view, |session, _| Ok(of_a_server(session, None)?.1.server.id)).await?;
    id.ok_or_else(|| Oops::bad("it is not known which server the snapshots are of, so nobody can sign in with Jellyfin"))
}

/// Asks the server for a code. Like a wrong password, each code that is not used makes the next
/// attempt wait.
pub async fn begin(view: View, posted: Posted) -> Result<Response, Oops> {
    let next = safe(posted.get("next")).to_owned();
    if !view.site.quick.is_offered() || !view.site.auth.has_password()? {
        return Err(Oops::not_found("nobody can sign in with Jellyfin here"));
    }
    if let Some(seconds) = view.site.auth.must_wait(view.address) {
        return Ok(too_many(&view, &next, seconds));
    }
    view.site.auth.count_attempt(view.address);
    let id = server(&view).await?;
    let (own, address) = (view.clone(), view.address);
    let begun = tokio::task::spawn_blocking(move || {
        let Some(_place) = own.site.quick.place() else { return Ok(None) };
        own.site.quick.begin(address, &id)
    });
    match begun.await.map_err(|_| Oops::bad("the server could not be asked"))? {
        Ok(Some(secret)) => {
            let cookie = set_cookie(
                &view,
                COOKIE,
                &secret,
                u32::try_from(VALID.as_secs()).unwrap_or_default(),
                true,
            );
            let to = view.to(&format!("/login/quick?next={}", super::super::names::value(&next)));
            Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(&to)).into_response())
        }
        Ok(None) => Ok(refuse(
            &view,
            StatusCode::SERVICE_UNAVAILABLE,
            &next,
            "Others are signing in at this moment. Try again.",
        )),
        Err(error) => Ok(refuse(
            &view,
            StatusCode::BAD_GATEWAY,
            &next,
            &format!("{}. {}", parts::capital(&error.to_string()), error.hint()),
        )),
    }
}

/// Shows the code, and asks whether it was typed. The browser asks again by itself, without a
/// script.
pub async fn show(
    view: View,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Result<Response, Oops> {
    let next = safe(next.next.as_deref().unwrap_or("/")).to_owned();
    if view.session.is_some() {
        return Ok(Redirect::to(&view.to(&next)).into_response());
    }
    let over = || {
        Ok(refuse(&view, StatusCode::GONE, &next, "The code is not valid any more. Start again."))
    };
    let Some(secret) = cookie(&headers, COOKIE).map(str::to_owned) else { return over() };
    let (own, asked) = (view.clone(), secret.clone());
    let stand = tokio::task::spawn_blocking(move || {
        let Some(_place) = own.site.quick.place() else {
            return Ok(own.site.quick.code(&asked).map_or(Stand::None, Stand::Code));
        };
        own.site.quick.stand(&asked)
    });
    match stand.await.map_err(|_| Oops::bad("the server could not be asked"))? {
        Ok(Stand::Code(code)) => Ok((
            [(header::REFRESH, AGAIN)],
            bare_page(&view, "Sign in with Jellyfin", waiting(&view, &code, &next, None)),
        )
            .into_response()),
        Ok(Stand::Done(user)) if user.is_administrator => {
            view.site.auth.forgive(view.address);
            let mut response = signed_in(&view, &headers, &next)?;
            if let Ok(gone) = set_cookie(&view, COOKIE, "", 0, true).parse() {
                response.headers_mut().append(header::SET_COOKIE, gone);
            }
            Ok(response)
        }
        Ok(Stand::Done(user)) => Ok(refuse(
            &view,
            StatusCode::FORBIDDEN,
            &next,
            &format!(
                "{} is not an administrator of the Jellyfin server, so this page stays closed.",
                user.name
            ),
        )),
        Ok(Stand::None) => over(),
        Err(error) if error.is_passing() => {
            let code = view.site.quick.code(&secret).unwrap_or_default();
            let words = format!("{}.", parts::capital(&error.to_string()));
            Ok((
                [(header::REFRESH, AGAIN)],
                bare_page(
                    &view,
                    "Sign in with Jellyfin",
                    waiting(&view, &code, &next, Some(&words)),
                ),
            )
                .into_response())
        }
        Err(error) => Ok(refuse(
            &view,
            StatusCode::BAD_GATEWAY,
            &next,
            &format!("{}. {}", parts::capital(&error.to_string()), error.hint()),
        )),
    }
}

fn waiting(view: &View, code: &str, next: &str, wrong: Option<&str>) -> Markup {
    html! {
        h1 { "Sign in with Jellyfin" }
        div.card {
            @if let Some(wrong) = wrong { p.badge.attention.long role="alert" { (wrong) } }
            p { "In Jellyfin, open your user's settings, choose " strong { "Quick Connect" } " and enter this code:" }
            p.sentence aria-live="polite" { code { (code) } }
            p { "This page goes on by itself once the code was entered. It must be entered by an administrator, within ten minutes." }
            p { a.button href=(view.to(&format!("/login/quick?next={}", super::super::names::value(next)))) { "I have entered it" }
                " " a href=(view.to("/login")) { "Sign in with the password" } }
        }
    }
}
