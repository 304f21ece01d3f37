//! Rows and news of a database, for people and for programs.

use serde_json::{Map, Value as Json, json};

use crate::database::{Row, Table, TableChange, Value};
use crate::ops::{
    HIDDEN, News, RowsReport, Section, ToldRow, clean_name, is_harmless, is_plain, is_secret,
    main_database, without_secrets_in_addresses,
};

use super::super::render;

/// Longer texts are cut in what people read, in characters.
const SHOWN_CHARS: usize = 80;

/// What happened, in people's words, by section.
pub fn news_words(report: &RowsReport, named: usize) -> String {
    let mut out = String::new();
    let mut section = None;
    for news in &report.news {
        if section != Some(news.section) {
            section = Some(news.section);
            out.push_str(match news.section {
                Section::Library => "Library\n",
                Section::Users => "Users\n",
                Section::Server => "Server\n",
                Section::Upgrade => "Changed by the upgrade\n",
            });
        }
        out.push_str(&format!("  {}\n", news_line(news, named)));
    }
    out
}

fn news_line(news: &News, named: usize) -> String {
    let about = if news.about.is_empty() { String::new() } else { format!("{}: ", news.about) };
    if news.names.is_empty() {
        return format!("{about}{}", news.what);
    }
    let mut names = news.names.iter().take(named).cloned().collect::<Vec<_>>().join("; ");
    let more = news.count.saturating_sub(news.names.len().min(named) as u64);
    if more > 0 {
        names.push_str(&format!("; and {} more", render::count(more)));
    }
    format!("{about}{}: {names}", news.what)
}

/// Counts by table.
pub fn table_words(tables: &[TableChange]) -> String {
    let mut rows = vec![["TABLE", "NEW", "GONE", "CHANGED"].map(str::to_owned).to_vec()];
    rows.extend(tables.iter().filter(|table| table.added + table.removed + table.changed > 0).map(
        |table| {
            [
                vec![clean_name(&table.name)],
                [table.added, table.removed, table.changed].map(render::count).to_vec(),
            ]
            .concat()
        },
    ));
    render::table(&rows, &[1, 2, 3])
}

/// One row on a few lines.
pub fn row_words(row: &ToldRow<'_>, shows: Shows) -> String {
    let table = row.sides.table().map_or_else(String::new, |table| clean_name(&table.name));
    let secrets = Secrets::of(row, shows);
    let mark = match (&row.change.before, &row.change.after) {
        (None, _) => '+',
        (_, None) => '-',
        _ => '~',
    };
    let whose: Vec<String> = [row.user.clone(), row.item.clone()].into_iter().flatten().collect();
    let whose = if whose.is_empty() { String::new() } else { format!("  {}", whose.join(", ")) };
    let by = if row.by_upgrade { "  (by the upgrade)" } else { "" };
    let key: Vec<String> = key_of(row)
        .into_iter()
        .map(|(name, value)| format!("{name} {}", shown(&name, &value, &secrets)))
        .collect();
    let mut out = format!("{mark} {table} {}{whose}{by}\n", key.join(", "));
    for (name, before, after) in differing(row) {
        match (before, after) {
            (Some(before), Some(after)) => out.push_str(&format!(
                "    {name}: {} → {}\n",
                shown(name, before, &secrets),
                shown(name, after, &secrets)
            )),
            // Of a whole row what says nothing is left out.
            (Some(value), None) | (None, Some(value)) if !matches!(value, Value::Null) => {
                out.push_str(&format!("    {name}: {}\n", shown(name, value, &secrets)))
            }
            _ => {}
        }
    }
    out
}

/// Which values may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// All: the user asked for it.
    All,
    /// Those of the server's own database, whose columns are known, but for secrets.
    ButSecrets,
    /// Those of a database that nobody knows, where they are plainly none.
    OnlyPlain,
}

