//! What is in Jellyfin's own backup zip, and what must hold for a server to restore it?
//!
//! Rows ↔ JSON (`schema`, `text`, `cell`, `dump`, `load`), what is mended before rows are written (`mend`), the names in the zip
//! (`layout`, `manifest`), and the zip itself (`reader`).

mod cell;
mod dump;
mod schema;
mod text;

pub use dump::{DumpError, DumpStyle, dump_history, dump_table, read_history};
pub use schema::{History, Kind, Property, Schema, SchemaError, Table};
