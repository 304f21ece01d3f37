//! `init`.

use serde_json::json;

use super::context::Context;
use super::encrypt;
use super::failure::Failure;
use super::key_args::EncryptArgs;
use super::known::Known;
use super::open_or_make::{refuse_inside, warning};
use super::output;
use super::{Exit, json as to_json};

pub fn run(context: &Context, encrypt: &EncryptArgs, parity: Option<u32>) -> Result<Exit, Failure> {
    let path = context.repository_path()?;
    refuse_inside(context, &path)?;
    // Without --parity there is none.
    let repository = encrypt::init(context, &path, encrypt, parity.unwrap_or_default())?;
    let mut known = Known::load();
    known.remember_made(&repository.config().id);
    known.remember(&path, repository.config().is_encrypted());
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    if context.global.json {
        let config = repository.config();
        to_json::print(
            &json!({"repository": {"id": config.id, "path": path, "format": config.format, "encrypted": config.is_encrypted(), "parity_percent": f64::from(config.parity_permille) / 10.0}}),
        );
    } else if !context.global.quiet {
        let words = format!("Created a repository at {}.\n", path.display());
        output::print_done(&words, "the repository was created")?;
        if !repository.config().is_encrypted() {
            context.say(&warning(&path));
        }
    }
    Ok(Exit::Done)
}
