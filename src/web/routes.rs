//! Which address leads where.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::guard::guard;
use super::oops::Oops;
use super::pages::{
    browse, compare, health, import, jobs, library, login, overview, quick, restore, settings,
    small_picture, snapshot, snapshots, upload,
};
use super::site::Site;
use super::{api, assets, events};

/// What programs may ask, sorted.
#[cfg(test)]
pub const API: [&str; 7] = [
    "/api/v1/jobs",
    "/api/v1/openapi.json",
    "/api/v1/snapshots",
    "/api/v1/snapshots/{snapshot}",
    "/api/v1/snapshots/{snapshot}/files",
    "/api/v1/snapshots/{snapshot}/happened",
    "/api/v1/status",
];

async fn nowhere() -> Oops {
    Oops::not_found("there is no such page")
}

/// All of them, behind the guard.
pub fn routes(site: Arc<Site>) -> Router {
    let own = pages().merge(programs()).fallback(nowhere).method_not_allowed_fallback(nowhere);
    let based = if site.settings.base.is_empty() {
        own
    } else {
        Router::new()
            .route(&format!("{}/", site.settings.base), get(overview::show))
            .nest(&site.settings.base, own.clone())
            .fallback_service(own)
    };
    based.layer(DefaultBodyLimit::max(256 << 10)).layer(from_fn_with_state(site, guard))
}

fn pages() -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/login", get(login::form).post(login::enter))
        .route("/login/quick", get(quick::show).post(quick::begin))
        .route("/logout", post(login::leave))
        .route("/accept-loss", post(snapshot::accept_loss))
        .route("/theme", post(login::theme))
        .route("/setup/{link}", get(login::first).post(login::set_first))
        .route("/assets/{name}", get(assets::asset))
        .route("/snapshots", get(snapshots::show))
        .route("/snapshots/{name}", get(snapshot::show))
        .route("/snapshots/{name}/keep", post(snapshot::keep))
        .route("/snapshots/{name}/forget", post(snapshot::forget))
        .route("/snapshots/{name}/browse", get(browse::top))
        .route("/snapshots/{name}/browse/", get(browse::top))
        .route("/snapshots/{name}/browse/{*path}", get(browse::below))
        .route("/snapshots/{name}/file/{*path}", get(browse::download))
        .route("/snapshots/{name}/picture/{*path}", get(browse::picture))
        .route("/snapshots/{name}/zip/", get(browse::zip_all))
        .route("/snapshots/{name}/zip/{*path}", get(browse::zip))
        .route("/snapshots/{name}/export/{kind}", get(restore::zip))
        .route("/pictures/{width}/{content}", get(small_picture::show))
        .route("/compare", get(compare::choose))
        .route("/compare/{from}/{to}", get(compare::show))
        .route("/library", get(library::show))
        .route("/library/{id}", get(library::item))
        .route("/restore", get(restore::show))
        .route("/restore/plan", post(restore::plan))
        .route("/restore/run", post(restore::run))
        .route("/restore/disarm", post(restore::disarm))
        .route("/export", get(restore::export))
        .route("/import", get(import::show).post(import::run))
        .route("/import/upload", post(upload::run))
        .route("/jobs", get(jobs::show).post(overview::order))
        .route("/jobs/{id}", get(jobs::one))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/health", get(health::show))
        .route("/settings", get(settings::show))
        .route("/settings/password", post(settings::set_password))
        .route("/settings/retention", get(settings::retention))
        .route("/settings/notify", post(settings::test_alarms))
        .route("/settings/sessions/{id}", post(settings::end_session))
        .route("/settings/tokens/{id}", post(settings::end_token))
        .route("/events", get(events::events))
}

fn programs() -> Router {
    Router::new()
        .route("/healthz", get(api::alive))
        .route("/metrics", get(api::metrics_text))
        .route("/api/v1/openapi.json", get(api::openapi))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/jobs", post(api::run))
        .route("/api/v1/snapshots", get(api::snapshots))
        .route("/api/v1/snapshots/{snapshot}", get(api::snapshot))
        .route("/api/v1/snapshots/{snapshot}/files", get(api::files))
        .route("/api/v1/snapshots/{snapshot}/happened", get(api::happened))
}
