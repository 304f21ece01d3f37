//! What does the user see? Arguments in, words out: the only room that prints, exits or reads the
//! environment.

mod advice;
mod args;
mod bar;
mod cat;
mod check;
mod clean;
mod context;
mod copied;
mod copy;
mod copy_args;
mod diff;
mod diff_args;
mod durations;
mod encrypt;
mod exact_rules;
mod export;
mod failure;
mod find;
mod forget;
mod gone_source;
mod import;
mod init;
mod jellyfin;
mod json;
mod key_args;
mod key_list;
mod known;
mod labels;
mod list;
mod log;
mod ls;
mod manual;
mod map_args;
mod meant;
mod mount;
mod move_words;
mod new_server;
mod open_or_make;
mod output;
mod passphrase;
mod place;
mod plan_words;
mod progress_lines;
mod prune;
mod recovery_key;
mod relocate;
mod render;
mod repair;
mod restore;
mod restore_again;
mod restore_args;
mod restore_server;
mod restore_target;
mod schema;
mod schema_args;
mod servers;
mod service;
mod service_args;
mod show;
mod snap_arg;
mod snapshot;
mod snapshot_args;
mod source;
mod source_args;
mod stats;
mod sync;
mod teller;
mod titles;
mod upkeep_args;
mod watch_words;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use self::args::{Cli, Command};
use self::context::Context;
use self::failure::Failure;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: done, with problems.
    Problems,
    /// 130: interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Problems => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Parses, runs, answers.
pub fn main() -> ExitCode {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !crate::store::expects_panics() {
            tell(info);
        }
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    if let Some(level) = cli.global.log {
        log::begin(level);
    }
    let context = Context::new(cli.global);
    schema::load_added(&context);
    let exit = match run(&context, cli.command) {
        Ok(exit) => exit,
        Err(failure) => failure.report(context.global.json),
    };
    if json::is_lost() && matches!(exit, Exit::Done | Exit::Problems) {
        let text = "Error: the command is done, but its answer could not be written\nHint: Check where standard output goes: the disk may be full.\n";
        // Where standard error is closed, too, the exit code still tells.
        crate::tolerate(std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()));
        return Exit::Failed.into();
    }
    exit.into()
}

fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init { encrypt, parity } => init::run(context, &encrypt, parity),
        Command::Key { command } => encrypt::run(context, &command),
        Command::Source(args) => source::run(context, &args),
        Command::Snapshot(args) => snapshot::run(context, args),
        Command::List => list::run(context),
        Command::Show { snapshot } => show::run(context, &snapshot.name),
        Command::Ls { place, recursive, item } => {
            ls::run(context, &place, recursive, item.as_deref())
        }
        Command::Cat { place, item } => cat::run(context, &place, &item),
        Command::Restore(args) => restore::run(context, args),
        Command::Move(args) => relocate::run(context, &args),
        Command::Diff(args) => {
            // It changes nothing: where what it compares keeps it from looking at a signal, the
            // program may end with it.
            let _held = context.monitor.interrupt.out_of_hand();
            diff::run(context, &args)
                .map_err(|failure| if args.exit_code { failure.into_trouble() } else { failure })
        }
        Command::Find(args) => find::run(context, &args),
        Command::History(args) => find::history(context, &args),
        Command::Mount(args) => mount::run(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Import(args) => import::run(context, &args),
        Command::Forget(args) => forget::run(context, &args),
        Command::Keep(args) => forget::keep(context, &args),
        Command::Prune(args) => prune::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Repair(args) => repair::run(context, &args),
        Command::Copy(args) => copy::run(context, &args),
        Command::Sync(args) => sync::run(context, &args),
        Command::Schema { command } => schema::run(context, command),
        Command::Setup(args) => service::setup(context, &args),
        Command::Run(args) => service::run(context, &args),
        Command::Serve => service::serve(context),
        Command::Armed(args) => service::armed(context, &args),
        Command::Web { command } => service::web(context, &command),
        Command::Status(args) => service::status(context, &args),
        Command::Config { command } => service::config(context, command),
        Command::Notify { command } => service::notify(context, command),
        Command::Stats => stats::run(context),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::man(),
        Command::MarkdownHelp => manual::markdown(),
    }
}

/// What clap says: help and version are answers, the rest is wrong usage, in JSON where it was
/// asked for.
fn usage(error: &clap::Error) -> Exit {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !is_answer && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.to_string();
        // What is wrong stands before the first empty line, sometimes as a list; usage and hints
        // follow.
        let lines: Vec<&str> =
            text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let message = lines.join(" ").trim_start_matches("error: ").to_owned();
        json::print(
            &serde_json::json!({"error": {"kind": "usage", "message": message, "causes": [], "hint": "See --help."}}),
        );
    } else if error.print().is_err() {
        return Exit::Failed;
    }
    if is_answer { Exit::Done } else { Exit::Usage }
}
