//! The pages, one file each. This file holds the frame that they share.

pub mod browse;
pub mod compare;
pub mod health;
pub mod import;
pub mod jobs;
pub mod library;
pub mod login;
pub mod overview;
pub mod parts;
pub mod quick;
pub mod restore;
mod restore_command;
pub mod settings;
pub mod small_picture;
pub mod snapshot;
pub mod snapshots;
pub mod upload;
mod upload_form;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::oops::Oops;
use super::view::{Theme, View};

/// The main menu: addresses and labels.
const PLACES: [(&str, &str); 7] = [
    ("/", "Overview"),
    ("/snapshots", "Snapshots"),
    ("/library", "Library"),
    ("/restore", "Restore"),
    ("/jobs", "Activity"),
    ("/health", "Health"),
    ("/settings", "Settings"),
];

/// Whether a page can be opened without signing in.
pub fn is_open(path: &str) -> bool {
    path == "/login"
        || path == "/login/quick"
        || path == "/healthz"
        || path == "/theme"
        || path.starts_with("/setup/")
        || path.starts_with("/assets/")
}

/// A page for a signed-in user. A live page updates when something changes.
pub fn page(view: &View, title: &str, is_live: bool, main: Markup) -> Response {
    respond(view, title, is_live, true, main)
}

/// A page for a user who is not signed in.
pub fn bare_page(view: &View, title: &str, main: Markup) -> Response {
    respond(view, title, false, false, main)
}

/// The page that shows an error.
pub fn trouble(view: &View, oops: &Oops) -> Response {
    let main = html! {
        h1 { "This did not work" }
        div.card.state.bad {
            p.sentence { (parts::capital(&oops.what)) "." }
            p { (oops.todo) }
            @if view.session.is_some() { p { a.button href=(view.to("/")) { "Go to the overview" } } }
            @else { p { a.button href=(view.to("/login")) { "Sign in" } } }
        }
    };
    let is_in = view.session.is_some();
    (oops.status, respond(view, "This did not work", false, is_in, main)).into_response()
}

fn respond(view: &View, title: &str, is_live: bool, has_menu: bool, main: Markup) -> Response {
    let theme = (view.theme != Theme::Auto).then(|| view.theme.word());
    let events = (has_menu && is_live).then(|| view.to("/events"));
    let markup = html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] data-events=[events] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – jellyvault" }
                link rel="stylesheet" href=(view.to(&format!("/assets/{}", STYLE.name)));
                link rel="icon" type="image/svg+xml" href=(view.to(&format!("/assets/{}", ICON.name)));
                script type="module" src=(view.to(&format!("/assets/{}", SCRIPT.name))) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top { div {
                    a.brand href=(view.to("/")) { "jellyvault" }
                    @if has_menu { nav.main aria-label="Main" {
                        @for (path, name) in PLACES { a href=(view.to(path)) aria-current=[is_here(view, path).then_some("page")] { (name) } }
                    } }
                } }
                main #main tabindex="-1" data-live=[is_live.then_some("1")] { (main) }
                footer {
                    span { "jellyvault " (env!("CARGO_PKG_VERSION")) }
                    @if has_menu { span { "Times: " span data-zone="1" { (zone(view)) } } }
                    (theme_switch(view))
                    @if view.session.is_some() {
                        form.inline method="post" action=(view.to("/logout")) { (parts::token(view)) button { "Sign out" } }
                    }
                }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

/// The zone of the times, where no script shows them in the browser's.
fn zone(view: &View) -> String {
    let zone = &view.site.zone;
    zone.iana_name().map_or_else(|| view.now().strftime("UTC%:z").to_string(), str::to_owned)
}

fn is_here(view: &View, path: &str) -> bool {
    let own = view.path.as_str();
    let is_of_snapshots = path == "/snapshots" && own.starts_with("/compare");
    if path == "/" {
        own == "/"
    } else {
        own == path
            || own.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
            || is_of_snapshots
    }
}

fn theme_switch(view: &View) -> Markup {
    let other = match view.theme {
        Theme::Auto => [Theme::Light, Theme::Dark],
        Theme::Light => [Theme::Dark, Theme::Auto],
        Theme::Dark => [Theme::Light, Theme::Auto],
    };
    html! {
        @for theme in other {
            form.inline method="post" action=(view.to("/theme")) {
                (parts::token(view))
                input type="hidden" name="theme" value=(theme.word());
                input type="hidden" name="back" value=(view.back);
                button { @match theme { Theme::Auto => "Device colours", Theme::Light => "Light colours", Theme::Dark => "Dark colours" } }
            }
        }
    }
}
