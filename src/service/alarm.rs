//! Who is told when? On a change to the worse, again while it lasts, and once when it is well
//! again: an alarm that comes too often is not read.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::job_log::{read_json, write_json};
use super::level::Level;
use super::standing::Standing;

/// What this machine remembers of alarms. It does not lie in the repository, whose disk may be the
/// one that is away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarm {
    /// The level of the alarm that is out; nothing where all was well.
    pub level: Option<Level>,
    /// When somebody was told last.
    pub told: Option<Timestamp>,
    /// Since when the repository is away.
    pub absent_since: Option<Timestamp>,
    /// What was told and still is so, by the keys of the reasons.
    pub reasons: Vec<String>,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nothing.
    Nothing,
    /// Something became wrong, or worse.
    Raised,
    /// It is still wrong.
    Reminder,
    /// It is well again.
    Recovered,
}

impl Alarm {
    /// Reads what is remembered.
    pub fn read(path: &Path) -> Alarm {
        read_json(path)
    }

    /// Remembers it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        write_json(path, self)
    }

    /// What there is to tell of how things stand, and what is remembered then. A clock that went
    /// back reminds at once rather than never.
    pub fn next(
        &self,
        standing: &Standing,
        now: Timestamp,
        reminder: SignedDuration,
    ) -> (Telling, Alarm) {
        if standing.is_passing {
            return (Telling::Nothing, self.clone());
        }
        let (level, keys) = (standing.level, || standing.reasons.iter().map(|reason| &reason.key));
        let quiet = Alarm { absent_since: self.absent_since, ..Alarm::default() };
        let (out, told, reasons) = (Some(level), Some(now), keys().cloned().collect());
        let raised = Alarm { level: out, told, reasons, ..quiet.clone() };
        match self.level {
            None if level == Level::Good => (Telling::Nothing, quiet),
            Some(_) if level == Level::Good => (Telling::Recovered, quiet),
            None => (Telling::Raised, raised),
            Some(before) if before < level => (Telling::Raised, raised),
            Some(_) if keys().any(|key| !self.reasons.contains(key)) => (Telling::Raised, raised),
            Some(_) => {
                let is_due =
                    self.told.is_none_or(|told| told > now || told.duration_until(now) >= reminder);
                // What got better is told again if it gets worse again.
                let calmer = Alarm { told: self.told, ..raised.clone() };
                if is_due { (Telling::Reminder, raised) } else { (Telling::Nothing, calmer) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::standing::Reason;
    use super::*;

    fn standing(level: Level) -> Standing {
        Standing { level, sentence: String::new(), reasons: Vec::new(), is_passing: false }
    }

    fn amber(keys: &[&str]) -> Standing {
        let reason = |key: &&str| Reason {
            key: (*key).to_owned(),
            what: String::new(),
            todo: String::new(),
        };
        Standing { reasons: keys.iter().map(reason).collect(), ..standing(Level::Attention) }
    }

    #[test]
    fn a_new_reason_is_told_while_another_lasts_and_what_got_worse_again() {
        let day = SignedDuration::from_hours(24);
        let mut alarm = Alarm::default();
        let told = [
            amber(&["copy /mnt/usb"]),
            amber(&["copy /mnt/usb"]),
            amber(&["copy /mnt/usb", "failed snapshot"]),
            amber(&["failed snapshot"]),
            amber(&["copy /mnt/usb", "failed snapshot"]),
            standing(Level::Bad),
            amber(&["failed snapshot"]),
            standing(Level::Bad),
        ]
        .into_iter()
        .zip(1_790_000_000..)
        .map(|(standing, second)| {
            let (telling, next) =
                alarm.next(&standing, Timestamp::from_second(second).unwrap(), day);
            alarm = next;
            telling == Telling::Raised
        });
        let told: Vec<bool> = told.collect();
        assert_eq!(told, [true, false, true, false, true, true, true, true]);
    }

    #[test]
    fn each_change_is_told_once_and_what_lasts_each_day() {
        let day = SignedDuration::from_hours(24);
        let at = |hours: i64| Timestamp::from_second(1_790_000_000 + hours * 3600).unwrap();
        let mut alarm = Alarm::default();
        let mut told = Vec::new();
        for (hour, level) in [
            (0, Level::Good),
            (1, Level::Attention),
            (2, Level::Attention),
            (3, Level::Bad),
            (4, Level::Bad),
            (26, Level::Bad),
            (27, Level::Bad),
            (28, Level::Attention),
            (51, Level::Attention),
            (52, Level::Good),
            (53, Level::Good),
            (54, Level::Bad),
        ] {
            let (telling, next) = alarm.next(&standing(level), at(hour), day);
            if telling != Telling::Nothing {
                told.push((hour, telling));
            }
            alarm = next;
        }
        use Telling::{Raised, Recovered, Reminder};
        assert_eq!(
            told,
            [
                (1, Raised),
                (3, Raised),
                (27, Reminder),
                (51, Reminder),
                (52, Recovered),
                (54, Raised)
            ]
        );
        let (telling, _) = alarm.next(&standing(Level::Bad), at(0), day);
        assert_eq!(telling, Reminder, "the clock went back");
    }
}
