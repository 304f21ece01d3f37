//! `init`.

use serde_json::json;

use crate::ops;

use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::open_or_make::{refuse_inside, warning};
use super::output;
use super::{Exit, json as to_json};

pub fn run(context: &Context, encrypt: bool, parity: Option<u32>) -> Result<Exit, Failure> {
    if encrypt {
        return Err(Failure::usage(
            "this version cannot encrypt a repository yet",
            "Leave out --encrypt, and keep the repository in a place that only you can read.",
        ));
    }
    let path = context.repository_path()?;
    refuse_inside(context, &path)?;
    // Without --parity there is none.
    let repository = ops::init(&path, parity.unwrap_or_default())?;
    let mut known = Known::load();
    known.remember_made(&repository.config().id);
    known.remember(&path);
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    if context.global.json {
        let config = repository.config();
        to_json::print(
            &json!({"repository": {"id": config.id, "path": path, "format": config.format, "encrypted": false, "parity_percent": f64::from(config.parity_permille) / 10.0}}),
        );
    } else if !context.global.quiet {
        output::print(&format!("Created a repository at {}.\n", path.display()))?;
        context.say(&warning(&path));
    }
    Ok(Exit::Done)
}
