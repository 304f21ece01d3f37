//! What does the running Jellyfin server say, and what can be changed through it? A client of its
//! HTTP interface, with an API key.
//!
//! Every answer is taken as hostile: limited in size and time, read without trust in its types. The
//! key stands in no message.

mod address;
mod answer;
mod client;
mod error;
mod jellyfin;
mod key;
mod lists;
mod pictures;
mod quick_connect;
mod watch_state;

pub use address::Address;
pub use client::Client;
pub use error::{ServerError, ThroughError};
pub use jellyfin::{About, Directory, Expected, Jellyfin, Task, Watching};
pub use key::{ApiKey, KeyError};
pub use lists::{ListOptions, ListReport, restore_list};
pub use pictures::{PictureOptions, PictureReport, kind_of_word, restore_picture};
pub use quick_connect::{Asked, QuickConnect, SignedIn};
pub use watch_state::{ThroughServer, Unsettable, restore_watch_state};