impl Shows {
    /// What is shown of a database.
    pub fn of(database: &[u8], shows_secrets: bool) -> Shows {
        match database {
            _ if shows_secrets => Shows::All,
            own if own == main_database() || own == super::LIBRARY_PATH => Shows::ButSecrets,
            own if OWN.contains(&own) => Shows::ButSecrets,
            _ => Shows::OnlyPlain,
        }
    }
}

/// Databases of servers before 10.11 beside the library's.
const OWN: [&[u8]; 4] = [
    b"data/users.db",
    b"data/authentication.db",
    b"data/displaypreferences.db",
    b"data/activitylog.db",
];

/// Which values of a row are secret: those of columns whose names say so, and what is named by a
/// text of the row that says so (a table of keys and values).
struct Secrets {
    is_named: bool,
    shows: Shows,
}

impl Secrets {
    fn of(row: &ToldRow<'_>, shows: Shows) -> Secrets {
        let sides = [
            row.sides.before.zip(row.change.before.as_ref()),
            row.sides.after.zip(row.change.after.as_ref()),
        ];
        let is_named = sides.into_iter().flatten().any(|(table, own)| {
            let names = table.columns.iter().zip(&own.values).filter(|(column, _)| {
                ["key", "name", "setting", "option", "property"]
                    .contains(&column.name.to_ascii_lowercase().as_str())
            });
            let has_values = table.columns.iter().any(|column| is_value_column(&column.name));
            has_values
                && names
                    .into_iter()
                    .any(|(_, value)| value.text().is_some_and(|text| is_secret(&text)))
        });
        Secrets { is_named, shows }
    }

    fn hide(&self, column: &str, value: &Value) -> bool {
        match self.shows {
            Shows::All => return false,
            Shows::OnlyPlain if !is_plain_cell(column, value) => return true,
            Shows::OnlyPlain | Shows::ButSecrets => {}
        }
        if let Some(text) = value.text().filter(|text| text.contains([':', '=', '{'])) {
            // A cell may hold settings of its own.
            let plain = without_secrets_in_addresses(&text);
            if ops_lines(&plain) != plain {
                return true;
            }
        }
        !matches!(value, Value::Null)
            && ((is_secret(column) && !is_harmless_value(column, value))
                || (self.is_named && is_value_column(column)))
    }
}

/// A text as the masker of files leaves it.
fn ops_lines(text: &str) -> String {
    crate::ops::lines_without_secrets("cell", text).join("\n")
}

fn is_harmless_value(column: &str, value: &Value) -> bool {
    match value {
        Value::Integer(number) => is_harmless(column, &number.to_string()),
        value => value.text().is_some_and(|text| is_harmless(column, &text)),
    }
}

/// Whether a cell of a database that nobody knows is plainly no secret: a number, a switch, a date,
/// a choice, or what things and people are called.
fn is_plain_cell(column: &str, value: &Value) -> bool {
    let Some(text) = value.text() else { return !matches!(value, Value::Blob(_)) };
    let lower = column.to_ascii_lowercase();
    let is_called = ["name", "title", "itemid", "userid"].iter().any(|end| lower.ends_with(end));
    is_called && !is_secret(column) || is_plain(column, &text)
}

fn is_value_column(column: &str) -> bool {
    ["value", "val", "data", "content"].contains(&column.to_ascii_lowercase().as_str())
}

fn shown(column: &str, value: &Value, secrets: &Secrets) -> String {
    if secrets.hide(column, value) {
        return HIDDEN.to_owned();
    }
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Integer(ticks @ 0..) if column.ends_with("Ticks") => {
            let seconds = ticks / 10_000_000;
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        Value::Integer(flag @ (0 | 1))
            if column.starts_with("Is") || ["Played", "Value"].contains(&column) =>
        {
            if *flag == 1 { "yes" } else { "no" }.to_owned()
        }
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => {
            let text = clean_name(&without_secrets_in_addresses(&String::from_utf8_lossy(text)));
            let cut: String = text.chars().take(SHOWN_CHARS).collect();
            if cut.len() < text.len() { format!("“{cut}…”") } else { format!("“{text}”") }
        }
        Value::Blob(bytes) => render::plural(bytes.len() as u64, "byte", "bytes"),
    }
}

