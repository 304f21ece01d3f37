//! Moments as programs read them: RFC 3339, UTC.

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

/// A moment, in nanoseconds since 1970.
pub fn time(time_ns: i64) -> String {
    (Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(time_ns)).to_string()
}

/// A moment in seconds since 1970; nothing where there is none.
pub(super) fn moment_of<S: Serializer>(seconds: &u64, out: S) -> Result<S::Ok, S::Error> {
    let moment = i64::try_from(*seconds).ok().filter(|seconds| *seconds > 0);
    moment.map(|seconds| time(seconds.saturating_mul(1_000_000_000))).serialize(out)
}
