//! All that the pages know.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use crate::manifest::RecordCache;
use crate::service::Loaded;

use super::auth::Auth;
use super::board::{Board, Order};
use super::doorway::Doorway;
use super::quick::Quick;
use super::run_log::RunLog;
use super::runs::{Command, Runs};
use super::small::Smalls;
use super::stories::Stories;

/// Requests that read the repository at the same time.
const READING_MAX: usize = 4;
/// Downloads at the same time.
const DOWNLOADS_MAX: usize = 4;
/// Pictures that are sent at the same time.
const PICTURES_MAX: usize = 12;
/// Tabs that listen.
const TABS_MAX: usize = 64;

/// How the page is reached.
#[derive(Clone, Debug, Default)]
pub struct SiteSettings {
    /// What stands before each path: empty, or `/backup`.
    pub base: String,
    /// Names that are ours beside this machine's.
    pub allowed_hosts: Vec<String>,
    /// Addresses of proxies whose word is taken for who asks: `127.0.0.1`, `172.16.0.0/12`.
    pub trusted_proxies: Vec<String>,
    /// This machine's name.
    pub machine: String,
    /// The id of the server of the configuration, where it was found.
    pub server_id: Option<String>,
    /// Where an uploaded zip lies until it is imported. Not beside the repository, which may lie on
    /// somebody else's disk.
    pub uploads: PathBuf,
    /// The directory in which that server puts its own backups.
    pub backups: Option<PathBuf>,
}

impl SiteSettings {
    /// Whether an address is that of a proxy that is trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| is_within(address.to_canonical(), net))
    }
}

/// Whether an address lies in a net such as `10.0.0.0/8`, or is that address.
pub fn is_within(address: IpAddr, net: &str) -> bool {
    let (base, bits) = net.split_once('/').map_or((net, None), |(base, bits)| (base, Some(bits)));
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let ((own, all), (base, of_base)) = (number(address), number(base));
    let Some(bits) =
        bits.map_or(Some(of_base), |bits| bits.parse::<u32>().ok()).filter(|bits| *bits <= of_base)
    else {
        return false;
    };
    all == of_base && (bits == 0 || own >> (128 - bits) == base >> (128 - bits))
}

/// The site.
pub struct Site {
    /// Where the repository lies, and what opens it.
    pub repository: Doorway,
    /// How the page is reached.
    pub settings: SiteSettings,
    /// Who may come in.
    pub auth: Auth,
    /// Sign-ins by Quick Connect.
    pub quick: Quick,
    /// How things stand.
    pub board: Arc<Board>,
    /// What the scheduler is asked.
    pub orders: Sender<Order>,
    /// The configuration, with its secrets.
    pub loaded: Loaded,
    /// The user's zone.
    pub zone: TimeZone,
    /// Commands that were started here.
    pub runs: Arc<Runs>,
    /// What happened between snapshots.
    pub stories: Stories,
    /// Small pictures that were made before.
    pub(super) smalls: Smalls,
    /// Where an armed restore is remembered.
    pub armed_file: PathBuf,
    /// Records that were read for pages before.
    pub(super) records: Arc<RecordCache>,
    pub(super) reading: Arc<Semaphore>,
    pub(super) reading_much: Arc<Semaphore>,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) pictures: Arc<Semaphore>,
    pub(super) drawing: Arc<Semaphore>,
    pub(super) uploading: Arc<Semaphore>,
    pub(super) tabs: Arc<Semaphore>,
}

impl Site {
    /// With all that it needs.
    #[expect(clippy::too_many_arguments, reason = "each is one part, made in one place")]
    pub fn new(
        repository: Doorway,
        settings: SiteSettings,
        (accounts, armed_file, runs_file): (PathBuf, PathBuf, PathBuf),
        password: Option<&str>,
        board: Arc<Board>,
        orders: Sender<Order>,
        loaded: Loaded,
        zone: TimeZone,
        command: Command,
    ) -> Result<Site, super::AccountsTrouble> {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Ok(Site {
            auth: Auth::new(accounts, password)?,
            quick: Quick::new(loaded.config.jellyfin.sign_in_client()),
            armed_file,
            runs: Arc::new(Runs::new((command, RunLog(runs_file)), board.clone(), orders.clone())),
            stories: Stories::default(),
            smalls: Smalls::default(),
            records: Arc::default(),
            reading: semaphore(READING_MAX),
            reading_much: semaphore(1),
            downloads: semaphore(DOWNLOADS_MAX),
            pictures: semaphore(PICTURES_MAX),
            drawing: semaphore(1),
            uploading: semaphore(1),
            tabs: semaphore(TABS_MAX),
            repository,
            settings,
            board,
            orders,
            loaded,
            zone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn addresses_of_nets() {
        let within = |address: &str, net| is_within(address.parse().unwrap(), net);
        assert!(
            within("10.1.2.3", "10.0.0.0/8")
                && within("10.1.2.3", "10.1.2.3")
                && within("::1", "::1")
                && within("10.1.2.3", "0.0.0.0/0")
        );
        assert!(
            !within("11.1.2.3", "10.0.0.0/8")
                && !within("10.1.2.3", "10.1.2.4")
                && !within("::1", "10.0.0.0/8")
                && !within("10.1.2.3", "x/8")
        );
        assert!(!within("10.1.2.3", "10.0.0.0/33") && within("fd00::7", "fd00::/8"));
    }
}
