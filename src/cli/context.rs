//! What every command needs: the repository's place, the clock's zone, who watches, and the words
//! that go to standard error.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ops::OsSurroundings;
use crate::progress::{Interrupt, Monitor, Progress};
use crate::service::{EncryptionConfig, Loaded};
use crate::source::Platform;
use crate::store::encryption::{KeySlots, Keys, Secret};
use crate::store::{Access, Repository, SharedAccess};

use super::args::Global;
use super::bar::Bar;
use super::clean::cleaned;
use super::failure::Failure;
use super::known::Known;
use super::passphrase;
use super::place;
use super::progress_lines::ProgressLines;
use super::teller::{Teller, say};

/// How long an interrupted call may go on that cannot be asked to stop.
const HELD_UP: std::time::Duration = std::time::Duration::from_millis(700);

/// One run of the program.
pub struct Context {
    pub global: Global,
    pub monitor: Monitor,
    pub zone: jiff::tz::TimeZone,
    /// The server that the command is about, once that is known.
    pub server: RefCell<Option<String>>,
    /// A repository was made in this run, where there was none.
    pub has_made: Cell<bool>,
    /// The configuration, once it was read.
    settings: OnceCell<Loaded>,
    /// The keys of the repository, with the number of the slot that they came from: asking for a
    /// passphrase, and trying it, once is enough.
    access: SharedAccess,
    /// The passphrase that was typed.
    typed: RefCell<Option<Secret>>,
}

impl passphrase::User for Context {
    fn global(&self) -> &Global {
        &self.global
    }

    fn configured(&self) -> Result<EncryptionConfig, crate::store::Error> {
        let settings = self
            .settings()
            .map_err(|failure| crate::store::Error::NoSecret { what: failure.in_one_line() })?;
        Ok(settings.config.encryption.clone())
    }

    fn typed(&self) -> &RefCell<Option<Secret>> {
        &self.typed
    }

    fn say(&self, line: &str) {
        Context::say(self, line);
    }

    fn complain(&self, what: &str) {
        Context::complain(self, what);
    }
}

impl Context {
    pub fn new(global: Global) -> Context {
        let on_terminal = std::io::stderr().is_terminal()
            && !global.no_progress
            && !global.progress_json
            && !global.quiet
            && !global.json;
        let lines = global.progress_json.then(ProgressLines::default);
        let monitor = Monitor::new(Teller::new(
            on_terminal.then(Bar::new),
            lines,
            !global.quiet && !global.json,
        ));
        if global.no_lock {
            crate::store::go_without_locks();
        }
        watch_signals(monitor.interrupt.clone());
        Context {
            global,
            monitor,
            zone: jiff::tz::TimeZone::system(),
            server: RefCell::default(),
            has_made: Cell::default(),
            settings: OnceCell::new(),
            access: SharedAccess { cache_home: place::cache_home(), ..SharedAccess::default() },
            typed: RefCell::default(),
        }
    }

    /// The environment, for the engine, which never reads it.
    pub fn surroundings(&self) -> OsSurroundings {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        OsSurroundings::new(variables)
    }

    pub fn platform(&self) -> Platform {
        if cfg!(target_os = "macos") { Platform::MacOs } else { Platform::Linux }
    }

    pub fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    /// Where the repository is.
    pub fn repository_path(&self) -> Result<PathBuf, Failure> {
        Ok(self.place()?.0)
    }

    /// Whether somebody chose that place: on the command line, in the environment or in the
    /// configuration file.
    pub fn names_repository(&self) -> Result<bool, Failure> {
        Ok(self.place()?.1)
    }

    fn place(&self) -> Result<(PathBuf, bool), Failure> {
        if self.global.repo.is_some() {
            return place::repository(self.global.repo.as_deref(), None);
        }
        place::repository(None, self.settings()?.config.repo.as_deref())
    }

    /// The configuration: of the file, and of the environment.
    pub fn settings(&self) -> Result<&Loaded, Failure> {
        if let Some(loaded) = self.settings.get() {
            return Ok(loaded);
        }
        let file = place::file(self.global.config.as_deref());
        let loaded = Loaded::read(file.as_deref(), &self.surroundings().variables)?;
        file.as_deref()
            .map_or(Ok(()), |file| place::refuse_strange_programs(file, &loaded.config))?;
        Ok(self.settings.get_or_init(|| loaded))
    }

