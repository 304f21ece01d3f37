//! A playlist or a collection, made again or completed through the running server.

use std::collections::BTreeSet;

use serde_json::json;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::ops::{
    Error, Id, InstanceTarget, ListKind, ListNow, SavedList, cat, list_now, saved_list,
};
use crate::progress::{Monitor, Problem};
use crate::store::Repository;

use super::address::encoded;
use super::client::Sent;
use super::error::{ServerError, ThroughError};
use super::jellyfin::{Jellyfin, written};

/// Ids in one address: servers and proxies take addresses of some thousand bytes.
const IDS_A_REQUEST: usize = 50;
/// Entries that are asked for at once.
const PAGE: usize = 200;
/// Entries that are asked for in all.
const ENTRIES_MAX: usize = 100_000;

/// How.
#[derive(Clone, Copy, Debug)]
pub struct ListOptions<'a> {
    /// Playlist or collection.
    pub kind: ListKind,
    /// Its name or id.
    pub name: &'a str,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
    /// The user wants a list of another server.
    pub other_server: bool,
}

/// What came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListReport {
    /// Playlist or collection.
    pub kind: ListKind,
    /// Its name.
    pub name: String,
    /// Whose playlist it is.
    pub owner: Option<String>,
    /// Its id on the server; nothing after a dry run that would make it.
    pub id: Option<String>,
    /// It was not there, and was made.
    pub created: bool,
    /// Entries that were added.
    pub added: Vec<String>,
    /// Entries that were in it already.
    pub present: usize,
    /// Entries that are not in the library now, and were left out.
    pub missing: Vec<String>,
    /// It got its cover.
    pub cover: bool,
    /// Nothing was changed: what is told would be done.
    pub dry_run: bool,
    /// What is not as in the snapshot.
    pub problems: Vec<Problem>,
}

