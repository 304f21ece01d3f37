//! One user's watch state, set through the running server item by item.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::ops::{
    Id, InstanceTarget, ItemChange, ItemState, PlannedState, WatchStateOptions, WatchStatePlan,
    WatchStateReport, plan_watch_state, take_safety_snapshot,
};
use crate::progress::{Monitor, Phase, Problem};
use crate::store::Repository;

use super::answer::Answer;
use super::client::Sent;
use super::error::{ServerError, ThroughError};
use super::jellyfin::{Jellyfin, written};

/// Something that the server's interface cannot set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettable {
    /// The item.
    pub item: String,
    /// What of it.
    pub what: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct ThroughServer {
    /// As of a restore into the database.
    pub report: WatchStateReport,
    /// What could not be set this way.
    pub unsettable: Vec<Unsettable>,
    /// What the server did not do although it was asked.
    pub refused: Vec<Problem>,
    /// Whether items got a state that had none: only a restore that removes takes that back.
    pub has_added: bool,
}

impl ThroughServer {
    /// Everything that is not as in the snapshot.
    pub fn problems(&self) -> Vec<Problem> {
        let unset = self
            .unsettable
            .iter()
            .map(|unset| Problem { path: unset.item.clone(), what: unset.what.clone() });
        unset.chain(self.refused.iter().cloned()).collect()
    }
}

impl Serialize for ThroughServer {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let report = serde_json::to_value(&self.report).map_err(serde::ser::Error::custom)?;
        let of = |key: &str| report.get(key).cloned().unwrap_or_default();
        let mut document = out.serialize_struct("ThroughServer", 5)?;
        document.serialize_field("watch_state", &of("watch_state"))?;
        document.serialize_field("safety_snapshot", &of("safety_snapshot"))?;
        document.serialize_field("dry_run", &self.report.dry_run)?;
        document.serialize_field("through_server", &true)?;
        document.serialize_field("problems", &self.problems())?;
        document.end()
    }
}

/// Sets the state of a snapshot through the server. What cannot be set is told to `named` before
/// anything is changed.
///
/// # Errors
/// [`ThroughError::Halfway`] where it stopped in between; everything else changed nothing.
pub fn restore_watch_state(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    (jellyfin, options): (&Jellyfin, &WatchStateOptions),
    monitor: &Monitor,
    named: impl FnOnce(&[Unsettable]),
) -> Result<ThroughServer, ThroughError> {
    jellyfin.require_changes()?;
    let plan = plan_watch_state(repository, from, target, options, monitor)?;
    let wishes: Vec<Wish<'_>> = plan.items.iter().map(Wish::of).collect();
    let mut outcome = outcome_of(&plan, &wishes);
    outcome.report.dry_run = options.dry_run;
    if options.dry_run {
        return Ok(outcome);
    }
    named(&outcome.unsettable);
    let wishes: Vec<Wish<'_>> = wishes.into_iter().filter(Wish::changes).collect();
    if !options.no_safety_snapshot && !wishes.is_empty() {
        outcome.report.safety = take_safety_snapshot(repository, from, target, options, monitor)?;
    }
    monitor.progress.phase(Phase::Restore, wishes.len() as u64, 0);
    for (done, wish) in wishes.iter().enumerate() {
        let set = if monitor.interrupt.is_raised() {
            Err(crate::ops::Error::Interrupted.into())
        } else {
            jellyfin.set(plan.user, wish).map_err(ThroughError::from)
        };
        match set {
            Ok(()) => {}
            Err(ThroughError::Server(
                error @ (ServerError::Status { .. } | ServerError::Answer { .. }),
            )) => {
                outcome
                    .refused
                    .push(Problem { path: wish.planned.name.clone(), what: refused_words(&error) });
            }
            Err(source) if done == 0 => return Err(source),
            Err(source) => {
                return Err(ThroughError::Halfway {
                    done,
                    all: wishes.len(),
                    safety: outcome.report.safety,
                    source: Box::new(source),
                });
            }
        }
        monitor.progress.advance(1, 0);
    }
    Ok(outcome)
}

