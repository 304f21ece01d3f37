//! What do snapshots need? Everything that is reached from them is marked; the rest is garbage.

mod id_set;
mod live_slots;
mod mark;

pub use id_set::IdSet;
pub(super) use live_slots::LiveSlots;
pub(super) use mark::Reached;
