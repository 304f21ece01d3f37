//! Takes connections: few enough, each for a bounded time, on one thread.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};

use super::guard::Peer;
use super::patient::Patient;
use super::routes::routes;
use super::site::Site;

/// Connections at the same time.
const CONNECTIONS_MAX: usize = 512;
/// A request's head comes within this, or the connection ends; so do connections on which nothing
/// is asked.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// Nobody stays longer on one connection than a large download takes.
const CONNECTION_MAX: Duration = Duration::from_secs(24 * 3600);
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Threads that read the repository.
const THREADS_MAX: usize = 16;
/// How far they stand back for other work: 0 is not at all, 19 is furthest.
const NICE: i32 = 10;

/// A page that is being served.
pub struct Started {
    site: Arc<Site>,
    /// Where.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Serves the page on a thread of its own.
///
/// # Errors
/// Where the system gives no thread or event queue.
pub fn start(listener: TcpListener, site: Arc<Site>) -> std::io::Result<Started> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(THREADS_MAX)
        .on_thread_start(stand_back)
        .build()?;
    let (stop, stopped) = watch::channel(false);
    let router = routes(site.clone());
    let web = std::thread::Builder::new().name("web".to_owned()).spawn(move || {
        stand_back();
        // Where the listener cannot be used the page is not there; the scheduler goes on.
        crate::tolerate(runtime.block_on(accept_all(listener, router, stopped)));
        runtime.shutdown_timeout(Duration::from_secs(2));
    })?;
    let (board, of_stories) = (site.board.clone(), site.clone());
    let stories = std::thread::Builder::new().name("stories".to_owned()).spawn(move || {
        stand_back();
        of_stories.stories.find_out(&of_stories.repository, &board)
    })?;
    Ok(Started { site, address, stop, threads: vec![web, stories] })
}

/// A page is worth less than a snapshot: this thread, and those that it starts, wait for others.
/// Where the system refuses they are equal.
fn stand_back() {
    crate::tolerate(rustix::process::setpriority_process(None, NICE));
}

impl Started {
    /// Ends commands and connections, and waits for that.
    pub fn stop(self) {
        self.site.runs.end_all(Duration::from_secs(10));
        self.site.stories.end();
        self.stop.send_replace(true);
        for thread in self.threads {
            // One that panicked has ended, too.
            crate::tolerate(thread.join());
        }
    }
}

async fn accept_all(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            _ = stopped.changed() => return Ok(()),
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { return Ok(()) };
        let accepted = tokio::select! {
            _ = stopped.changed() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The system has no more files open for us: some are closed in a moment.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            inner.call(request)
        });
        tokio::spawn(async move {
            let _place = place;
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .max_headers(HEADERS_MAX)
                .max_buf_size(HEAD_BYTES_MAX);
            // Who goes away is no error of ours.
            crate::tolerate(
                tokio::time::timeout(
                    CONNECTION_MAX,
                    server.serve_connection(TokioIo::new(Patient::new(stream)), service),
                )
                .await,
            );
        });
    }
}