fn refused_words(error: &ServerError) -> String {
    if error.is_missing() {
        "the server did not find the item".to_owned()
    } else {
        error.to_string()
    }
}

fn outcome_of(plan: &WatchStatePlan, wishes: &[Wish<'_>]) -> ThroughServer {
    let gone = plan.report.put_aside.iter().chain(&plan.report.lost);
    let gone = gone.map(|item| Unsettable {
        item: item.clone(),
        what: "it is not in the library now, so the server cannot set its state".to_owned(),
    });
    let unset = wishes.iter().filter_map(|wish| {
        let left = wish.left();
        let what = format!("cannot be set through the server: {}. To set it, stop Jellyfin and run the same command again", left.join(", "));
        (!left.is_empty()).then(|| Unsettable { item: wish.planned.name.clone(), what })
    });
    let changed = wishes.iter().filter(|wish| wish.changes()).map(|wish| ItemChange {
        name: wish.planned.name.clone(),
        before: wish.planned.before.as_ref().map(ItemState::words),
        after: Some(wish.reachable.words()),
    });
    let report = WatchStateReport {
        changed: changed.collect(),
        put_aside: Vec::new(),
        lost: Vec::new(),
        ..plan.report.clone()
    };
    let has_added = wishes.iter().any(|wish| wish.changes() && wish.planned.before.is_none());
    ThroughServer {
        report,
        unsettable: unset.chain(gone).collect(),
        refused: Vec::new(),
        has_added,
    }
}

/// A planned change, as far as the server can make it.
struct Wish<'p> {
    planned: &'p PlannedState,
    before: ItemState,
    after: ItemState,
    /// The state that the item can get: what is absent stays, and streams stay as they were chosen
    /// (docs/service.md).
    reachable: ItemState,
}

impl<'p> Wish<'p> {
    fn of(planned: &'p PlannedState) -> Wish<'p> {
        let before = planned.before.clone().unwrap_or_default();
        let after = planned.after.clone().unwrap_or_default();
        let reachable = ItemState {
            rating: after.rating.or(before.rating),
            likes: after.likes.or(before.likes),
            last_played: after.last_played.clone().or_else(|| before.last_played.clone()),
            audio_stream: before.audio_stream,
            subtitle_stream: before.subtitle_stream,
            ..after.clone()
        };
        Wish { planned, before, after, reachable }
    }

    /// Whether the server has something to do.
    fn changes(&self) -> bool {
        self.reachable != self.before
    }

    /// What stays otherwise than in the snapshot.
    fn left(&self) -> Vec<&'static str> {
        let (wanted, reached) = (&self.after, &self.reachable);
        // Of a state that is to be removed, the choice of streams does no harm.
        let is_removed = self.planned.after.is_none();
        let found = [
            (wanted.rating != reached.rating, "that it has no rating"),
            (wanted.likes != reached.likes, "that it is neither liked nor disliked"),
            (wanted.last_played != reached.last_played, "that it has no date of the last playback"),
            (
                wanted.audio_stream != reached.audio_stream && !is_removed,
                "the audio track that was chosen",
            ),
            (
                wanted.subtitle_stream != reached.subtitle_stream && !is_removed,
                "the subtitles that were chosen",
            ),
        ];
        found.into_iter().filter(|(is_left, _)| *is_left).map(|(_, what)| what).collect()
    }

    fn document(&self) -> serde_json::Value {
        let state = &self.reachable;
        let mut document = json!({
            "PlaybackPositionTicks": state.position_ticks, "PlayCount": state.play_count, "IsFavorite": state.is_favourite, "Played": state.played,
        });
        let others = [
            ("Rating", state.rating.map(Into::into)),
            ("Likes", state.likes.map(Into::into)),
            (
                "LastPlayedDate",
                state.last_played.as_deref().map(|date| interface_date(date).into()),
            ),
        ];
        if let Some(object) = document.as_object_mut() {
            object.extend(others.into_iter().filter_map(
                |(name, value): (&str, Option<serde_json::Value>)| Some((name.to_owned(), value?)),
            ));
        }
        document
    }

