//! A table before and after.

use super::schema::Table;

/// A table on both sides; one of them may lack it.
#[derive(Clone, Copy)]
pub struct Sides<'t> {
    /// The table before.
    pub before: Option<&'t Table>,
    /// The table after.
    pub after: Option<&'t Table>,
}

impl<'t> Sides<'t> {
    /// The table where it is, the later one first.
    pub fn table(&self) -> Option<&'t Table> {
        self.after.or(self.before)
    }
}
