//! Places that only a file of the server's user names.

use super::super::Error;

pub(super) fn trap(why: &str) -> Error {
    Error::Refused {
        what: format!("{why}. As root, jellyvault does not write through it; nothing was changed"),
        hint: "If the path is right, give it with --config-dir, --metadata-dir or --database; or make root the owner of the link (chown -h root); or follow links with --follow-roots. \
               Or run the command as the server's user."
            .to_owned(),
    }
}
