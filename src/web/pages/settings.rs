//! Settings: the configuration and where it comes from, what retention would remove, the password,
//! and the devices that are signed in.

use std::ffi::OsString;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Zoned;
use maud::{Markup, html};

use crate::figures::{short, size};
use crate::ops::{Forget, Monitor, Session};
use crate::service::{Job, Schedule, retention_words};

use super::super::accounts::{PASSWORD_CHARS, Trouble};
use super::super::auth::Refusal;
use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::requests::read;
use super::super::view::View;
use super::{login, page, parts};

/// Next runs shown of each job.
const RUNS: usize = 5;

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let accounts = view.site.auth.accounts()?;
    let loaded = &view.site.loaded;
    let text = toml::to_string(&loaded.config.masked())
        .unwrap_or_else(|error| format!("# the configuration cannot be shown: {error}"));
    let main = html! {
        h1 { "Settings" }
        section.card {
            h2 { "Schedule" }
            table.cards { thead { tr { th { "Job" } th { "Next runs" } } } tbody { @for job in Job::ALL { (runs(&view, job)) } } }
        }
        section.card {
            h2 { "Retention" }
            @if let Ok(policy) = loaded.config.retention.policy() {
                p { "The retention job keeps, of each server:" }
                ul { @for sentence in retention_words(&policy) { li { (sentence) } } }
            }
            p { "It removes every other snapshot. " a href=(view.to("/settings/retention")) { "Show what it would remove now" } "." }
        }
        (alarms(&view))
        section.card {
            h2 { "Configuration" }
            @match &loaded.file { Some(file) => p { "The settings come from " code { (file.display()) } ". To change them, edit the file, then restart the service." }, None => p { "There is no configuration file, so the defaults apply. " code { "jellyvault setup" } " writes one." } }
            @if !loaded.variables.is_empty() { p { "Set in the environment: " (loaded.variables.join(", ")) "." } }
            details { summary { "Show the configuration" } pre tabindex="0" { (text) } }
        }
        (password(&view))
        section.card {
            h2 { "Signed-in devices" }
            ul.plain { @for own in &accounts.sessions { li.row.between {
                span { (own.device) @if view.session.as_deref() == Some(own.id.as_str()) { " (this one)" } ", since " (parts::at(&view, own.since)) }
                (parts::action(&view, &format!("/settings/sessions/{}", own.id), &[], "", "Sign this device out"))
            } } }
            h2 { "Tokens for programs" }
            @if accounts.tokens.is_empty() { p.soft { "There is no token. To make one, run " code { "jellyvault web token NAME" } "." } }
            ul.plain { @for token in &accounts.tokens { li.row.between {
                span { (token.name) ", since " (parts::at(&view, token.since)) }
                (parts::proved_action(&view, &format!("/settings/tokens/{}", token.id), &[], "danger", "Remove this token"))
            } } }
        }
    };
    Ok(page(&view, "Settings", false, main))
}

fn alarms(view: &View) -> Markup {
    let notify = &view.site.loaded.config.notify;
    let destinations = notify.destinations();
    html! { section.card {
        h2 { "Alarms" }
        @if !destinations.is_empty() {
            p { "Sent to:" }
            ul { @for one in &destinations { li { code { (one) } } } }
        }
        @if notify.is_empty() {
            p { "No alarm is sent if something goes wrong. Add an address to the section [notify] of the configuration file, for example " code { "ntfy = \"https://ntfy.sh/my-topic\"" } ", then restart the service." }
        } @else {
            (parts::action(view, "/settings/notify", &[], "", "Send a test"))
        }
    } }
}

/// Sends a test alarm to every destination.
pub async fn test_alarms(view: View, _posted: Posted) -> Result<Response, Oops> {
    let arguments = ["notify", "test"].map(OsString::from);
    let run = view.site.runs.start("Send a test of the alarms".to_owned(), &arguments)?;
    Ok(Redirect::to(&view.to(&format!("/jobs/{run}"))).into_response())
}

fn runs(view: &View, job: Job) -> Markup {
    let schedule = view.site.loaded.config.schedule(job);
    let times: Vec<Zoned> =
        schedule.as_ref().map(|schedule| next(schedule, &view.now())).unwrap_or_default();
    html! { tr {
        td data-label="Job" { (parts::capital(job.name())) }
        td data-label="Next runs" { @if times.is_empty() { "not scheduled" } @for (number, time) in times.iter().enumerate() { @if number > 0 { ", " } (parts::at(view, time.timestamp())) } }
    } }
}

