//! `config`: what holds, where it comes from, and what is wrong with it.

use jiff::Zoned;
use serde_json::json;

use crate::service::{EXAMPLE, Loaded, Schedule};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::ConfigCommand;
use super::super::{Exit, jellyfin, json as to_json, output};
use super::facts::{Schedules, ask_server};

/// Runs of each job that are shown.
const RUNS: usize = 5;

pub fn run(context: &Context, command: ConfigCommand) -> Result<Exit, Failure> {
    if let ConfigCommand::Example = command {
        output::print(EXAMPLE)?;
        return Ok(Exit::Done);
    }
    let loaded = context.settings()?;
    let schedules = Schedules::of(loaded)?;
    match command {
        ConfigCommand::Check => {
            if let Some(dir) = loaded.config.server.data_dir.as_ref().filter(|dir| !dir.is_dir()) {
                return Err(Failure::usage(
                    &format!(
                        "[server] data_dir is {}, which is not a directory on this machine",
                        dir.display()
                    ),
                    "Correct it, or remove the line: then the server is found by itself.",
                ));
            }
            // With an API key the server must answer, and be the right one.
            let asked = ask_server(context).transpose()?;
            if context.global.json {
                let answered = asked.map(Ok);
                to_json::print(
                    &json!({"ok": true, "file": loaded.file, "variables": loaded.variables, "jellyfin": jellyfin::document(answered.as_ref())}),
                );
            } else if !context.global.quiet {
                let server =
                    asked.map_or_else(String::new, |facts| format!("{}.\n", facts.name_words()));
                output::print(&format!(
                    "The configuration is valid ({}).\n{server}",
                    origin(loaded)
                ))?;
            }
        }
        _ => show(context, loaded, &schedules)?,
    }
    Ok(Exit::Done)
}

fn origin(loaded: &Loaded) -> String {
    let file = loaded.file.as_ref().map_or_else(
        || "no file, so the defaults apply".to_owned(),
        |file| file.display().to_string(),
    );
    if loaded.variables.is_empty() {
        file
    } else {
        format!("{file}; from the environment: {}", loaded.variables.join(", "))
    }
}

fn show(context: &Context, loaded: &Loaded, schedules: &Schedules) -> Result<(), Failure> {
    let now = Zoned::now().with_time_zone(context.zone.clone());
    let runs = |schedule: &Schedule| {
        std::iter::successors(schedule.next(&now), |time| schedule.next(time))
            .take(RUNS)
            .collect::<Vec<_>>()
    };
    let unshown = |error: toml::ser::Error| {
        Failure::usage(
            &format!("the configuration cannot be shown: {error}"),
            "Look into the configuration file itself.",
        )
    };
    let shown = toml::to_string(&loaded.config.masked()).map_err(unshown)?;
    if context.global.json {
        let next: Vec<_> =
            schedules.iter().map(|(job, schedule)| json!({"job": job, "times": runs(schedule).iter().map(Zoned::timestamp).collect::<Vec<_>>()})).collect();
        to_json::print(
            &json!({"file": loaded.file, "variables": loaded.variables, "repository": context.repository_path()?, "config": shown, "next": next}),
        );
        return Ok(());
    }
    let mut out = format!(
        "# {}\n# Repository: {}\n{}\n",
        origin(loaded),
        context.repository_path()?.display(),
        shown.trim_end()
    );
    for (job, schedule) in schedules.iter() {
        let times: Vec<String> = runs(schedule)
            .iter()
            .map(|time| time.strftime("%a %Y-%m-%d %H:%M").to_string())
            .collect();
        out.push_str(&format!(
            "# Next {}: {}\n",
            job.name(),
            if times.is_empty() { "never".to_owned() } else { times.join(", ") }
        ));
    }
    output::print(&out)
}
