//! What every command needs: the repository's place, the clock's zone, who watches, and the words that go to standard error.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::ops::OsSurroundings;
use crate::progress::{Interrupt, Progress, Silent};
use crate::source::Platform;
use crate::store::Repository;

use super::args::Global;
use super::bar::Bar;
use super::clean::cleaned;
use super::failure::Failure;
use super::known::Known;
use super::place;

/// How long an interrupted call may go on that cannot be asked to stop.
const HELD_UP: std::time::Duration = std::time::Duration::from_millis(700);

/// One run of the program.
pub struct Context {
    pub global: Global,
    pub interrupt: Arc<Interrupt>,
    pub zone: jiff::tz::TimeZone,
    /// The server that the command is about, once that is known.
    pub server: RefCell<Option<String>>,
    /// A repository was made in this run, where there was none.
    pub has_made: Cell<bool>,
    progress: Box<dyn Progress + Send>,
}

impl Context {
    pub fn new(global: Global) -> Context {
        let on_terminal = std::io::stderr().is_terminal() && !global.no_progress && !global.quiet && !global.json;
        let progress: Box<dyn Progress + Send> = if on_terminal { Box::new(Bar::new()) } else { Box::new(Silent) };
        let interrupt = Arc::new(Interrupt::default());
        if global.no_lock {
            crate::store::go_without_locks();
        }
        watch_signals(interrupt.clone());
        Context { global, interrupt, zone: jiff::tz::TimeZone::system(), server: RefCell::default(), has_made: Cell::default(), progress }
    }

