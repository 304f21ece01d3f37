//! The plan of a prune.

use crate::progress::PlanSummary;

use super::render;

/// The plan in words.
pub fn plan_words(plan: &PlanSummary) -> String {
    let mut text = format!(
        "Plan: of {} ({}), {} kept, {} deleted, {} repacked.\n",
        render::plural(plan.packs, "pack", "packs"),
        render::size(plan.bytes),
        render::plural(plan.kept, "is", "are"),
        render::plural(plan.dropped, "is", "are"),
        render::plural(plan.rewritten, "is", "are")
    );
    text.push_str(&format!(
        "      {} not used by any snapshot; {} of it will be freed",
        render::size(plan.unused),
        render::size(plan.freed)
    ));
    if plan.moved_bytes > 0 {
        text.push_str(&format!(", which needs {} to be rewritten", render::size(plan.moved_bytes)));
    }
    if plan.unused_after > 0 {
        text.push_str(&format!(
            "; {} left unused, within the limit of --max-unused",
            render::size(plan.unused_after)
        ));
    }
    text.push_str(".\n");
    text
}