    /// Whether an answer says what was asked for.
    fn is_in(&self, answer: &Answer) -> bool {
        let state = &self.reachable;
        let is_near = |a: f64, b: Option<f64>| b.is_some_and(|b| (a - b).abs() < 1e-6);
        let same_time = |date: &String| {
            answer
                .text("LastPlayedDate")
                .is_some_and(|answered| same_moment(&interface_date(date), &answered))
        };
        answer.flag("Played") == Some(state.played)
            && answer.integer("PlaybackPositionTicks") == Some(state.position_ticks)
            && answer.integer("PlayCount") == Some(state.play_count)
            && answer.flag("IsFavorite") == Some(state.is_favourite)
            && state.rating.is_none_or(|rating| is_near(rating, answer.number("Rating")))
            && (state.likes.is_none() || answer.flag("Likes") == state.likes)
            && state.last_played.as_ref().is_none_or(same_time)
    }
}

/// `2026-11-29 15:26:23.7014022`, which is UTC, as the interface takes it.
fn interface_date(date: &str) -> String {
    let date = date.trim().replacen(' ', "T", 1);
    let has_zone =
        date.ends_with('Z') || date.get(11..).is_some_and(|time| time.contains(['+', '-']));
    if has_zone { date } else { format!("{date}Z") }
}

fn same_moment(a: &str, b: &str) -> bool {
    let read = |text: &str| text.parse::<jiff::Timestamp>().ok();
    a == b || read(a).is_some_and(|a| Some(a) == read(b))
}

impl Jellyfin {
    fn set(&self, user: Id, wish: &Wish<'_>) -> Result<(), ServerError> {
        const DOING: &str = "setting the watch state of an item";
        let path =
            format!("/UserItems/{}/UserData?userId={}", written(wish.planned.item), written(user));
        let answer = self.client.document(DOING, &path, &Sent::Json(&wish.document()))?;
        if wish.is_in(&answer) {
            Ok(())
        } else {
            Err(self.client.invalid(DOING, "the state that it names is not the one that was set"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(before: ItemState, after: ItemState) -> (Vec<&'static str>, serde_json::Value, bool) {
        let planned = PlannedState {
            item: 1,
            name: "x".to_owned(),
            before: Some(before),
            after: Some(after),
        };
        let wish = Wish::of(&planned);
        (wish.left(), wish.document(), wish.changes())
    }

    #[test]
    fn what_the_interface_cannot_empty_or_choose_is_named_and_the_rest_is_sent() {
        let rated = ItemState {
            rating: Some(8.5),
            likes: Some(true),
            last_played: Some("2026-01-02 03:04:05.1234567".to_owned()),
            ..ItemState::default()
        };
        let (left, document, _) = wish(
            rated.clone(),
            ItemState { play_count: 2, audio_stream: Some(1), ..ItemState::default() },
        );
        assert_eq!(left.len(), 4);
        assert_eq!(
            (
                document["PlayCount"].as_i64(),
                document["Rating"].as_f64(),
                &document["AudioStreamIndex"]
            ),
            (Some(2), Some(8.5), &json!(null))
        );
        let (left, document, changes) = wish(ItemState::default(), rated);
        assert!(left.is_empty() && changes);
        assert_eq!(document["LastPlayedDate"], "2026-01-02T03:04:05.1234567Z");
        let (left, _, changes) = wish(
            ItemState::default(),
            ItemState { subtitle_stream: Some(3), ..ItemState::default() },
        );
        assert_eq!((left.len(), changes), (1, false));
    }

    #[test]
    fn dates_are_compared_as_moments() {
        assert!(same_moment(
            &interface_date("2026-01-02 03:04:05"),
            "2026-01-02T03:04:05.0000000Z"
        ));
        assert!(!same_moment(
            &interface_date("2026-01-02 03:04:05.1234567"),
            "2026-01-02T03:04:05.1234568Z"
        ));
        assert_eq!(interface_date("2026-01-02 03:04:05+01:00"), "2026-01-02T03:04:05+01:00");
    }
}