    pub fn watch(&self) -> crate::ops::Watch<'_> {
        crate::ops::Watch { progress: &*self.progress, interrupt: &self.interrupt }
    }

    /// The environment, for the engine, which never reads it.
    pub fn surroundings(&self) -> OsSurroundings {
        let variables: BTreeMap<String, String> = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
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
        Ok(place::repository(self.global.repo.as_deref())?.0)
    }

    /// Whether somebody chose that place: on the command line, in the environment or in the configuration file.
    pub fn names_repository(&self) -> Result<bool, Failure> {
        Ok(place::repository(self.global.repo.as_deref())?.1)
    }

    /// Opens the repository.
    pub fn open(&self) -> Result<Repository, Failure> {
        let waiting = || self.say("Waiting: another jellyvault is reorganising the repository; this takes a moment.");
        let path = self.repository_path()?;
        match Repository::open_waiting(&path, &waiting) {
            Err(crate::store::Error::NoRepository { .. }) if Known::load().last_used(&path).is_some() => {
                Err(Failure::gone(&Known::load(), &path, "If you deleted it: jellyvault snapshot --init makes a new one."))
            }
            opened => Ok(self.ready(opened.map_err(crate::ops::Error::from)?)),
        }
    }

    /// A repository, with what the user said about it.
    pub fn ready(&self, mut repository: Repository) -> Repository {
        if let Some(dir) = &self.global.scratch_dir {
            repository.use_scratch(dir.clone());
        }
        if !repository.is_locked() {
            self.say("Note: the file system of the repository has no locks. Reading works; let no other jellyvault prune or repair it meanwhile.");
        }
        repository
    }

    /// The snapshots; damaged records are told, the others stay usable.
    pub fn catalog(&self, repository: &Repository) -> Result<Catalog, Failure> {
        let catalog = self.tell_damage(Catalog::load(repository))?;
        self.choose_server(repository, &catalog)?;
        Ok(catalog)
    }

    /// Those that these names can mean, and as few others as can be. Names that could mean snapshots of several servers are refused.
    pub fn catalog_named(&self, repository: &Repository, names: &[&str]) -> Result<Catalog, Failure> {
        let is_one = Catalog::has_one_server(repository).map_err(crate::ops::Error::from)?;
        if is_one && self.global.server.is_none() {
            return self.tell_damage(Catalog::load_named(repository, names));
        }
        let catalog = self.catalog(repository)?;
        super::servers::of_one(self, repository, &catalog, names)?;
        Ok(catalog)
    }

    /// The server that is meant is the one that lies in these directories, unless the user names another; where the repository knows it.
    pub fn mean_server(&self, repository: &Repository, id: Option<&str>) -> Result<(), Failure> {
        if self.global.server.is_some() || self.server.borrow().is_some() {
            return Ok(());
        }
        let Some(id) = id else { return Ok(()) };
        let found = Catalog::newest(repository, |record| crate::manifest::instance_of(record) == id).map_err(crate::ops::Error::from)?;
        if found.is_some() {
            *self.server.borrow_mut() = Some(id.to_owned());
        }
        Ok(())
    }

    fn choose_server(&self, repository: &Repository, catalog: &Catalog) -> Result<(), Failure> {
        if let Some(wanted) = self.global.server.as_deref().filter(|_| self.server.borrow().is_none()) {
            let identity = super::servers::named(self, repository, catalog, wanted)?;
            *self.server.borrow_mut() = Some(identity);
        }
        Ok(())
    }

    fn tell_damage(&self, catalog: Result<Catalog, crate::manifest::Error>) -> Result<Catalog, Failure> {
        let catalog = catalog.map_err(crate::ops::Error::from)?;
        for (name, error) in &catalog.damaged {
            self.say(&format!("Problem: {name} cannot be read and is not listed: {error}"));
        }
        Ok(catalog)
    }

    /// The snapshot that a name means. One that could be of several servers is refused.
    pub fn resolve_in<'c>(&self, repository: &Repository, catalog: &'c Catalog, name: &str) -> Result<&'c (SnapshotId, SnapshotRecord), Failure> {
        super::servers::of_one(self, repository, catalog, &[name])?;
        self.resolve(catalog, name)
    }

    /// The snapshot that a name means.
    pub fn resolve<'c>(&self, catalog: &'c Catalog, name: &str) -> Result<&'c (SnapshotId, SnapshotRecord), Failure> {
        catalog.resolve_of(name, &self.zone, |record| super::servers::is_meant(self, record)).map_err(|error| Failure::name(error, catalog, &self.zone))
    }

    /// Asks on a terminal; an error where the answer is not yes.
    pub fn ask(&self, question: &str) -> Result<(), Failure> {
        super::bar::clear();
        let mut answer = String::new();
        let asked = std::io::stderr().write_all(cleaned(question).as_bytes()).and_then(|()| std::io::stdin().read_line(&mut answer));
        match asked {
            Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
            _ => Err(Failure::usage("it was not confirmed; nothing was changed", "Answer y, or add --yes.")),
        }
    }

    /// A line on standard error, unless the user wants quiet.
    pub fn say(&self, line: &str) {
        if !self.global.quiet && !self.global.json {
            super::bar::clear();
            // Where standard error is closed nobody can be told of it.
            crate::tolerate(writeln!(std::io::stderr(), "{}", cleaned(line)));
        }
    }
}

/// Ends the program where a call does not come back.
#[expect(clippy::exit, reason = "nothing else ends a call that the system or SQLite does not return from")]
fn leave() {
    std::process::exit(130);
}

/// First Ctrl-C (or SIGTERM, or a terminal that is closed): stop cleanly. A second one: stop at once; nothing that was acknowledged is lost by that either.
fn watch_signals(interrupt: Arc<Interrupt>) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let raised = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Without the handler the signal ends the process at once, which is safe as well.
        crate::tolerate(signal_hook::flag::register_conditional_shutdown(signal, 130, raised.clone()));
        crate::tolerate(signal_hook::flag::register(signal, raised.clone()));
    }
    std::thread::spawn(move || {
        while !raised.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        interrupt.raise();
        // Work that looks ends cleanly. A call on somebody else's file that does not return is ended with the program: nothing that was
        // acknowledged is lost by that.
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
