//! Is the server protected? First the answer in one sentence, then what to do, then what happened.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use maud::{Markup, html};

use crate::figures::{count, size};
use crate::manifest::SnapshotRecord;
use crate::ops::{Session, Snapshot};
use crate::service::{Armed, Job, Level};

use super::super::board::{Far, Order, Shown};
use super::super::oops::Oops;
use super::super::posted::Posted;
use super::super::requests::read;
use super::super::stories::before;
use super::super::view::View;
use super::{login, page, parts};

/// Weeks of the calendar.
const WEEKS: i64 = 12;
/// Snapshots listed under “What happened”, at most.
const TOLD: usize = 10;
/// Newest snapshots that are searched for changes.
const LOOKED_THROUGH: usize = 200;

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let shown = view.site.board.shown();
    let below = match read(&view, below).await {
        Ok(below) => below,
        // The status above says why, and what to do.
        Err(oops) if shown.facts.away.is_some() => {
            html! { div.card { p { (parts::capital(&oops.what)) "." } } }
        }
        Err(oops) => return Err(oops),
    };
    let main = html! {
        h1 { "Overview" }
        (standing(&view, &shown))
        (armed(&view))
        (below)
        (next_runs(&view, &shown))
    };
    Ok(page(&view, "Overview", true, main))
}

/// A restore that waits for the next start of Jellyfin.
fn armed(view: &View) -> Markup {
    let order =
        Armed::read(&view.site.armed_file).order.filter(|order| !order.is_over(Timestamp::now()));
    html! {
        @if let Some(order) = order {
            section.card.state.attention {
                p { strong { "A restore is armed: it will run at the next start of Jellyfin." } " It was armed " (parts::when(view, order.since)) "." }
                pre tabindex="0" { code { "jellyvault " (order.arguments.join(" ")) } }
                (parts::action(view, "/restore/disarm", &[], "danger", "Cancel the armed restore"))
            }
        }
    }
}

fn standing(view: &View, shown: &Shown) -> Markup {
    let Some(standing) = &shown.standing else {
        return html! { div.card.state { p.sentence { "Reading the repository …" } } };
    };
    let (class, _) = parts::level(standing.level);
    html! {
        section.card.state.(class) aria-live="polite" {
            p.sentence { (standing.sentence) }
            @if !standing.reasons.is_empty() {
                ul.happened { @for reason in &standing.reasons { li { (parts::capital(&reason.what)) ". " strong { (reason.todo) } } } }
            }
            @match view.site.board.working() {
                Some(working) => (progress(view, working.job.name(), working.began, &working.far)),
                None => div.row {
                    (parts::action(view, "/jobs", &[("job", "snapshot")], "first", "Take a snapshot now"))
                    a.button href=(view.to("/snapshots")) { "All snapshots" }
                },
            }
        }
    }
}

/// The running job: what it is doing, how far it is, and the time left.
pub fn progress(view: &View, what: &str, began: Timestamp, far: &Far) -> Markup {
    let (done, all) = if far.bytes.1 > 0 { far.bytes } else { far.files };
    let seconds = began.duration_until(Timestamp::now()).as_secs().max(1).unsigned_abs();
    let rate = far.bytes.0 / seconds;
    let left = (rate > 0 && far.bytes.1 > far.bytes.0).then(|| (far.bytes.1 - far.bytes.0) / rate);
    html! {
        div.progress aria-live="polite" {
            p { strong { (parts::capital(what)) } ": " (far.phase) ", started " (parts::when(view, began)) ". "
                (count(far.files.0)) " files, " (size(far.bytes.0)) ", " (size(rate)) "/s"
                @if let Some(left) = left { ", about " (left) " seconds left" } "." }
            @if all > 0 { progress value=(done.min(all)) max=(all) aria-label="Progress" {} } @else { progress aria-label="Progress" {} }
        }
    }
}

fn below(session: &Session, view: &View) -> Result<Markup, Oops> {
    let all = session.snapshots()?;
    Ok(html! {
        div.grid {
            (happened(view, &all))
            section.card {
                h2 { "The last " (WEEKS) " weeks" }
                (calendar(view, &all))
                h2 { "Growth" }
                (growth(view, &all))
            }
        }
        br;
    })
}

fn happened(view: &View, all: &[Snapshot]) -> Markup {
    let told = all.iter().rev().take(LOOKED_THROUGH).filter_map(|after| {
        let told = view.site.stories.of(&after.0, &before(all, after)?.0)?;
        (!told.is_empty()).then_some((after, told))
    });
    let told: Vec<_> = told.take(TOLD).collect();
    html! {
        section.card {
            h2 { "What happened" }
            @if told.is_empty() { p.soft { "Nothing yet. This list shows what changed from one snapshot to the next." } }
            ul.plain { @for ((id, record), told) in told {
                li { a href=(view.to(&parts::snapshot_path(id))) { (parts::when(view, parts::taken(record))) } ": " (parts::in_short(&told, 3)) }
            } }
        }
    }
}

/// For each day with snapshots: the state of the best one, and how many there are.
fn days(view: &View, all: &[Snapshot]) -> BTreeMap<Date, (Level, u64)> {
    let mut days: BTreeMap<Date, (Level, u64)> = BTreeMap::new();
    for (_, record) in all {
        let day = parts::taken(record).to_zoned(view.site.zone.clone()).date();
        let own = if !record.is_complete() {
            Level::Bad
        } else if record.problem_count > 0 {
            Level::Attention
        } else {
            Level::Good
        };
        let entry = days.entry(day).or_insert((own, 0));
        // One good snapshot is enough for a good day.
        *entry = (entry.0.min(own), entry.1 + 1);
    }
    days
}

