//! Is what is stored well? What checks read, what was found, and how to mend it.

use axum::response::Response;
use maud::{Markup, html};

use crate::figures::{count, size};
use crate::ops::Session;
use crate::service::Job;

use super::super::oops::Oops;
use super::super::requests::read;
use super::super::view::View;
use super::{page, parts};

/// The page.
pub async fn show(view: View) -> Result<Response, Oops> {
    let below = read(&view, stored).await?;
    let shown = view.site.board.shown();
    let (done, failed) = (shown.log.done.get(&Job::Check), shown.log.open_failure(Job::Check));
    let main = html! {
        h1 { "Health" }
        section.card.state.(match (done, failed) { (_, Some(failed)) if failed.is_damage => "bad", (_, Some(_)) => "attention", (Some(_), None) => "good", (None, None) => "" }) {
            h2 { "The last check" }
            @match failed {
                Some(failed) if failed.is_damage => {
                    p { strong { "Damage was found " (parts::when(&view, failed.began)) ". " } (failed.words) }
                    p { "In a terminal: " code { "jellyvault check" } " says which files are hit, " code { "jellyvault repair" } " mends what can be mended: from recovery blocks, other copies and the server's own files." }
                },
                Some(failed) => p { "It could not be done " (parts::when(&view, failed.began)) ": " (failed.words) },
                None => @match done { Some(done) => p { (parts::when(&view, done.began)) ": " (done.words) "." }, None => p { "No check was made by the schedule yet." } }
            }
            (parts::action(&view, "/jobs", &[("job", "check")], "first", "Check now"))
        }
        (below)
    };
    Ok(page(&view, "Health", true, main))
}

fn stored(session: &Session, view: &View) -> Result<Markup, Oops> {
    let catalog = session.catalog()?;
    let stats = session.stats(&catalog)?;
    let disk = rustix::fs::statvfs(&view.site.repository).ok();
    let config = session.repository().config();
    Ok(html! {
        section.card {
            h2 { "The repository" }
            table {
                tbody {
                    tr { th { "Where" } td { code { (view.site.repository.display()) } } }
                    tr { th { "Snapshots" } td { (count(catalog.snapshots.len() as u64)) } }
                    tr { th { "Stored" } td { (size(stats.pack_bytes)) } }
                    @if let Some(disk) = disk { tr { th { "Free on its disk" } td { (size(disk.f_bavail.saturating_mul(disk.f_frsize))) } } }
                    tr { th { "Recovery blocks" } td { @if config.parity_permille == 0 { "none: damage can be mended from other copies only" } @else { (f64::from(config.parity_permille) / 10.0) " % of each pack" } } }
                }
            }
        }
        @if !catalog.damaged.is_empty() { section.card.state.bad {
            h2 { "Snapshots that cannot be read" }
            p { (count(catalog.damaged.len() as u64)) " records are damaged. " code { "jellyvault repair" } " brings back what has a copy." }
        } }
    })
}
