//! Checks every request: the host name, the page that sent it, and the session or token. Adds the
//! security headers to every answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::accounts::id_of;
use super::address::{Origin, host_of, is_ours};
use super::cookies::cookie;
use super::names;
use super::oops::Oops;
use super::pages;
use super::site::Site;
use super::view::{Theme, View};

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

const CONTENT_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Checks a request, passes it on, and completes the answer.
pub async fn guard(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let peer =
        request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    let mut view = seen(&site, &request, peer);
    let is_api = view.path.starts_with("/api/");
    let outcome = match admit(&mut view, &request) {
        Ok(()) => {
            request.extensions_mut().insert(view.clone());
            next.run(request).await
        }
        Err(answer) => *answer,
    };
    finish(outcome, &view, is_api)
}

/// Reads the headers of a request. Headers of a proxy count only if the proxy is trusted.
fn seen(site: &Arc<Site>, request: &Request, peer: IpAddr) -> View {
    let headers = request.headers();
    let is_trusted = site.settings.trusts(peer);
    let forwarded = |name| text(headers, name).filter(|_| is_trusted);
    // The last address is the one that the proxy itself saw.
    let last = headers
        .get_all("x-forwarded-for")
        .into_iter()
        .next_back()
        .and_then(|line| line.to_str().ok())
        .filter(|_| is_trusted);
    let address = last.and_then(|all| all.rsplit(',').next()?.trim().parse().ok()).unwrap_or(peer);
    let prefix = forwarded("x-forwarded-prefix")
        .map(|prefix| prefix.trim_end_matches('/'))
        .filter(|prefix| is_prefix(prefix));
    // What a proxy says of prefixes is for links alone: where a request leads, and whether it is
    // open to all, its path decides.
    let base = prefix.map_or_else(|| site.settings.base.clone(), str::to_owned);
    let whole = request.uri().path();
    let own = whole
        .strip_prefix(site.settings.base.as_str())
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match own.unwrap_or(whole) {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    View {
        site: site.clone(),
        base,
        address,
        is_secure: forwarded("x-forwarded-proto") == Some("https"),
        session: None,
        theme: cookie(headers, "theme").map(Theme::of).unwrap_or_default(),
        back: back(request, &path),
        path,
    }
}

/// The page that the user is on: a form's answer cannot be opened by its address.
fn back(request: &Request, path: &str) -> String {
    if request.method() != Method::GET {
        return if path.starts_with("/restore") { "/restore" } else { "/" }.to_owned();
    }
    match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Whether a prefix is only parts of a path.
fn is_prefix(prefix: &str) -> bool {
    prefix.starts_with('/')
        && !prefix.starts_with("//")
        && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the request may go on; if not, the answer to it.
fn admit(view: &mut View, request: &Request) -> Result<(), Box<Response>> {
    let headers = request.headers();
    let refuse = |oops: Oops| Box::new(oops.into_response());
    let settings = &view.site.settings;
    let is_trusted_host = settings.trusts(
        request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip()),
    );
    let host = text(headers, "x-forwarded-host")
        .filter(|_| is_trusted_host)
        .or_else(|| text(headers, "host"))
        .unwrap_or_default()
        .to_owned();
    if !is_ours(host_of(&host), &settings.machine, &settings.allowed_hosts) {
        return Err(refuse(Oops::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "this page was opened under the name {:?}, which is not a name of this machine",
                host_of(&host)
            ),
            "If the name is correct, add it to the configuration: [web] allowed_hosts = [\"NAME\"]. Then restart the service.",
        )));
    }
    let is_change = ![Method::GET, Method::HEAD].contains(request.method());
    let origin = Origin {
        site: text(headers, "sec-fetch-site"),
        origin: text(headers, "origin"),
        host: &host,
    };
    if is_change && !origin.is_own() {
        return Err(refuse(Oops::new(
            StatusCode::FORBIDDEN,
            "another web page sent this request, so nothing was done",
            "Open jellyvault's page and try again there. If it is behind a reverse proxy, let the proxy pass on the Host header, or set [web] trusted_proxies.",
        )));
    }
    if pages::is_open(&view.path) {
        view.session = session_of(view, headers).unwrap_or_default();
        return Ok(());
    }
    let bearer = text(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    if let Some(token) = bearer {
        return match view.site.auth.has_token(token.trim()) {
            Ok(true) if is_change && view.path != "/api/v1/jobs" => Err(refuse(Oops::new(
                StatusCode::FORBIDDEN,
                "a token can read everything and run jobs, but change nothing else",
                "Sign in with a browser for this.",
            ))),
            Ok(true) => Ok(()),
            Ok(false) => Err(refuse(Oops::new(
                StatusCode::UNAUTHORIZED,
                "the token is not valid",
                "Make a new one: jellyvault web token NAME",
            ))),
            Err(trouble) => Err(refuse(trouble.into())),
        };
    }
    match session_of(view, headers) {
        Ok(Some(session)) => {
            view.session = Some(session);
            Ok(())
        }
        Ok(None) if view.path.starts_with("/api/") || is_change || view.path == "/events" => {
            Err(refuse(Oops::new(
                StatusCode::UNAUTHORIZED,
                "you are not signed in",
                "Sign in, then try again.",
            )))
        }
        Ok(None) => {
            let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let next = next.strip_prefix(settings.base.as_str()).unwrap_or(next);
            Err(Box::new(
                Redirect::to(&view.to(&format!("/login?next={}", names::value(next))))
                    .into_response(),
            ))
        }
        Err(oops) => Err(refuse(oops)),
    }
}

fn session_of(view: &View, headers: &HeaderMap) -> Result<Option<String>, Oops> {
    let Some(secret) = cookie(headers, "jellyvault") else { return Ok(None) };
    Ok(view.site.auth.session(secret)?.map(|_| id_of(secret)))
}

/// Turns an error into a page or JSON, and adds the security headers.
fn finish(response: Response, view: &View, is_api: bool) -> Response {
    let oops = response.extensions().get::<Oops>().cloned();
    let mut response = match oops {
        Some(oops) if is_api => {
            let document = json!({"error": {"message": oops.what, "hint": oops.todo}});
            (oops.status, [(header::CONTENT_TYPE, "application/json")], document.to_string())
                .into_response()
        }
        Some(oops) => pages::trouble(view, &oops),
        None => response,
    };
    let headers = response.headers_mut();
    let rules: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With no-referrer, browsers would not say which page a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in rules {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response.map(Body::new)
}
