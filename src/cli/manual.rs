//! Completions, the manual page and the reference in `docs/cli.md`, all made from the arguments' own texts.

use clap::{Command, CommandFactory};

use super::args::Cli;
use super::failure::Failure;
use super::{Exit, render};

pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "jellyvault", &mut out);
    render::print(&String::from_utf8_lossy(&out))?;
    Ok(Exit::Done)
}

pub fn man() -> Result<Exit, Failure> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out).map_err(crate::ops::Error::Output)?;
    let mut command = Cli::command();
    command.build();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("jellyvault-{}", sub.get_name());
        clap_mangen::Man::new(sub.clone().display_name(name.clone()).name(name)).render(&mut out).map_err(crate::ops::Error::Output)?;
    }
    render::print(&String::from_utf8_lossy(&out))?;
    Ok(Exit::Done)
}

pub fn markdown() -> Result<Exit, Failure> {
    render::print(&reference())?;
    Ok(Exit::Done)
}

/// `docs/cli.md`.
pub fn reference() -> String {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut out = "# The command line\n\nMade from the program's own help by `jellyvault markdown-help`; a test holds it to that.\n".to_owned();
    push(&mut out, &mut command, "jellyvault");
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("jellyvault {}", sub.get_name());
        push(&mut out, sub, &name);
    }
    out
}

fn push(out: &mut String, command: &mut Command, name: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    out.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
}
