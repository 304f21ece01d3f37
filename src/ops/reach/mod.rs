//! What do snapshots need? Everything that is reached from them is marked; the rest is garbage.

mod id_set;
mod live_slots;
mod mark;
mod recipe_bodies;
mod unnamed;

pub use id_set::IdSet;
pub(super) use live_slots::{LiveSlots, SlotUnit};
pub use mark::Reached;
pub(super) use recipe_bodies::RecipeBodies;
pub(super) use unnamed::{Unnamed, UnnamedTree, record_copies, unnamed_trees};
