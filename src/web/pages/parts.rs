//! Small parts of pages: times, states, forms, what happened.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::figures::{count, moment, short};
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::ops::{Happened, NewsLine, files_in_short};
use crate::service::{Level, age};

use super::super::view::View;

/// The text with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A moment: how long ago, with the exact time beside it.
pub fn when(view: &View, time: Timestamp) -> Markup {
    let exact = time.to_zoned(view.site.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let now = Timestamp::now();
    let words = if time > now {
        format!("in {}", age(now, time))
    } else {
        format!("{} ago", age(time, now))
    };
    html! { time datetime=(time.to_string()) title=(exact) { (words) } }
}

/// A moment as date and time.
pub fn at(view: &View, time: Timestamp) -> Markup {
    let words = time.to_zoned(view.site.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    html! { time datetime=(time.to_string()) data-at="date" { (words) } }
}

/// A moment as the time of its day.
pub fn clock(view: &View, time: Timestamp) -> Markup {
    let words = time.to_zoned(view.site.zone.clone()).strftime("%H:%M").to_string();
    html! { time datetime=(time.to_string()) data-at="clock" { (words) } }
}

/// When a snapshot was taken.
pub fn taken(record: &SnapshotRecord) -> Timestamp {
    moment(record.time_ns)
}

/// The style class and the label of a level.
pub fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Good => ("good", "Protected"),
        Level::Attention => ("attention", "Needs attention"),
        Level::Bad => ("bad", "Not protected"),
    }
}

/// The hidden token that each form carries, so that no other web page can send it.
pub fn token(view: &View) -> Markup {
    html! { @if view.session.is_some() { input type="hidden" name="token" value=(view.form_token()); } }
}

/// A password field, unless the password was entered recently. For forms that remove or overwrite
/// something.
pub fn proof(view: &View) -> Markup {
    html! {
        @if !view.is_proved() {
            label { "Your password, to confirm:"
                input type="password" name="password" autocomplete="current-password" required;
            }
        }
    }
}

/// A button that sends a form with these hidden fields.
pub fn action(
    view: &View,
    path: &str,
    fields: &[(&str, &str)],
    class: &str,
    words: &str,
) -> Markup {
    form(view, path, fields, html! { button class=(class) { (words) } })
}

/// The same for what needs the password, if it was not entered recently.
pub fn proved_action(
    view: &View,
    path: &str,
    fields: &[(&str, &str)],
    class: &str,
    words: &str,
) -> Markup {
    form(view, path, fields, html! { (proof(view)) button class=(class) { (words) } })
}

fn form(view: &View, path: &str, fields: &[(&str, &str)], rest: Markup) -> Markup {
    html! {
        form.inline method="post" action=(view.to(path)) {
            (token(view))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            (rest)
        }
    }
}

/// The address of a snapshot's page.
pub fn snapshot_path(id: &SnapshotId) -> String {
    format!("/snapshots/{}", short(id))
}

/// A command as it is typed in a terminal.
pub fn command(shown: &str) -> Markup {
    html! { details { summary { "Do the same in a terminal" } pre { code { (shown) } } } }
}

/// What happened, in one line: the first changes, and the number of the others.
pub fn in_short(happened: &Happened, most: usize) -> String {
    let mut words = happened.lines();
    let more = words.len().saturating_sub(most);
    words.truncate(most);
    if more > 0 {
        words.push(format!("and {} more", count(more as u64)));
    }
    if words.is_empty() { "nothing changed".to_owned() } else { words.join("; ") }
}

/// What happened, in full.
pub fn in_full(happened: &Happened) -> Markup {
    let sections = [
        ("library", "Library"),
        ("users", "Users"),
        ("server", "Server"),
        ("upgrade", "Changed by the upgrade"),
    ];
    html! {
        @if let Some((before, after)) = &happened.version { p { strong { "The server's version changed from " (before) " to " (after) "." } } }
        @for (section, title) in sections {
            @let lines: Vec<&NewsLine> = happened.news.iter().filter(|line| line.section == section).collect();
            @if !lines.is_empty() { h3 { (title) } ul.happened { @for line in lines { li { (line_in_full(line)) } } } }
        }
        @if !happened.settings.is_empty() {
            h3 { "Settings" }
            ul.happened { @for line in &happened.settings {
                li { (line.file) ": " (line.name) ": " (value(line.before.as_deref())) " → " (value(line.after.as_deref())) }
            } }
        }
        @if !happened.files.is_empty() {
            h3 { "Files" }
            ul.happened { @for files in &happened.files { li { (files_in_short(files)) } } }
        }
        @if happened.is_empty() { p { "Nothing changed." } }
    }
}

fn line_in_full(line: &NewsLine) -> String {
    let about = if line.about.is_empty() { String::new() } else { format!("{}: ", line.about) };
    let more = line.count.saturating_sub(line.names.len() as u64);
    let names = match (line.names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(": {}", line.names.join("; ")),
        (false, more) => format!(": {}; and {} more", line.names.join("; "), count(more)),
    };
    format!("{about}{}{names}", line.what)
}

fn value(value: Option<&str>) -> String {
    value.map_or_else(
        || "not set".to_owned(),
        |value| if value.is_empty() { "empty".to_owned() } else { value.to_owned() },
    )
}
