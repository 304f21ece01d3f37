//! Settings: what is configured and where that is said, what retention would do, the password, and who is signed in.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Zoned;
use maud::{Markup, html};

use crate::figures::{short, size};
use crate::ops::{Forget, Monitor, Session};
use crate::service::{Job, Schedule};

use super::super::accounts::{PASSWORD_CHARS, Trouble};
use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::requests::read;
use super::super::view::View;
use super::{login, page, parts};

/// Runs that are told of each job.
const RUNS: usize = 5;

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let accounts = view.site.auth.accounts()?;
    let loaded = &view.site.loaded;
    let text = toml::to_string(&loaded.config.masked()).unwrap_or_else(|error| format!("# it cannot be shown: {error}"));
    let main = html! {
        h1 { "Settings" }
        section.card {
            h2 { "Schedule" }
            table.cards { thead { tr { th { "Job" } th { "Next runs" } } } tbody { @for job in Job::ALL { (runs(&view, job)) } } }
        }
        section.card {
            h2 { "Which snapshots stay" }
            p { "Rules keep snapshots; what no rule keeps is removed by the retention job. " a href=(view.to("/settings/retention")) { "Show what it would remove now" } "." }
        }
        section.card {
            h2 { "Configuration" }
            @match &loaded.file { Some(file) => p { "From " code { (file.display()) } ". Change the file, then restart the service." }, None => p { "There is no configuration file: everything has its usual value. " code { "jellyvault setup" } " writes one." } }
            @if !loaded.variables.is_empty() { p { "From the environment: " (loaded.variables.join(", ")) "." } }
            details { summary { "Show it" } pre tabindex="0" { (text) } }
        }
        (password(&view))
        section.card {
            h2 { "Signed in" }
            ul.plain { @for own in &accounts.sessions { li.row.between {
                span { (own.device) @if view.session.as_deref() == Some(own.id.as_str()) { " (this one)" } ", since " (parts::at(&view, own.since)) }
                (parts::action(&view, &format!("/settings/sessions/{}", own.id), &[], "", "Sign out"))
            } } }
            h2 { "Tokens of programs" }
            @if accounts.tokens.is_empty() { p.soft { "None. " code { "jellyvault web token NAME" } " makes one." } }
            ul.plain { @for token in &accounts.tokens { li.row.between {
                span { (token.name) ", since " (parts::at(&view, token.since)) }
                (parts::action(&view, &format!("/settings/tokens/{}", token.id), &[], "danger", "Remove"))
            } } }
        }
    };
    Ok(page(&view, "Settings", false, main))
}

fn runs(view: &View, job: Job) -> Markup {
    let schedule = view.site.loaded.config.schedule(job);
    let times: Vec<Zoned> = schedule.as_ref().map(|schedule| next(schedule, &view.now())).unwrap_or_default();
    html! { tr {
        td data-label="Job" { (parts::capital(job.name())) }
        td data-label="Next runs" { @if times.is_empty() { "switched off" } @for (number, time) in times.iter().enumerate() { @if number > 0 { ", " } (parts::at(view, time.timestamp())) } }
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
            @if view.site.auth.is_fixed() { p { "The configuration gives the password, so it is changed there." } }
            @else { details { summary { "Change the password" }
                form method="post" action=(view.to("/settings/password")) {
                    (parts::token(view))
                    label { "The present one" input type="password" name="password" autocomplete="current-password" required; }
                    label { "The new one, at least " (PASSWORD_CHARS.0) " characters" input type="password" name="new" autocomplete="new-password" required; }
                    button { "Change it and sign out everywhere" }
                }
            } }
        }
    }
}

/// Changes the password.
pub async fn set_password(view: View, posted: Posted) -> Result<Response, Oops> {
    if view.site.auth.is_fixed() {
        return Err(Oops::bad("the configuration gives the password"));
    }
    match view.site.auth.try_password(posted.get("password").to_owned(), view.address).await? {
        Ok(()) => {}
        Err(_) => return Err(Oops::bad("the present password is wrong, so nothing was changed")),
    }
    let (site, new) = (view.site.clone(), posted.get("new").to_owned());
    let set = tokio::task::spawn_blocking(move || site.auth.change(|accounts| accounts.set_password(&new))).await;
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
pub async fn end_session(view: View, Path(id): Path<String>, _posted: Posted) -> Result<Response, Oops> {
    view.site.auth.change(|accounts| {
        accounts.sessions.retain(|own| own.id != id);
        Ok(())
    })?;
    Ok(Redirect::to(&view.to("/settings")).into_response())
}

/// Takes a token away.
pub async fn end_token(view: View, Path(id): Path<String>, posted: Posted) -> Result<Response, Oops> {
    if view.session.is_none() {
        login::prove(&view, &posted).await?;
    }
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
    let policy = view.site.loaded.config.policy().map_err(|error| Oops::bad(error.to_string()))?;
    let catalog = session.catalog()?;
    let plan = session.plan_forget(&catalog, &Forget::By(policy), &view.site.zone, &Monitor::default())?;
    let gone = plan.dropped();
    let reasons = |id| plan.verdicts.iter().find(|verdict| verdict.id == id).map(|verdict| verdict.reasons.join(", ")).unwrap_or_default();
    Ok(html! {
        h1 { "What retention would remove now" }
        p { @if gone.is_empty() { "Nothing: a rule keeps each snapshot." } @else {
            (gone.len()) " of " (catalog.snapshots.len()) " snapshots" @if let Some(bytes) = plan.would_free { ", which frees " (size(bytes)) } "." } }
        section.card { table.cards {
            thead { tr { th { "Snapshot" } th { "Stays or goes" } th { "Kept by" } } }
            tbody { @for (id, record) in catalog.snapshots.iter().rev() { tr {
                td data-label="Snapshot" { a href=(view.to(&parts::snapshot_path(id))) { (parts::at(view, parts::taken(record))) } " " code { (short(id)) } }
                td data-label="Stays or goes" { @if gone.contains(id) { span.badge.bad { "goes" } } @else { span.badge.good { "stays" } } }
                td data-label="Kept by" { (reasons(*id)) }
            } } }
        } }
        (parts::action(view, "/jobs", &[("job", "retention")], "danger", "Remove them now"))
    })
}
