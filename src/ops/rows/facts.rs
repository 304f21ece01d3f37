//! What happened to one item, one user, one device: compact, so that a million of them fit.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::view::Id;

/// What happened to an item.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemNews {
    pub came: bool,
    pub gone: bool,
    pub kind: u8,
    pub top: Option<Id>,
    /// Bits of `kinds::FIELDS`.
    pub fields: u32,
    /// Nothing but the server's own book-keeping changed.
    pub refreshed: bool,
}

/// A user's state of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watched {
    pub played: bool,
    pub favourite: bool,
    /// In ticks of 100 ns.
    pub position: i64,
    pub count: i64,
    pub rating: Option<f64>,
    pub likes: Option<i64>,
    pub streams: (Option<i64>, Option<i64>),
}

/// What happened to a user's state of an item.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchNews {
    pub before: Option<Watched>,
    pub after: Option<Watched>,
}

/// What happened to a user.
#[derive(Clone, Debug, Default)]
pub struct UserNews {
    pub came: bool,
    pub gone: bool,
    pub renamed_from: Option<String>,
    /// Columns of `Users` that people set.
    pub settings: Vec<String>,
    pub password: bool,
    pub was_active: bool,
    pub signed_in: bool,
    pub avatar: (Option<String>, Option<String>),
    /// Permissions by kind, before and after.
    pub permissions: BTreeMap<i64, (Option<bool>, Option<bool>)>,
    pub preferences: BTreeMap<i64, (Option<String>, Option<String>)>,
    pub schedules: u64,
    pub display: u64,
    pub watched: HashMap<Id, WatchNews>,
    /// Keys of watch state at the placeholder: that came there, that went from there.
    pub waiting: (HashSet<u64>, HashSet<u64>),
    /// Keys of watch state at items: whose row is gone, whose row is new.
    pub keys: (HashMap<u64, Id>, HashMap<u64, Id>),
}

/// An API key: its name, what stands for its token.
pub type ApiKey = (String, u64);

/// A device at one moment: user, name, application, what stands for its token.
pub type DeviceState = (Option<Id>, String, String, u64);

/// A device, before and after.
pub type Device = (Option<DeviceState>, Option<DeviceState>);
