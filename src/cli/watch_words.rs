//! What became of a user's watch state, in words.

use crate::ops::WatchStateReport;

use super::render;

/// Items that are named without `--verbose`.
const SHOWN: usize = 50;

/// The answer of a restore of watch state. `target` are the directories that were named, for the
/// command that undoes it.
pub fn watch_words(
    report: &WatchStateReport,
    id: &str,
    dry_run: bool,
    verbose: bool,
    (jellyvault, target): &(String, String),
) -> String {
    let mut out = String::new();
    if let Some(safety) = &report.safety {
        out.push_str(&format!(
            "Took snapshot {} of the database before the change. To undo: {jellyvault} restore {0} --in-place --only database{target}\n",
            render::short(safety)
        ));
    }
    let would = if dry_run { "would be" } else { "is" };
    out.push_str(&format!(
        "Watch state of {} {would} restored from snapshot {id}: {} changed, {} already up to date.\n",
        report.user,
        render::plural(report.changed.len() as u64, "item", "items"),
        render::count(report.unchanged)
    ));
    let shown = if verbose { usize::MAX } else { SHOWN };
    let said =
        |state: &Option<String>| state.clone().unwrap_or_else(|| "no watch state".to_owned());
    for item in report.changed.iter().take(shown) {
        out.push_str(&format!("  {}: {} → {}\n", item.name, said(&item.before), said(&item.after)));
    }
    if report.changed.len() > shown {
        out.push_str(&format!(
            "  … and {} more (--verbose shows them)\n",
            render::count((report.changed.len() - shown) as u64)
        ));
    }
    if let Some(why) = &report.must_stop {
        out.push_str(&format!("Stop Jellyfin before you do this: {why}.\n"));
    }
    if report.found_again > 0 {
        let items = render::plural(report.found_again, "item has", "items have");
        out.push_str(&format!("{items} a different id than in the snapshot, because the file was moved. Found by name, series and number instead.\n"));
    }
    if !report.put_aside.is_empty() {
        let count = report.put_aside.len() as u64;
        let names = report.put_aside.iter().take(10).cloned().collect::<Vec<_>>().join("; ");
        let more = if count > 10 { "; …" } else { "" };
        out.push_str(&format!(
            "{} from the snapshot {} not in the library now. The watch state {would} stored for later, as Jellyfin does: {names}{more}\n",
            render::plural(count, "item", "items"),
            if count == 1 { "is" } else { "are" }
        ));
    }
    out
}
