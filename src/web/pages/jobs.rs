//! Activity: what is running, what ran, its output, and the command that does the same.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::figures::seconds;
use crate::service::{Armed, Job};

use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::run::Run;
use super::super::view::View;
use super::{overview, page, parts};

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let shown = view.site.board.shown();
    let working = view.site.board.working();
    let runs = view.site.runs.all();
    let main = html! {
        h1 { "Activity" }
        @if let Some(working) = &working { section.card { h2 { "Running now" } (overview::progress(&view, working.job.name(), working.began, &working.far)) } }
        section.card {
            h2 { "Scheduled jobs" }
            table.cards {
                thead { tr { th { "Job" } th { "Last result" } th { "Next" } th { "Now" } } }
                tbody { @for job in Job::ALL { (job_row(&view, &shown, job)) } }
            }
        }
        @if let Some(last) = Armed::read(&view.site.armed_file).last {
            section.card {
                h2 { "The last armed restore" }
                p { (parts::when(&view, last.ended)) ", " @if last.code == 0 { span.badge.good { "done" } } @else if last.code == 3 { span.badge.attention { "done, with problems" } } @else { span.badge.bad { "failed" } } }
                pre tabindex="0" { (last.words) }
            }
        }
        section.card {
            h2 { "Started from this page" }
            @if runs.is_empty() { p.soft { "Nothing so far." } }
            ul.plain { @for run in &runs { li.row.between {
                span { a href=(view.to(&format!("/jobs/{}", run.id))) { (run.title) } ", " (parts::when(&view, run.began)) }
                (badge(run))
            } } }
        }
    };
    Ok(page(&view, "Activity", true, main))
}

fn job_row(view: &View, shown: &super::super::board::Shown, job: Job) -> Markup {
    let (done, failed) = (shown.log.done.get(&job), shown.log.open_failure(job));
    html! {
        tr {
            td data-label="Job" { (parts::capital(job.name())) }
            td data-label="Last result" {
                span {
                    @if let Some(failed) = failed { span.badge.bad { "failed" } " " (parts::when(view, failed.began)) ": " (failed.words) br; }
                    @if shown.waiting.contains(&job) { span.badge.attention { "waiting" } " for its turn" br; }
                    @match done { Some(done) => { (parts::when(view, done.began)) ": " (done.words) " (" (seconds(done.took_ms)) ")" }, None => span.soft { "not run yet" } }
                }
            }
            td data-label="Next" { @match shown.next.iter().find(|(own, _)| *own == job) { Some((_, time)) => (parts::at(view, time.timestamp())), None => "not scheduled" } }
            td data-label="Now" {
                @if job == Job::Retention { a.button href=(view.to("/settings/retention")) { "See what it would remove" } }
                @else if job.may_remove() { (parts::proved_action(view, "/jobs", &[("job", job.name())], "", "Run now")) }
                @else { (parts::action(view, "/jobs", &[("job", job.name())], "", "Run now")) }
            }
        }
    }
}

fn badge(run: &Run) -> Markup {
    let (class, word) = match &run.outcome {
        None => ("attention", "running"),
        Some(_) if run.is_cancelled => ("attention", "cancelled"),
        Some(outcome) => match outcome.code {
            0 => ("good", "done"),
            3 => ("attention", "done, with problems"),
            _ => ("bad", "failed"),
        },
    };
    html! { span.badge.(class) { (word) } }
}

fn run_of(view: &View, id: &str) -> Result<Run, Oops> {
    let found = id.parse().ok().and_then(|id| view.site.runs.get(id));
    found.ok_or_else(|| Oops::not_found("there is no such job. Only the newest 100 are listed"))
}

/// One command that was started from the page.
pub async fn one(view: View, Path(id): Path<String>) -> Result<Response, Oops> {
    let run = run_of(&view, &id)?;
    let main = html! {
        h1 { (run.title) }
        div.row aria-live="polite" { (badge(&run)) span.soft { "Started " (parts::when(&view, run.began))
            @if let Some(outcome) = &run.outcome { ", took " (seconds(u64::try_from(run.began.duration_until(outcome.ended).as_millis()).unwrap_or(0))) } } }
        br;
        @match &run.outcome {
            Some(outcome) => section.card { @if outcome.words.trim().is_empty() { p.soft { "The command printed nothing." } } @else { pre tabindex="0" { (outcome.words) } } },
            None => {
                section.card { p { "It is running. This page updates by itself." } (overview::progress(&view, "running", run.began, &run.far)) }
                (parts::action(&view, &format!("/jobs/{}/cancel", run.id), &[], "danger", "Cancel this job"))
            }
        }
        (parts::command(&run.shown))
        p { a href=(view.to("/jobs")) { "All activity" } }
    };
    // Without JavaScript, the browser reloads the page every few seconds.
    let refresh =
        run.outcome.is_none().then_some([(axum::http::HeaderName::from_static("refresh"), "5")]);
    let shown = page(&view, &run.title, true, main);
    Ok(match refresh {
        Some(refresh) => (refresh, shown).into_response(),
        None => shown,
    })
}

/// Cancels a command.
pub async fn cancel(view: View, Path(id): Path<String>, _posted: Posted) -> Result<Response, Oops> {
    let run = run_of(&view, &id)?;
    view.site.runs.cancel(run.id);
    Ok(Redirect::to(&view.to(&format!("/jobs/{}", run.id))).into_response())
}
