//! Is the repository intact? What the last check found, and how to repair damage.

use axum::response::Response;
use maud::{Markup, html};

use crate::figures::{count, size};
use crate::ops::Session;
use crate::service::Job;

use super::super::board::Shown;
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
                    p { "In a terminal, run " code { "jellyvault check" } " to see which files are affected, then " code { "jellyvault repair" } ". It repairs what it can from recovery blocks, other copies and the server's current files." }
                },
                Some(failed) => p { "The check could not be completed " (parts::when(&view, failed.began)) ": " (failed.words) },
                None => @match done { Some(done) => p { (parts::when(&view, done.began)) ": " (done.words) "." }, None => p { "No scheduled check has run yet." } }
            }
            (parts::action(&view, "/jobs", &[("job", "check")], "first", "Check now"))
        }
        (drill(&view, &shown))
        (below)
    };
    Ok(page(&view, "Health", true, main))
}

fn drill(view: &View, shown: &Shown) -> Markup {
    let (done, failed) = (shown.log.done.get(&Job::Drill), shown.log.open_failure(Job::Drill));
    html! {
        section.card.state.(match (done, failed) { (_, Some(failed)) if failed.is_damage => "bad", (_, Some(_)) => "attention", (Some(_), None) => "good", (None, None) => "" }) {
            h2 { "The last restore drill" }
            p.small { "Files chosen at random and the database are restored to a temporary directory, compared with the snapshot, and the database is checked." }
            @match (failed, done) {
                (Some(failed), _) => p { strong { "It failed " (parts::when(view, failed.began)) ". " } (failed.words) "." },
                (None, Some(done)) => p { (parts::when(view, done.began)) ": " (done.words) "." },
                (None, None) => p { "None was made yet." },
            }
            (parts::action(view, "/jobs", &[("job", "drill")], "", "Try a restore now"))
        }
    }
}

fn stored(session: &Session, view: &View) -> Result<Markup, Oops> {
    let catalog = session.catalog()?;
    let stats = session.stats(&catalog)?;
    let disk = rustix::fs::statvfs(&view.site.repository.folder).ok();
    let config = session.repository().config();
    Ok(html! {
        section.card {
            h2 { "The repository" }
            table {
                tbody {
                    tr { th { "Location" } td { code { (view.site.repository.folder.display()) } } }
                    tr { th { "Snapshots" } td { (count(catalog.snapshots.len() as u64)) } }
                    tr { th { "Stored data" } td { (size(stats.pack_bytes)) } }
                    @if let Some(disk) = disk { tr { th { "Free space on its disk" } td { (size(disk.f_bavail.saturating_mul(disk.f_frsize))) } } }
                    tr { th { "Recovery blocks" } td { @if config.parity_permille == 0 { "none, so damage can be repaired only from other copies" } @else { (f64::from(config.parity_permille) / 10.0) " % of each pack" } } }
                }
            }
        }
        @if !catalog.damaged.is_empty() { section.card.state.bad {
            h2 { "Snapshots that cannot be read" }
            p { "Damaged snapshot records: " (count(catalog.damaged.len() as u64)) ". Run " code { "jellyvault repair" } " to restore those that have a copy." }
        } }
    })
}
