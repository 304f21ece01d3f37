//! redb panics on some damaged files. The index is derived: such a panic becomes "the index is
//! damaged", and the packs are asked.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs calls of redb; nothing where they panic. What they were working on must not be used again.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = IS_GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(before);
    outcome.ok()
}

/// Whether a panic of this thread is expected and dealt with: a hook that prints panics need not
/// tell of it.
pub fn expects_panics() -> bool {
    IS_GUARDED.get()
}
