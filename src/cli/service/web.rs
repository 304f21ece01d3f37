//! The page that `serve` shows.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use jiff::Zoned;

use crate::service::{Facts, Job, JobLog, Loaded, Standing, WebConfig};
use crate::source::ScratchFolder;
use crate::source::read_regular;
use crate::web::{Board, Command, Doorway, Order, Site, SiteSettings, Started, Watched, start};

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::source;
use super::facts::state_file;

/// The longest file with a password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The web page and its orders.
pub struct Web {
    pub board: Arc<Board>,
    orders: Receiver<Order>,
    started: Option<(Started, Arc<Site>)>,
}

impl Web {
    /// Starts the web page, unless it is disabled. If it fails and the configuration does not ask
    /// for it, the service runs without it.
    pub fn start(context: &Context, loaded: &Loaded) -> Result<Web, Failure> {
        let (sender, orders) = channel();
        let board: Arc<Board> = Arc::default();
        let mut web = Web { board: board.clone(), orders, started: None };
        let config = &loaded.config.web;
        if !config.is_enabled() {
            return Ok(web);
        }
        match serve(context, loaded, board, sender) {
            Ok(started) => web.started = Some(started),
            Err(failure) if config.is_wanted() => return Err(failure),
            Err(failure) => context.complain(&format!(
                "the service runs without its web page: {}. The scheduled jobs are not affected",
                failure.in_one_line()
            )),
        }
        Ok(web)
    }

    /// Passes each job's progress to the page as well.
    pub fn watched(&self, context: &Context) -> Watched {
        Watched::new(self.board.clone(), context.monitor.progress.clone())
    }

    /// Shows the current status on the page.
    pub fn show(&self, standing: Standing, facts: Facts, log: JobLog, next: Vec<(Job, Zoned)>) {
        self.board.show(standing, facts, log, next);
        if let Some((_, site)) = &self.started {
            site.stories.wake();
        }
    }

    /// The next order from the page, if one comes within this time.
    pub fn order(&self, patience: Duration) -> Option<Order> {
        match self.orders.recv_timeout(patience) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            // Without a page there are no orders.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                None
            }
        }
    }

    /// Stops the web page.
    pub fn stop(self) {
        if let Some((started, _)) = self.started {
            started.stop();
        }
    }
}

fn serve(
    context: &Context,
    loaded: &Loaded,
    board: Arc<Board>,
    orders: std::sync::mpsc::Sender<Order>,
) -> Result<(Started, Arc<Site>), Failure> {
    let config = &loaded.config.web;
    let refuse = |what: String, hint: &str| {
        Failure::from(crate::ops::Error::Refused { what, hint: hint.to_owned() })
    };
    let value =
        |what: String| Failure::from(crate::service::ConfigError::Value { section: "web", what });
    let (address, base) = (config.address().map_err(value)?, config.base().map_err(value)?);
    let files = |what| state_file(context, what);
    let (Some(web), Some(armed), Some(runs), Some(uploads)) =
        (files("web"), files("armed"), files("runs"), files("uploads"))
    else {
        return Err(refuse(
            "the password of the web page cannot be stored".to_owned(),
            "Set HOME or XDG_STATE_HOME.",
        ));
    };
    let password = password_of(config)?;
    let found = source::find(context, &SourceArgs::default()).ok();
    let backups = found.as_ref().map(|(instance, _)| Path::new(&instance.data).join("backups"));
    let settings = SiteSettings {
        server_id: found.and_then(|(_, spec)| spec.server.id),
        backups,
        uploads: uploads.with_extension(""),
        base,
        allowed_hosts: config.allowed_hosts.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        machine: context.host(),
    };
    let repository = std::path::absolute(context.repository_path()?)
        .map_err(|error| refuse(error.to_string(), "Give the repository's absolute path."))?;
    // A service that was killed may have left a zip there. Where that folder cannot be made, the
    // upload says so.
    drop(ScratchFolder::create(&settings.uploads));
    let command = command_of(context, loaded, &repository)?;
    let trouble = |trouble: crate::web::AccountsTrouble| {
        refuse(trouble.to_string(), "Fix this, then start the service again.")
    };
    let site = Site::new(
        Doorway { folder: repository, access: context.shared_access() },
        settings,
        (web, armed, runs),
        password.as_deref(),
        board,
        orders,
        loaded.clone(),
        context.zone.clone(),
        command,
    )
    .map_err(trouble)?;
    let has_password = site.auth.has_password().map_err(trouble)?;
    if !has_password && !address.ip().is_loopback() {
        return Err(refuse(
            format!(
                "the web page would listen on {address}, where other machines can reach it, but no password is set"
            ),
            "Set a password first: jellyvault web password. Or allow only this machine: [web] listen = \"127.0.0.1:8788\".",
        ));
    }
    let listener = TcpListener::bind(address).map_err(|error| {
        refuse(format!("cannot listen on {address}: {error}"), "Is another jellyvault serve already running? Stop it, or choose another port in [web] listen.")
    })?;
    let site = Arc::new(site);
    let started = start(listener, site.clone()).map_err(|error| {
        refuse(format!("the web page could not be started: {error}"), "Start the service again.")
    })?;
    let at = format!("http://{}{}", started.address, site.settings.base);
    if has_password {
        context.say(&format!("Web page: {at}/"));
    } else {
        let link = site.auth.new_link().map_err(trouble)?;
        context.say(&format!("Web page: no password is set yet. To set one, open this within ten minutes: {at}/setup/{link}"));
    }
    Ok((started, site))
}

/// The password from the file that the configuration names.
fn password_of(config: &WebConfig) -> Result<Option<String>, Failure> {
    let Some(file) = &config.password_file else { return Ok(None) };
    let read = read_regular(file, PASSWORD_BYTES_MAX)
        .map_err(|source| crate::ops::Error::Target { verb: "read", path: file.clone(), source })?;
    let text = String::from_utf8_lossy(&read);
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// This program, for the same repository and configuration.
fn command_of(context: &Context, loaded: &Loaded, repository: &Path) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|source| crate::ops::Error::Target {
        verb: "find",
        path: "this program".into(),
        source,
    })?;
    let mut arguments = vec!["--repo".into(), repository.as_os_str().to_owned()];
    if let Some(file) = &loaded.file {
        arguments.extend([
            "--config".into(),
            std::path::absolute(file).unwrap_or_else(|_| file.clone()).into_os_string(),
        ]);
    }
    // What opens an encrypted repository opens it for the page's commands, too.
    if let Some(file) = &context.global.passphrase_file {
        arguments.extend([
            "--passphrase-file".into(),
            std::path::absolute(file).unwrap_or_else(|_| file.clone()).into_os_string(),
        ]);
    } else if let Some(command) = &context.global.passphrase_command {
        arguments.extend(["--passphrase-command".into(), command.into()]);
    }
    Ok(Command { program, arguments, shown: context.command_name() })
}