fn next(schedule: &Schedule, now: &Zoned) -> Vec<Zoned> {
    let mut times: Vec<Zoned> = Vec::new();
    while times.len() < RUNS
        && let Some(time) = schedule.next(times.last().unwrap_or(now))
    {
        times.push(time);
    }
    times
}

fn password(view: &View) -> Markup {
    html! {
        section.card {
            h2 { "Password" }
            @if view.site.auth.is_fixed() { p { "The password is set in the configuration. Change it there, then restart the service." } }
            @else { details { summary { "Change the password" }
                form method="post" action=(view.to("/settings/password")) {
                    (parts::token(view))
                    label { "Current password" input type="password" name="password" autocomplete="current-password" required; }
                    label { "New password, at least " (PASSWORD_CHARS.0) " characters" input type="password" name="new" autocomplete="new-password" required; }
                    button { "Change the password and sign out everywhere" }
                }
            } }
        }
    }
}

/// Changes the password.
pub async fn set_password(view: View, posted: Posted) -> Result<Response, Oops> {
    if view.site.auth.is_fixed() {
        return Err(Oops::bad(
            "the password is set in the configuration, so it cannot be changed here",
        ));
    }
    match view.site.auth.try_password(posted.get("password").to_owned(), view.address).await? {
        Ok(()) => {}
        Err(Refusal::Wrong) => {
            return Err(Oops::bad("the current password is wrong, so nothing was changed"));
        }
        Err(Refusal::Wait(seconds)) => {
            return Err(Oops::bad(format!(
                "too many wrong passwords, so nothing was changed. Wait {seconds} seconds"
            )));
        }
    }
    let (site, new) = (view.site.clone(), posted.get("new").to_owned());
    let set = tokio::task::spawn_blocking(move || {
        site.auth.change(|accounts| accounts.set_password(&new))
    })
    .await;
    match set {
        Ok(Err(trouble @ Trouble::Length)) => Err(Oops::bad(trouble.to_string())),
        Ok(set) => {
            set?;
            Ok(Redirect::to(&view.to("/login")).into_response())
        }
        Err(_) => Err(Oops::bad("the password could not be set")),
    }
}

/// Signs a device out.
pub async fn end_session(
    view: View,
    Path(id): Path<String>,
    _posted: Posted,
) -> Result<Response, Oops> {
    view.site.auth.change(|accounts| {
        accounts.sessions.retain(|own| own.id != id);
        Ok(())
    })?;
    Ok(Redirect::to(&view.to("/settings")).into_response())
}

/// Removes a token.
pub async fn end_token(
    view: View,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Oops> {
    login::prove(&view, &posted).await?;
    view.site.auth.change(|accounts| {
        accounts.tokens.retain(|own| own.id != id);
        Ok(())
    })?;
    Ok(Redirect::to(&view.to("/settings")).into_response())
}

/// What retention would remove now, and what that would free.
pub async fn retention(view: View) -> Result<Response, Oops> {
    let main = read(&view, preview).await?;
    Ok(page(&view, "What retention would remove", false, main))
}

fn preview(session: &Session, view: &View) -> Result<Markup, Oops> {
    let policy =
        view.site.loaded.config.retention.policy().map_err(|error| Oops::bad(error.to_string()))?;
    let catalog = session.catalog()?;
    let plan =
        session.plan_forget(&catalog, &Forget::By(policy), &view.site.zone, &Monitor::default())?;
    let gone = plan.dropped();
    let reasons = |id| {
        plan.verdicts
            .iter()
            .find(|verdict| verdict.id == id)
            .map(|verdict| verdict.reasons.join(", "))
            .unwrap_or_default()
    };
    Ok(html! {
        h1 { "What retention would remove now" }
        p { @if gone.is_empty() { "Nothing: a rule keeps each snapshot." } @else {
            (gone.len()) " of " (catalog.snapshots.len()) " snapshots" @if let Some(bytes) = plan.would_free { ", which would free " (size(bytes)) } "." } }
        section.card { table.cards {
            thead { tr { th { "Snapshot" } th { "Result" } th { "Kept by" } } }
            tbody { @for (id, record) in catalog.snapshots.iter().rev() { tr {
                td data-label="Snapshot" { a href=(view.to(&parts::snapshot_path(id))) { (parts::at(view, parts::taken(record))) } " " code { (short(id)) } }
                td data-label="Result" { @if gone.contains(id) { span.badge.bad { "removed" } } @else { span.badge.good { "kept" } } }
                td data-label="Kept by" { (reasons(*id)) }
            } } }
        } }
        form method="post" action=(view.to("/jobs")) {
            (parts::token(view)) (parts::proof(view))
            input type="hidden" name="job" value="retention";
            button.danger { "Run the retention job now" }
        }
    })
}
