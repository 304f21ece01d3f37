//! What is said of a user: what they set, and what they did with an item.

use super::facts::{UserNews, WatchNews};
use super::kinds;

/// What a user set, or an administrator for them.
pub(super) fn settings(user: &UserNews, add: &mut impl FnMut(String, u64)) {
    if let Some(old) = &user.renamed_from {
        add(format!("renamed from {old}"), 1);
    }
    if user.password {
        add("password changed".to_owned(), 1);
    }
    match &user.avatar {
        (None, Some(_)) => add("new profile picture".to_owned(), 1),
        (Some(_), None) => add("profile picture removed".to_owned(), 1),
        (Some(before), Some(after)) if before != after => {
            add("profile picture changed".to_owned(), 1)
        }
        _ => {}
    }
    let yes_no =
        |value: &Option<bool>| value.map_or("unset", |value| if value { "yes" } else { "no" });
    for (kind, (before, after)) in
        user.permissions.iter().filter(|(_, (before, after))| before != after)
    {
        add(
            format!("{}: {} → {}", kinds::permission_word(*kind), yes_no(before), yes_no(after)),
            1,
        );
    }
    for (kind, (before, after)) in &user.preferences {
        if before.as_deref().unwrap_or_default() != after.as_deref().unwrap_or_default() {
            add(format!("{} changed", kinds::preference_word(*kind)), 1);
        }
    }
    if !user.settings.is_empty() {
        let names: Vec<String> = user.settings.iter().map(|column| spaced(column)).collect();
        add(format!("settings changed: {}", names.join(", ")), names.len() as u64);
    }
    if user.schedules > 0 {
        add("access schedule changed".to_owned(), user.schedules);
    }
    if user.display > 0 {
        add(
            format!("display settings changed ({})", counted(user.display, ("view", "views"))),
            user.display,
        );
    }
    if user.signed_in {
        add("signed in".to_owned(), 1);
    } else if user.was_active {
        add("was active".to_owned(), 1);
    }
}

/// What is said of one item and of several; the place is the number.
pub(super) const WATCH_WORDS: [(&str, &str); 9] = [
    ("newly watched", "newly watched"),
    ("no longer watched", "no longer watched"),
    ("newly a favourite", "newly favourites"),
    ("no longer a favourite", "no longer favourites"),
    ("with a new position", "with a new position"),
    ("reset to the beginning", "reset to the beginning"),
    ("with a new rating", "with a new rating"),
    ("played again", "played again"),
    ("with other audio or subtitles", "with other audio or subtitles"),
];

pub(super) fn watch_words(news: &WatchNews) -> Vec<usize> {
    let (before, after) = (news.before.unwrap_or_default(), news.after.unwrap_or_default());
    let mut words = Vec::new();
    if after.played != before.played {
        words.push(if after.played { 0 } else { 1 });
    }
    if after.favourite != before.favourite {
        words.push(if after.favourite { 2 } else { 3 });
    }
    // Whoever saw the end has no position; that goes without saying.
    if after.position != before.position && !(after.played && !before.played && after.position == 0)
    {
        words.push(if after.position == 0 { 5 } else { 4 });
    }
    if (after.rating, after.likes) != (before.rating, before.likes) {
        words.push(6);
    }
    if after.count > before.count && after.played && before.played {
        words.push(7);
    }
    if after.streams != before.streams {
        words.push(8);
    }
    words
}

/// "1 film", "12 films".
pub(super) fn counted(count: u64, (one, several): (&str, &str)) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// `HidePlayedInLatest` as "hide played in latest".
fn spaced(column: &str) -> String {
    let mut out = String::new();
    for c in column.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}
