//! What systemd is told (`sd_notify(3)`): that the service is up, how things stand, and that it is
//! alive.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A line for systemd, where it started this.
pub fn tell(line: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = socket.as_encoded_bytes();
    let sent = UnixDatagram::unbound().and_then(|datagram| match bytes.strip_prefix(b"@") {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            datagram.send_to_addr(line.as_bytes(), &address)
        }
        None => datagram.send_to(line.as_bytes(), &socket),
    });
    // Whether systemd hears it changes nothing here.
    crate::tolerate(sent);
}

/// Tells systemd's watchdog (`WatchdogSec=`) that the scheduler is alive: it looked at the clock not
/// long ago, or it does a job, which may take hours.
#[derive(Clone, Default)]
pub struct Pulse(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Rounds of the clock.
    beats: AtomicU64,
    works: AtomicBool,
}

impl Pulse {
    /// Begins to tell, where systemd asks for it.
    pub fn begin() -> Pulse {
        let pulse = Pulse::default();
        let micros: Option<u64> =
            std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        if let Some(limit) = micros.map(Duration::from_micros).filter(|limit| !limit.is_zero()) {
            let own = pulse.clone();
            std::thread::spawn(move || own.tell_alive(limit));
        }
        pulse
    }

    /// The scheduler looks at the clock.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// A job begins or ends.
    pub fn works(&self, works: bool) {
        self.0.works.store(works, Ordering::Relaxed);
        self.beat();
    }

    /// Three times as often as must be, while there is something to tell.
    fn tell_alive(&self, limit: Duration) {
        let (mut known, mut since) = (u64::MAX, Instant::now());
        loop {
            let beats = self.0.beats.load(Ordering::Relaxed);
            if beats != known || self.0.works.load(Ordering::Relaxed) {
                (known, since) = (beats, Instant::now());
            }
            if since.elapsed() < limit / 2 {
                tell("WATCHDOG=1");
            }
            std::thread::sleep(limit / 3);
        }
    }
}