fn calendar(view: &View, all: &[Snapshot]) -> Markup {
    let days = days(view, all);
    let today = view.now().date();
    let monday =
        today.saturating_sub(Span::new().days(i64::from(today.weekday().to_monday_zero_offset())));
    let first = monday.saturating_sub(Span::new().weeks(WEEKS - 1));
    let cells: Vec<(i64, Date)> = (0..WEEKS * 7)
        .map(|number| (number, first.saturating_add(Span::new().days(number))))
        .filter(|(_, day)| *day <= today)
        .collect();
    let class = |day: &Date| days.get(day).map_or("none", |(level, _)| parts::level(*level).0);
    let words = |day: &Date| match days.get(day) {
        None => format!("{day}: no snapshot"),
        Some((level, number)) => format!(
            "{day}: {number} {}, {}",
            if *number == 1 { "snapshot" } else { "snapshots" },
            quality(*level)
        ),
    };
    let missing = cells.iter().filter(|(_, day)| !days.contains_key(day)).count();
    html! {
        svg.calendar viewBox=(format!("0 0 {} 116", WEEKS * 16)) role="img" aria-label=(format!("One square for each of the last {} days; {missing} of these days have no snapshot", cells.len())) {
            @for (number, day) in &cells {
                rect class=(class(day)) x=(number / 7 * 16) y=(number % 7 * 16 + 2) width="13" height="13" rx="3" { title { (words(day)) } }
            }
        }
        details { summary { "Show as a list" } ul.happened { @for (_, day) in cells.iter().rev().take(28) { li { (words(day)) } } } }
    }
}

fn quality(level: Level) -> &'static str {
    match level {
        Level::Good => "complete",
        Level::Attention => "with problems",
        Level::Bad => "incomplete",
    }
}

fn growth(view: &View, all: &[Snapshot]) -> Markup {
    let day_of =
        |record: &SnapshotRecord| parts::taken(record).to_zoned(view.site.zone.clone()).date();
    let mut sum = 0;
    let mut points: BTreeMap<Date, u64> = BTreeMap::new();
    for (_, record) in all {
        sum += record.bytes.new_stored;
        points.insert(day_of(record), sum);
    }
    let (Some((first, _)), Some((last, top))) = (points.first_key_value(), points.last_key_value())
    else {
        return html! { p.soft { "There is no snapshot yet." } };
    };
    if first == last {
        return html! { p.small { "The first day's snapshots added " (size(*top)) ". A chart appears here when there are snapshots from two days." } };
    }
    let days = i64::from((*last - *first).get_days()).max(1);
    let x = |day: &Date| i64::from((*day - *first).get_days()) * 360 / days;
    let y = |bytes: u64| 110 - u128::from(bytes) * 100 / u128::from((*top).max(1));
    let line: Vec<String> =
        points.iter().map(|(day, bytes)| format!("{},{}", x(day), y(*bytes))).collect();
    let free = rustix::fs::statvfs(&view.site.repository.folder)
        .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
        .ok();
    let before = points
        .range(..last.saturating_sub(Span::new().days(30)))
        .next_back()
        .map_or(0, |(_, bytes)| *bytes);
    let a_day = (top - before) / u64::try_from(days.min(30)).unwrap_or(1).max(1);
    html! {
        svg.growth viewBox="0 0 360 112" role="img" aria-label=(format!("Stored data grew to {} in {days} days", size(*top))) {
            polygon.area points=(format!("0,110 {} 360,110", line.join(" "))) {}
            polyline.edge points=(line.join(" ")) {}
        }
        p.small { "All snapshots together added " (size(*top)) ", about " (size(a_day)) " a day."
            @if let Some(free) = free { " The repository's disk has " (size(free)) " free"
                @if a_day > 0 && free / a_day < 3650 { ", enough for about " (count(free / a_day)) " days" } "." }
        }
        details { summary { "Show as a table" } table {
            thead { tr { th { "Day" } th.number { "Total added" } } }
            tbody { @for (day, bytes) in points.iter().rev().take(14) { tr { td { (day) } td.number { (size(*bytes)) } } } }
        } }
    }
}

fn next_runs(view: &View, shown: &Shown) -> Markup {
    html! {
        section.card {
            h2 { "Next runs" }
            @if shown.next.is_empty() { p { "No job is scheduled." } }
            ul.plain { @for (job, time) in &shown.next {
                li.row.between { span { (parts::capital(job.name())) ": " (parts::at(view, time.timestamp())) ", " (parts::when(view, time.timestamp())) } }
            } }
        }
    }
}

/// Runs a job now.
pub async fn order(view: View, posted: Posted) -> Result<Response, Oops> {
    let job = Job::ALL
        .into_iter()
        .find(|job| job.name() == posted.get("job"))
        .ok_or_else(|| Oops::bad("there is no such job"))?;
    if job.may_remove() {
        login::prove(&view, &posted).await?;
    }
    view.site.board.ask(job);
    let sent = view.site.orders.send(Order::Run(vec![job]));
    sent.map_err(|_| {
        Oops::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "the service is stopping",
            "Start the service, then try again.",
        )
    })?;
    Ok(Redirect::to(&view.to("/jobs")).into_response())
}