    /// The same run with another configuration, of which the repository is the one that is named.
    pub fn with_settings(&self, loaded: Loaded, repo: Option<&Path>) -> Context {
        let settings = OnceCell::from(loaded);
        let global = Global {
            repo: repo.map(Path::to_path_buf).or_else(|| self.global.repo.clone()),
            ..self.global.clone()
        };
        Context {
            global,
            monitor: self.monitor.clone(),
            zone: self.zone.clone(),
            server: RefCell::default(),
            has_made: Cell::default(),
            settings,
            access: self.access.clone(),
            typed: self.typed.clone(),
        }
    }

    /// The same run, watched by somebody else.
    pub fn watched_by(&self, progress: impl Progress + 'static) -> Context {
        let settings = self.settings.get().cloned().map_or_else(OnceCell::new, OnceCell::from);
        let monitor =
            Monitor { progress: Arc::new(progress), interrupt: self.monitor.interrupt.clone() };
        let server = RefCell::new(self.server.borrow().clone());
        Context {
            global: self.global.clone(),
            monitor,
            zone: self.zone.clone(),
            server,
            has_made: Cell::new(self.has_made.get()),
            settings,
            access: self.access.clone(),
            typed: self.typed.clone(),
        }
    }

    /// Opens the repository.
    pub fn open(&self) -> Result<Repository, Failure> {
        let waiting = || {
            self.say("Waiting: another jellyvault is deleting or moving data in the repository. This takes only a moment.")
        };
        let path = self.repository_path()?;
        match self.with_access(|access| {
            Repository::open_as(
                &path,
                &Access {
                    waiting: &waiting,
                    cache_home: access.cache_home.clone(),
                    keys: access.keys,
                },
            )
        }) {
            Err(crate::store::Error::NoRepository { .. })
                if Known::load().last_used(&path).is_some() =>
            {
                Err(Failure::gone(
                    &Known::load(),
                    &path,
                    "If you deleted it, run jellyvault snapshot --init to create a new one.",
                ))
            }
            opened => {
                let repository = opened.map_err(crate::ops::Error::from)?;
                self.refuse_plain(&path, &repository)?;
                let repository = self.without_leftovers(&path, repository)?;
                Known::load().remember(&path, repository.config().is_encrypted());
                Ok(self.ready(repository))
            }
        }
    }

    /// Copies of databases that a killed process left in this user's cache are not encrypted: they
    /// go as soon as anybody opens the repository again.
    fn without_leftovers(&self, path: &Path, open: Repository) -> Result<Repository, Failure> {
        let tmp = open.spill_folder();
        let is_left = |tmp: &PathBuf| {
            std::fs::read_dir(tmp).is_ok_and(|mut entries| entries.next().is_some())
        };
        if !open.config().is_encrypted() || !tmp.as_ref().is_some_and(is_left) {
            return Ok(open);
        }
        drop(open);
        // Where that fails the work goes on.
        crate::tolerate(Repository::sweep(path, tmp));
        Ok(self
            .with_access(|access| Repository::open_as(path, access))
            .map_err(crate::ops::Error::from)?)
    }

