//! A snapshot moved to other directories: the same server, whose media, data or configuration is at
//! other paths. Items keep all that belongs to them although their ids change with their paths
//! (`docs/moving.md`).
//!
//! Everything is worked out on a private copy first. Then a snapshot is stored that differs from
//! the old one in the database, in the files that contain paths, and in the names of some folders;
//! it is restored and exported like any other.

mod columns;
mod constraints;
mod documents;
mod folders;
mod ids;
mod in_place;
mod item_id;
mod items;
mod json;
mod left_behind;
mod mapping;
mod moved;
mod options;
mod pending;
mod places;
mod plan;
mod prefixes;
mod prepare;
mod refuse;
mod rewrite_documents;
mod rows;
mod statistics;
mod trees;
mod xml_text;

pub use self::in_place::{
    MoveReport, incomplete, move_in_place, nothing_to_move, of_this_machine, places_of_instance,
    undo_move,
};
pub use self::left_behind::left_behind;
pub use self::moved::{MovedSnapshot, forget_moved, moved_snapshot, objection, plan_move};
pub use self::options::{MoveOptions, UndoOptions};
pub use self::places::{is_windows, places_of_layout};
pub use self::plan::{MovePlan, Named};