/// Makes a list of a snapshot again, or adds the entries that it lacks.
///
/// # Errors
/// [`ThroughError`]; nothing was changed unless it says otherwise.
pub fn restore_list(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    (jellyfin, options): (&Jellyfin, ListOptions<'_>),
    monitor: &Monitor,
) -> Result<ListReport, ThroughError> {
    jellyfin.require_changes()?;
    let list = saved_list(repository, from, options.kind, options.name)?;
    let now = list_now(repository, from, (target, &list), options.other_server, monitor)?;
    let owner = owner_of(&list, &now)?;
    let current: BTreeSet<Id> = now
        .standing
        .map_or(Ok(Vec::new()), |id| jellyfin.entries(list.kind, id, owner))?
        .into_iter()
        .collect();
    let mut report = plan(&list, &now, &current, options.dry_run);
    let wanted: Vec<Id> = list
        .entries
        .iter()
        .filter_map(|entry| entry.id.filter(|id| now.there.contains(id) && !current.contains(id)))
        .collect();
    let needs_cover = match now.standing {
        Some(id) => !jellyfin.pictures(id)?.iter().any(|picture| picture.kind == "Primary"),
        None => true,
    };
    let cover = list.cover.as_ref().filter(|_| needs_cover);
    report.cover = cover.is_some();
    if options.dry_run {
        return Ok(report);
    }
    // What cannot be read of the snapshot is told before anything is made.
    let mut picture = Vec::new();
    cover.map_or(Ok(0), |path| cat(repository, from, path, &mut picture))?;
    let id = match now.standing {
        Some(id) => id,
        None => jellyfin.create(
            &list,
            owner,
            wanted.get(..IDS_A_REQUEST.min(wanted.len())).unwrap_or_default(),
        )?,
    };
    report.id = Some(written(id));
    let rest = if now.standing.is_some() {
        wanted.as_slice()
    } else {
        wanted.get(IDS_A_REQUEST..).unwrap_or_default()
    };
    let done = complete(jellyfin, (&list, id, owner), rest, &mut report, &picture);
    done.map_err(|source| ThroughError::List {
        what: list.kind.word(),
        name: list.name.clone(),
        was_made: report.created,
        source: Box::new(source),
    })?;
    Ok(report)
}

/// Adds entries and the cover, and looks whether the server has them all.
fn complete(
    jellyfin: &Jellyfin,
    (list, id, owner): (&SavedList, Id, Option<Id>),
    rest: &[Id],
    report: &mut ListReport,
    picture: &[u8],
) -> Result<(), ServerError> {
    for ids in rest.chunks(IDS_A_REQUEST) {
        jellyfin.add(list.kind, id, ids, owner)?;
    }
    // An id that the server does not know is accepted without a word.
    let has: BTreeSet<Id> = jellyfin.entries(list.kind, id, owner)?.into_iter().collect();
    let lost: Vec<&str> = list
        .entries
        .iter()
        .filter(|entry| {
            report.added.contains(&entry.name) && !entry.id.is_some_and(|id| has.contains(&id))
        })
        .map(|entry| entry.name.as_str())
        .collect();
    report.problems.extend(lost.iter().map(|name| Problem {
        path: (*name).to_owned(),
        what: "the server did not add this entry".to_owned(),
    }));
    let lost: Vec<String> = lost.into_iter().map(str::to_owned).collect();
    report.added.retain(|name| !lost.contains(name));
    if report.cover && !jellyfin.add_cover(id, picture)? {
        report.cover = false;
        report.problems.push(Problem {
            path: list.name.clone(),
            what: "its cover is not a picture that the server takes".to_owned(),
        });
    }
    Ok(())
}

fn owner_of(list: &SavedList, now: &ListNow) -> Result<Option<Id>, Error> {
    match (list.kind, list.owner, &now.owner) {
        (ListKind::Collection, _, _) => Ok(None),
        (_, Some(owner), Some(_)) => Ok(Some(owner)),
        _ => Err(Error::Refused {
            what: format!("the server does not have the user whose playlist {} was", list.name),
            hint: "Nothing was changed. A playlist belongs to a user: restore the whole snapshot, or make the playlist by hand.".to_owned(),
        }),
    }
}

fn plan(list: &SavedList, now: &ListNow, current: &BTreeSet<Id>, dry_run: bool) -> ListReport {
    let (mut added, mut missing, mut present) = (Vec::new(), Vec::new(), 0);
    for entry in &list.entries {
        match entry.id {
            Some(id) if current.contains(&id) => present += 1,
            Some(id) if now.there.contains(&id) => added.push(entry.name.clone()),
            _ => missing.push(entry.name.clone()),
        }
    }
    let gone = missing.iter().map(|name| Problem {
        path: name.clone(),
        what: "it is not in the library now, so it was left out".to_owned(),
    });
    let shared = (list.is_shared && now.standing.is_none()).then(|| Problem {
        path: list.name.clone(),
        what: "the playlist was shared with some users: share it again in Jellyfin".to_owned(),
    });
    let problems = gone.chain(shared).collect();
    let id = now.standing.map(written);
    let (kind, name) = (list.kind, list.name.clone());
    ListReport {
        kind,
        name,
        owner: now.owner.clone(),
        id,
        created: now.standing.is_none(),
        added,
        present,
        missing,
        cover: false,
        dry_run,
        problems,
    }
}

fn joined(ids: &[Id]) -> String {
    ids.iter().map(|id| written(*id)).collect::<Vec<_>>().join(",")
}

impl Jellyfin {
    /// Makes a list with its first entries; its id.
    fn create(&self, list: &SavedList, owner: Option<Id>, ids: &[Id]) -> Result<Id, ServerError> {
        let (doing, answer) = match list.kind {
            ListKind::Playlist => {
                const DOING: &str = "making the playlist";
                let ids: Vec<String> = ids.iter().map(|id| written(*id)).collect();
                let document = json!({
                    "Name": list.name, "Ids": ids, "UserId": owner.map(written), "MediaType": list.media_type.as_deref().unwrap_or("Video"),
                    "IsPublic": list.is_open,
                });
                (DOING, self.client.document(DOING, "/Playlists", &Sent::Json(&document))?)
            }
            ListKind::Collection => {
                const DOING: &str = "making the collection";
                let path = format!("/Collections?name={}&ids={}", encoded(&list.name), joined(ids));
                (DOING, self.client.document(DOING, &path, &Sent::Post)?)
            }
        };
        answer
            .id("Id")
            .ok_or_else(|| self.client.invalid(doing, "it does not name the id of what was made"))
    }

    fn add(
        &self,
        kind: ListKind,
        id: Id,
        ids: &[Id],
        owner: Option<Id>,
    ) -> Result<(), ServerError> {
        let (place, user) = match kind {
            ListKind::Playlist => (
                "Playlists",
                owner.map_or_else(String::new, |owner| format!("&userId={}", written(owner))),
            ),
            ListKind::Collection => ("Collections", String::new()),
        };
        self.client
            .ask(
                "adding entries",
                &format!("/{place}/{}/Items?ids={}{user}", written(id), joined(ids)),
                &Sent::Post,
            )
            .map(drop)
    }

    /// The ids of what a list names.
    fn entries(&self, kind: ListKind, id: Id, owner: Option<Id>) -> Result<Vec<Id>, ServerError> {
        const DOING: &str = "asking for the entries";
        let mut found = Vec::new();
        while found.len() < ENTRIES_MAX {
            let page = format!("StartIndex={}&Limit={PAGE}", found.len());
            let path = match kind {
                ListKind::Playlist => format!(
                    "/Playlists/{}/Items?{page}&userId={}",
                    written(id),
                    owner.map(written).unwrap_or_default()
                ),
                ListKind::Collection => format!("/Items?{page}&ParentId={}", written(id)),
            };
            let items = self
                .client
                .document(DOING, &path, &Sent::Get)?
                .inner("Items")
                .and_then(super::answer::Answer::parts);
            let items =
                items.ok_or_else(|| self.client.invalid(DOING, "it has no list of items"))?;
            let ids: Vec<Id> = items.iter().filter_map(|item| item.id("Id")).collect();
            // A server that does not know of pages sends the first one again.
            let is_again = !found.is_empty() && found.starts_with(&ids);
            let is_last = items.len() < PAGE || ids.is_empty() || is_again;
            if !is_again {
                found.extend(ids);
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}