    /// Calls what opens a repository, with what opens an encrypted one.
    pub fn with_access<T>(&self, open: impl FnOnce(&Access<'_>) -> T) -> T {
        let keys = |slots: &KeySlots| {
            if let Some(keys) = self.access.keys_for(slots) {
                return Ok(keys);
            }
            let (number, keys) = passphrase::unlock(self, slots)?;
            self.remember_keys(number, &keys);
            Ok(keys)
        };
        open(&Access { keys: &keys, cache_home: self.access.cache_home.clone(), waiting: &|| {} })
    }

    /// Opens repositories with the keys that this run finds, from any thread.
    pub fn shared_access(&self) -> SharedAccess {
        self.access.clone()
    }

    /// Keeps the keys for the next time that the repository is opened in this run.
    pub fn remember_keys(&self, slot: u32, keys: &Keys) {
        self.access.keys.get_or_init(|| (slot, keys.clone()));
    }

    /// The slot that opened the repository.
    pub fn opened_slot(&self) -> Option<u32> {
        self.access.keys.get().map(|(slot, _)| *slot)
    }

    /// A repository that was encrypted must not take snapshots in the clear because somebody put
    /// other settings there.
    pub fn refuse_plain(&self, path: &Path, repository: &Repository) -> Result<(), Failure> {
        if repository.config().is_encrypted() || !Known::load().was_encrypted(path) {
            return Ok(());
        }
        Err(Failure::refused(
            &format!(
                "the repository {} was encrypted when you last used it, and is not now. Somebody may have replaced it",
                path.display()
            ),
            "If you made a new repository there without encryption, remove its path from ~/.local/state/jellyvault/repositories.toml. Otherwise do not use it, and look at who can write there.",
        ))
    }

    /// A repository, with what the user said about it.
    pub fn ready(&self, mut repository: Repository) -> Repository {
        if let Some(dir) = &self.global.scratch_dir {
            repository.use_scratch(dir.clone());
        }
        if !repository.is_locked() {
            self.say("Note: the repository's file system does not support locks. Do not let another jellyvault prune or repair the repository while this command runs.");
        }
        repository
    }

    /// How this program is called for the same repository.
    pub fn command_name(&self) -> String {
        let is_in_environment = std::env::var_os("JELLYVAULT_REPO").is_some();
        let repo = self
            .global
            .repo
            .as_ref()
            .filter(|_| !is_in_environment)
            .map(|repo| std::path::absolute(repo).unwrap_or_else(|_| repo.clone()));
        let option =
            |name: &str, path: PathBuf| format!(" {name} {}", super::render::argument(&path));
        let config =
            self.global.config.as_ref().filter(|_| std::env::var_os("JELLYVAULT_CONFIG").is_none());
        let config = config.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        format!(
            "jellyvault{}{}",
            config.map_or_else(String::new, |path| option("--config", path)),
            repo.map_or_else(String::new, |path| option("--repo", path))
        )
    }

    /// Asks on a terminal; an error where the answer is not yes.
    pub fn ask(&self, question: &str) -> Result<(), Failure> {
        super::bar::clear();
        let mut answer = String::new();
        let asked = std::io::stderr()
            .write_all(cleaned(question).as_bytes())
            .and_then(|()| std::io::stdin().read_line(&mut answer));
        match asked {
            Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
            _ => {
                Err(Failure::usage("not confirmed; nothing was changed", "Answer y, or add --yes."))
            }
        }
    }

    /// Something that went wrong, on standard error, even where the user wants quiet.
    pub fn complain(&self, what: &str) {
        if !self.global.json {
            say(&format!("Problem: {what}"));
        }
    }

    /// A line on standard error, unless the user wants quiet.
    pub fn say(&self, line: &str) {
        if !self.global.quiet && !self.global.json {
            say(line);
        }
    }
}

/// Ends the program where a call does not come back.
#[expect(
    clippy::exit,
    reason = "nothing else ends a call that the system or SQLite does not return from"
)]
fn leave() {
    std::process::exit(130);
}

/// First Ctrl-C (or SIGTERM, or a terminal that is closed): stop cleanly. A second one: stop at
/// once; nothing that was acknowledged is lost by that either.
fn watch_signals(interrupt: Interrupt) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let raised = Arc::new(AtomicBool::new(false));
    // Without it the thread below looks at the flag now and then.
    let pair = UnixStream::pair().ok();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Without the handler the signal ends the process at once, which is safe as well.
        crate::tolerate(signal_hook::flag::register_conditional_shutdown(
            signal,
            130,
            raised.clone(),
        ));
        crate::tolerate(signal_hook::flag::register(signal, raised.clone()));
        if let Some(told) = pair.as_ref().and_then(|(told, _)| told.try_clone().ok()) {
            crate::tolerate(signal_hook::low_level::pipe::register(signal, told));
        }
    }
    std::thread::spawn(move || {
        // The service sleeps for days: this waits without looking again and again.
        if let Some((_told, mut heard)) = pair {
            crate::tolerate(heard.read_exact(&mut [0]));
        }
        // And looks where waiting failed.
        while !raised.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        interrupt.raise();
        // Work that looks ends cleanly. A call on somebody else's file that does not return is
        // ended with the program: nothing that was acknowledged is lost by that.
        let mut since = std::time::Instant::now();
        loop {
            std::thread::sleep(std::time::Duration::from_millis(20));
            if !interrupt.is_out_of_hand() {
                since = std::time::Instant::now();
            } else if since.elapsed() > HELD_UP {
                leave();
            }
        }
    });
}
