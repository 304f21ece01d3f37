//! Can the machine's clock be believed? A snapshot of 2099 would be the newest for ever, and one of
//! 1970 the first to go.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::manifest::{CLOCK, SnapshotRecord};
use crate::progress::Problem;
use crate::store::{Location, Repository};

const DAY_NS: i128 = 86_400_000_000_000;
/// No snapshot was taken before this program was thought of: 2024-01-01, in nanoseconds since 1970.
const EARLIEST_NS: i128 = 19_723 * DAY_NS;
/// Nor so long after it.
const LATEST_NS: i128 = EARLIEST_NS + 25 * 365 * DAY_NS;
/// Nobody waits longer than this for the next snapshot without looking.
const PAUSE_NS: i128 = 400 * DAY_NS;
/// Clocks are set back by as much without being wrong.
const STEP_NS: i128 = 300_000_000_000;
/// The clock of a share or of another machine may differ from this one's, and be set for another
/// time zone; by so much one of them is wrong.
const APART_NS: i128 = 26 * 3_600_000_000_000;

/// The time, in nanoseconds since 1970.
pub(super) fn now_ns() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(now.as_nanos()).unwrap_or(i128::MAX)
}

/// The snapshots that the time of a capture is compared with.
pub(super) struct Compared<'r> {
    /// The one before it of this source.
    pub before: Option<&'r SnapshotRecord>,
    /// The newest of this source whose clock was believed: where the one before has a wrong clock,
    /// and this one goes on from there, it was put right.
    pub believed: Option<&'r SnapshotRecord>,
    /// The newest of all sources whose clock was believed.
    pub last: Option<&'r SnapshotRecord>,
}

/// What is wrong with the time of a capture, against other snapshots and the repository's own disk.
pub(super) fn problem(
    now_ns: i128,
    compared: &Compared<'_>,
    repository: &Repository,
) -> Option<Problem> {
    let Compared { before, believed, last } = *compared;
    let (disk_ns, time) =
        (disk_time(repository), |record: &SnapshotRecord| i128::from(record.time_ns));
    let fault = fault(now_ns, before.map(time), last.map(time), disk_ns)?;
    // Without a snapshot that can be believed the disk is what tells.
    let can_tell = believed.is_some() || disk_ns.is_some();
    if before.is_some_and(SnapshotRecord::has_wrong_clock)
        && can_tell
        && self::fault(now_ns, believed.map(time), last.map(time), disk_ns).is_none()
    {
        return None;
    }
    let words = |ns: i128| {
        jiff::Timestamp::from_nanosecond(ns).map_or_else(
            |_| "an invalid time".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        )
    };
    let what = match fault {
        Fault::Impossible => {
            format!("this machine's clock shows {}, which cannot be right", words(now_ns))
        }
        Fault::Back(before) => format!(
            "this machine's clock shows {}, but the previous snapshot was taken at {}",
            words(now_ns),
            words(before)
        ),
        Fault::Jump(before) => format!(
            "this machine's clock shows {}, more than a year after the previous snapshot ({})",
            words(now_ns),
            words(before)
        ),
        Fault::Behind(last) => {
            format!(
                "this machine's clock shows {}, but the newest snapshot of the repository was taken at {}",
                words(now_ns),
                words(last)
            )
        }
        Fault::Disk(disk) => format!(
            "this machine's clock shows {}, but the repository's disk shows {}",
            words(now_ns),
            words(disk)
        ),
    };
    let todo = match fault {
        Fault::Impossible => "Set this machine's date and time",
        Fault::Back(_) | Fault::Jump(_) | Fault::Behind(_) => {
            "If it is right now, nothing needs to be done. Otherwise set this machine's date and time"
        }
        Fault::Disk(_) => {
            "Check the date and time of this machine, and of the one that has the disk"
        }
    };
    Some(Problem {
        path: CLOCK.to_owned(),
        what: format!(
            "{what}. {todo}. The snapshot is kept, but forget does not count it in place of others"
        ),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Impossible,
    Back(i128),
    Jump(i128),
    Behind(i128),
    Disk(i128),
}

fn fault(now: i128, before: Option<i128>, last: Option<i128>, disk: Option<i128>) -> Option<Fault> {
    if !(EARLIEST_NS..LATEST_NS).contains(&now) {
        return Some(Fault::Impossible);
    }
    if let Some(disk) = disk.filter(|disk| (now - disk).abs() > APART_NS) {
        return Some(Fault::Disk(disk));
    }
    match before {
        Some(before) if before > now + STEP_NS => Some(Fault::Back(before)),
        Some(before) if now - before > PAUSE_NS && before >= EARLIEST_NS => {
            Some(Fault::Jump(before))
        }
        _ => last.filter(|last| *last > now + APART_NS).map(Fault::Behind),
    }
}

/// The time that a new file on the repository's disk gets; nothing where none can be made.
fn disk_time(repository: &Repository) -> Option<i128> {
    let Location::Folder(folder) = repository.location() else { return None };
    let file = tempfile::tempfile_in(folder).ok()?;
    let time: SystemTime = file.metadata().ok()?.modified().ok()?;
    let since: Duration = time.duration_since(UNIX_EPOCH).ok()?;
    i128::try_from(since.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_cannot_be_right_are_told_and_usual_ones_are_not() {
        let now = EARLIEST_NS + 30 * DAY_NS;
        assert_eq!(fault(now, Some(now - DAY_NS), Some(now), Some(now)), None);
        assert_eq!(fault(now, Some(now + STEP_NS), None, None), None, "set back a little");
        assert_eq!(fault(now, None, Some(now + APART_NS), Some(now + APART_NS)), None);
        assert_eq!(fault(0, None, None, None), Some(Fault::Impossible));
        assert_eq!(fault(now + 73 * 365 * DAY_NS, None, None, None), Some(Fault::Impossible));
        assert_eq!(
            fault(now, Some(now + DAY_NS), None, Some(now)),
            Some(Fault::Back(now + DAY_NS))
        );
        assert_eq!(fault(now + 2 * PAUSE_NS, Some(now), None, None), Some(Fault::Jump(now)));
        assert_eq!(
            fault(now, Some(now), None, Some(now - 2 * DAY_NS)),
            Some(Fault::Disk(now - 2 * DAY_NS))
        );
        assert_eq!(
            fault(now, Some(now - DAY_NS), Some(now + 2 * DAY_NS), None),
            Some(Fault::Behind(now + 2 * DAY_NS))
        );
        // A repository may be older than this program.
        assert_eq!(fault(now + PAUSE_NS, Some(EARLIEST_NS - PAUSE_NS), None, None), None);
    }
}
