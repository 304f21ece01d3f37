//! What is in Jellyfin's own backup zip, and what must hold for a server to restore it?
//!
//! Rows ↔ JSON (`schema`, `text`, `cell`, `dump`, `load`), what is mended before rows are written
//! (`mend`), the names in the zip and what it says of itself (`layout`, `manifest`), and the zip
//! itself (`zip_writer`, `reader`).

mod cell;
mod dump;
mod entry_reader;
mod layout;
mod lenient;
mod load;
mod manifest;
mod mend;
mod names;
mod reader;
mod schema;
mod standing;
mod text;
mod zip_error;
mod zip_writer;

pub use dump::{DumpError, DumpStyle, dump_history, dump_table, read_history};
pub use entry_reader::EntryReader;
pub use layout::{DATABASE_NAME, HISTORY_NAME, MANIFEST_NAME, Part, Place, name_in_zip, place_of};
pub use load::{
    Avatars, HISTORY_BYTES_MAX, LoadError, Loaded, create, finish, has_schema, load_avatars,
    load_table, open_neighbour, read_history_json, user_ids,
};
pub use manifest::{ENGINE, MANIFEST_BYTES_MAX, Manifest, ManifestError, Options, four_parts};
pub use mend::{MendError, REPAIRS_NAMED_MAX, Repair, Repairs, clashing_names, mend};
pub use reader::{ZipEntry, ZipReader};
pub use schema::{
    History, Kind, LearnError, Learner, Property, SCHEMA_BYTES_MAX, Schema, SchemaError,
    SchemaFileError, Table, each_row,
};
pub use standing::Standing;
pub use text::{
    Date, Guid, ReadDate, guid_of_bytes, push_guid, push_string, read_date, read_guid, stored_guid,
};
pub use zip_error::{ZipError, of_io};
pub use zip_writer::{DosTime, EntryHead, Method, ReadyEntries, Written, ZipWriter};
