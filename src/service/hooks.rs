//! Programs that run around a job: an argument array, no shell, a time limit.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of what a program prints, so much is kept, in bytes.
const OUTPUT_MAX: u64 = 16 << 10;
/// Of its last line, so many characters are shown.
const LINE_CHARS_MAX: usize = 300;
/// So long it may go on after jellyvault was told to end.
const LEAVE: Duration = Duration::from_secs(3);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What leads to passphrases, keys and passwords. Programs that the service starts do not get it.
const SECRET_VARIABLES: [&str; 18] = [
    "CREDENTIALS_DIRECTORY",
    "JELLYVAULT_PASSPHRASE_FILE",
    "JELLYVAULT_PASSPHRASE_COMMAND",
    "JELLYVAULT_TO_PASSPHRASE_FILE",
    "JELLYVAULT_TO_PASSPHRASE_COMMAND",
    "JELLYVAULT_ENCRYPTION_PASSPHRASE_FILE",
    "JELLYVAULT_ENCRYPTION_PASSPHRASE_COMMAND",
    "JELLYVAULT_JELLYFIN_API_KEY",
    "JELLYVAULT_JELLYFIN_API_KEY_FILE",
    "JELLYVAULT_NOTIFY_NTFY",
    "JELLYVAULT_NOTIFY_GOTIFY",
    "JELLYVAULT_NOTIFY_DISCORD",
    "JELLYVAULT_NOTIFY_WEBHOOK",
    "JELLYVAULT_NOTIFY_HEALTHCHECKS",
    "JELLYVAULT_NOTIFY_SMTP",
    "JELLYVAULT_NOTIFY_SMTP_PASSWORD",
    "JELLYVAULT_NOTIFY_SMTP_PASSWORD_FILE",
    "JELLYVAULT_WEB_PASSWORD_FILE",
];

/// Keeps secrets from a program that is about to be started.
pub(super) fn without_secrets(command: &mut Command) {
    SECRET_VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
}

/// Why a program is taken for failed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error("{program} could not be started ({source})")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It said so.
    #[error("{program} failed ({status}){output}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it printed last, with a colon before it.
        output: String,
    },
    /// It was ended, because jellyvault ends.
    #[error("{program} was stopped, because jellyvault is stopping")]
    Stopped {
        /// The program.
        program: String,
    },
    /// It took too long and was ended.
    #[error("{program} did not end within {} seconds and was stopped", limit.as_secs())]
    TooLong {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
}

/// Whether a program goes on too long after jellyvault was told to end.
fn is_late(stopped: &mut Option<Instant>, is_stopped: &dyn Fn() -> bool) -> bool {
    if stopped.is_none() && is_stopped() {
        *stopped = Some(Instant::now());
    }
    stopped.is_some_and(|since| since.elapsed() >= LEAVE)
}

/// Runs a program and waits for it; nothing where none is named. What it prints to standard error
/// is a part of the error. Where `is_stopped`, it has a few seconds to end.
///
/// # Errors
/// [`HookError`].
pub fn run_hook(
    command: &[String],
    variables: &[(&str, &str)],
    limit: Duration,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(), HookError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    without_secrets(&mut command);
    // A group of its own, so that what it started ends with it.
    command.envs(variables.iter().copied()).process_group(0);
    let mut child =
        command.spawn().map_err(|source| HookError::Start { program: program.clone(), source })?;
    let reader = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut printed = Vec::new();
            // What cannot be read is not shown; the rest is read too, so that the program does not
            // wait for a reader.
            crate::tolerate(stderr.by_ref().take(OUTPUT_MAX).read_to_end(&mut printed));
            crate::tolerate(std::io::copy(&mut stderr, &mut std::io::sink()));
            String::from_utf8_lossy(&printed).trim().to_owned()
        })
    });
    let (begun, mut stopped) = (Instant::now(), None);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < limit && !is_late(&mut stopped, is_stopped) => {
                std::thread::sleep(LOOK);
            }
            Ok(None) => {
                let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
                // One that has just ended need not be stopped.
                if let Some(group) = group {
                    crate::tolerate(rustix::process::kill_process_group(
                        group,
                        rustix::process::Signal::KILL,
                    ));
                }
                crate::tolerate(child.wait());
                let program = program.clone();
                return Err(if stopped.is_some() {
                    HookError::Stopped { program }
                } else {
                    HookError::TooLong { program, limit }
                });
            }
            Err(source) => return Err(HookError::Start { program: program.clone(), source }),
        }
    };
    if status.success() {
        return Ok(());
    }
    let printed = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let shown = |line: &str| {
        line.chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .take(LINE_CHARS_MAX)
            .collect::<String>()
    };
    let output =
        printed.lines().last().map_or_else(String::new, |line| format!(": {}", shown(line)));
    Err(HookError::Failed { program: program.clone(), status: status.to_string(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit_ms: u64) -> Result<(), HookError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        run_hook(
            &command,
            &[("JELLYVAULT_JOB", "snapshot")],
            Duration::from_millis(limit_ms),
            &|| false,
        )
    }

    #[test]
    fn a_program_is_told_the_job_and_its_failure_is_told_with_its_words() {
        sh("test \"$JELLYVAULT_JOB\" = snapshot", 10_000).unwrap();
        run_hook(&[], &[], Duration::ZERO, &|| false).unwrap();
        let failed =
            sh("echo one >&2; echo the disk is away >&2; exit 7", 10_000).unwrap_err().to_string();
        assert!(
            failed.contains("exit status: 7") && failed.ends_with(": the disk is away"),
            "{failed}"
        );
        let missing =
            run_hook(&["/no/such/program".to_owned()], &[], Duration::from_secs(1), &|| false)
                .unwrap_err();
        assert!(matches!(missing, HookError::Start { .. }));
        // One that prints more than is kept does not wait for a reader.
        sh("yes x | head -c 3000000 >&2; true", 30_000).unwrap();
    }

    #[test]
    fn a_program_does_not_hold_up_the_end() {
        let command = ["sh", "-c", "sleep 600"].map(str::to_owned);
        let stopped = run_hook(&command, &[], Duration::from_secs(900), &|| true).unwrap_err();
        assert!(matches!(stopped, HookError::Stopped { .. }), "{stopped}");
    }

    #[test]
    fn no_program_gets_what_leads_to_a_secret() {
        let mut command = Command::new("sh");
        command.env("JELLYVAULT_PASSPHRASE_COMMAND", "pass show it").env("JELLYVAULT_JOB", "copy");
        without_secrets(&mut command);
        let given: Vec<_> = command.get_envs().filter(|(_, value)| value.is_some()).collect();
        assert_eq!(given, [("JELLYVAULT_JOB".as_ref(), Some("copy".as_ref()))]);
        let removed =
            |name: &str| command.get_envs().any(|(of, value)| of == name && value.is_none());
        assert!(removed("CREDENTIALS_DIRECTORY") && removed("JELLYVAULT_JELLYFIN_API_KEY_FILE"));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped_with_what_it_started() {
        let begun = Instant::now();
        let stopped = sh("sleep 60 & sleep 60", 100).unwrap_err();
        assert!(
            matches!(stopped, HookError::TooLong { .. })
                && begun.elapsed() < Duration::from_secs(30)
        );
    }
}