/// The key of a row, by column.
fn key_of(row: &ToldRow<'_>) -> Vec<(String, Value)> {
    let side = row
        .sides
        .after
        .zip(row.change.after.as_ref())
        .or(row.sides.before.zip(row.change.before.as_ref()));
    let Some((table, row)) = side else { return Vec::new() };
    if table.key.is_empty() {
        return vec![("rowid".to_owned(), row.number.map_or(Value::Null, Value::Integer))];
    }
    table
        .key
        .iter()
        .filter_map(|at| Some((table.columns.get(*at)?.name.clone(), row.values.get(*at)?.clone())))
        .collect()
}

/// Columns that differ: name, before, after; all of a row that is new or gone.
fn differing<'a>(row: &'a ToldRow<'_>) -> Vec<(&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let all = |table: &'a Table, own: &'a Row| {
        table.columns.iter().zip(&own.values).map(|(column, value)| (column.name.as_str(), value))
    };
    match (row.sides.before, &row.change.before, row.sides.after, &row.change.after) {
        (Some(_), Some(before), Some(table), Some(after)) => {
            let pair = |(own, other): &(usize, usize)| {
                Some((
                    table.columns.get(*other)?.name.as_str(),
                    before.values.get(*own),
                    after.values.get(*other),
                ))
            };
            row.change.changed.iter().filter_map(pair).collect()
        }
        (Some(table), Some(before), _, None) => {
            all(table, before).map(|(name, value)| (name, Some(value), None)).collect()
        }
        (_, None, Some(table), Some(after)) => {
            all(table, after).map(|(name, value)| (name, None, Some(value))).collect()
        }
        _ => Vec::new(),
    }
}

/// A row for programs.
pub fn row_json(row: &ToldRow<'_>, shows: Shows) -> Json {
    let secrets = Secrets::of(row, shows);
    let change = match (&row.change.before, &row.change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let key: Map<String, Json> = key_of(row)
        .into_iter()
        .map(|(name, value)| (name.clone(), value_json(&name, &value, &secrets)))
        .collect();
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, own, other) in differing(row) {
        before.extend(own.map(|value| (name.to_owned(), value_json(name, value, &secrets))));
        after.extend(other.map(|value| (name.to_owned(), value_json(name, value, &secrets))));
    }
    let side =
        |there: bool, map: Map<String, Json>| if there { Json::Object(map) } else { Json::Null };
    json!({
        "table": row.sides.table().map(|table| &table.name), "change": change, "key": key,
        "before": side(row.change.before.is_some(), before), "after": side(row.change.after.is_some(), after),
        "by_upgrade": row.by_upgrade, "item": row.item, "user": row.user,
    })
}

fn value_json(column: &str, value: &Value, secrets: &Secrets) -> Json {
    if secrets.hide(column, value) {
        return json!(HIDDEN);
    }
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Text(text) => json!(without_secrets_in_addresses(&String::from_utf8_lossy(text))),
        Value::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(char::is_control) => json!(text),
            _ => {
                json!({"bytes": bytes.len(), "base64": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes.get(..1024).unwrap_or(bytes))})
            }
        },
    }
}

/// The report for programs, but for its rows.
pub fn report_json(report: &RowsReport) -> Json {
    let tables: Map<String, Json> = report
        .tables
        .iter()
        .map(|table| {
            let counts = json!({
                "added": table.added, "removed": table.removed, "changed": table.changed, "new_columns": table.new_columns, "gone_columns": table.gone_columns,
                "is_new": table.is_new, "is_gone": table.is_gone,
            });
            (table.name.clone(), counts)
        })
        .collect();
    let news: Vec<Json> =
        report.news.iter().map(|n| json!({"section": n.section.word(), "about": n.about, "what": n.what, "count": n.count, "names": n.names})).collect();
    json!({"tables": tables, "news": news, "upgraded": report.upgraded, "tables_read": report.tables_read})
}
