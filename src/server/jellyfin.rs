//! The server that is meant: its id was compared, its version read. What it knows of itself, what
//! it does, and who watches.

use std::time::Duration;

use crate::ops::{Id, read_id};

use super::answer::Answer;
use super::client::{Client, Sent};
use super::error::ServerError;

/// A server that is starting is asked so many times.
const TRIES: u32 = 5;
/// And after such pauses.
const PAUSE: Duration = Duration::from_millis(500);
/// The oldest version whose interface does what is needed.
const OLDEST: (u32, u32) = (10, 11);

/// A server that answers and is the right one.
#[derive(Debug)]
pub struct Jellyfin {
    pub(super) client: Client,
    /// What it says of itself.
    pub about: About,
}

/// The id that the server must have, and whose it is, in words: `snapshot`, `data directory`.
pub type Expected<'a> = Option<(&'a str, &'static str)>;

/// What the server says of itself.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct About {
    /// Its id, as `data/device.txt` has it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its directories, as it sees them: in a container, inside it.
    pub directories: Vec<Directory>,
    /// It waits for a restart.
    pub has_pending_restart: bool,
}

/// A directory of the server's.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Directory {
    /// What it is for.
    pub what: &'static str,
    /// Its path.
    pub path: String,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Task {
    /// Its key, which is the same in every language.
    pub key: String,
    /// Its name.
    pub name: String,
    /// How far it is, in hundredths.
    pub percent: Option<f64>,
}

impl Task {
    /// Whether it changes so much of the library or the database that a snapshot is better taken
    /// after it.
    pub fn is_heavy(&self) -> bool {
        ["RefreshLibrary", "OptimizeDatabaseTask"].contains(&self.key.as_str())
    }
}

/// Somebody who watches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Watching {
    /// Who.
    pub user: String,
    /// What.
    pub title: String,
    /// It is paused.
    pub is_paused: bool,
}

impl Jellyfin {
    /// Asks the server who it is. One that is starting is asked a few times.
    ///
    /// # Errors
    /// [`ServerError`]: not reached, no such key, another server.
    pub fn connect(client: Client, expected: Expected<'_>) -> Result<Jellyfin, ServerError> {
        const DOING: &str = "asking for its version";
        let mut tries = 1;
        let answer = loop {
            match client.document(DOING, "/System/Info", &Sent::Get) {
                Err(ServerError::Starting { .. }) if tries < TRIES => std::thread::sleep(PAUSE),
                answer => break answer?,
            }
            tries += 1;
        };
        let about = about(&answer)
            .ok_or_else(|| client.invalid(DOING, "it does not name an id and a version"))?;
        compare_ids(&client, &about.id, expected)?;
        Ok(Jellyfin { client, about })
    }

    /// Refuses a server whose interface cannot do what is wanted.
    ///
    /// # Errors
    /// [`ServerError::TooOld`].
    pub fn require_changes(&self) -> Result<(), ServerError> {
        let mut numbers =
            self.about.version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        if version < OLDEST {
            return Err(ServerError::TooOld {
                address: self.client.address().clone(),
                version: self.about.version.clone(),
            });
        }
        Ok(())
    }

    /// The tasks that run now.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn running_tasks(&self) -> Result<Vec<Task>, ServerError> {
        const DOING: &str = "asking for its tasks";
        let tasks = self.client.document(DOING, "/ScheduledTasks", &Sent::Get)?.parts();
        let tasks = tasks.ok_or_else(|| self.client.invalid(DOING, "it is not a list"))?;
        let running = tasks
            .iter()
            .filter(|task| matches!(task.text("State").as_deref(), Some("Running" | "Cancelling")));
        let task = |task: &Answer| Task {
            key: task.name("Key").unwrap_or_default(),
            name: task.name("Name").unwrap_or_else(|| "a task without a name".to_owned()),
            percent: task
                .number("CurrentProgressPercentage")
                .filter(|percent| (0.0..=100.0).contains(percent)),
        };
        Ok(running.map(task).collect())
    }

    /// Who watches now.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn watching(&self) -> Result<Vec<Watching>, ServerError> {
        const DOING: &str = "asking who is watching";
        let sessions =
            self.client.document(DOING, "/Sessions?activeWithinSeconds=60", &Sent::Get)?.parts();
        let sessions = sessions.ok_or_else(|| self.client.invalid(DOING, "it is not a list"))?;
        let watching = sessions.iter().filter_map(|session| {
            let playing = session.inner("NowPlayingItem").filter(Answer::is_object)?;
            Some(Watching {
                user: session.name("UserName").unwrap_or_else(|| "somebody".to_owned()),
                title: playing
                    .name("Name")
                    .unwrap_or_else(|| "something without a name".to_owned()),
                is_paused: session
                    .inner("PlayState")
                    .and_then(|state| state.flag("IsPaused"))
                    .unwrap_or_default(),
            })
        });
        Ok(watching.collect())
    }
}

fn about(answer: &Answer) -> Option<About> {
    let directories = [
        ("data", "ProgramDataPath"),
        ("metadata", "InternalMetadataPath"),
        ("cache", "CachePath"),
        ("log", "LogPath"),
        ("transcodes", "TranscodingTempPath"),
    ];
    Some(About {
        id: answer.name("Id")?,
        name: answer.name("ServerName").unwrap_or_default(),
        version: answer.name("Version")?,
        directories: directories
            .into_iter()
            .filter_map(|(what, key)| Some(Directory { what, path: answer.name(key)? }))
            .collect(),
        has_pending_restart: answer.flag("HasPendingRestart").unwrap_or_default(),
    })
}

/// Refuses a server with another id than the one that is meant.
pub(super) fn compare_ids(
    client: &Client,
    id: &str,
    expected: Expected<'_>,
) -> Result<(), ServerError> {
    let Some((wanted, of)) = expected else { return Ok(()) };
    let is_same = match (read_id(id), read_id(wanted)) {
        (Some(id), Some(wanted)) => id == wanted,
        _ => id == wanted,
    };
    if is_same {
        return Ok(());
    }
    Err(ServerError::OtherServer {
        address: client.address().clone(),
        id: id.to_owned(),
        of,
        wanted: crate::ops::clean_name(wanted),
    })
}

/// An id as it stands in addresses of the interface.
pub(super) fn written(id: Id) -> String {
    format!("{id:032x}")
}
