//! One stream of events for each tab: something happened, look again.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, channel};

use super::oops::Oops;
use super::view::View;

/// While a job runs its progress is told so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// A tab that was forgotten asks anew after this.
const STREAM_MAX: Duration = Duration::from_secs(3600);

struct Changes(Receiver<()>);

impl Stream for Changes {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .poll_recv(context)
            .map(|change| change.map(|()| Ok(Event::default().event("change").data("1"))))
    }
}

/// Tells a tab of each change.
pub async fn events(view: View) -> Result<Response, Oops> {
    let place = view.site.tabs.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Oops::new(StatusCode::SERVICE_UNAVAILABLE, "too many tabs listen", "Close some of them.")
    })?;
    let (changed, received) = channel(1);
    tokio::spawn(async move {
        let _place = place;
        let mut turns = view.site.board.watch();
        let until = tokio::time::Instant::now() + STREAM_MAX;
        loop {
            let is_working = view.site.board.working().is_some() || view.site.runs.is_busy();
            tokio::select! {
                turn = turns.changed() => if turn.is_err() { return },
                () = tokio::time::sleep(PROGRESS_EVERY), if is_working => {}
                () = changed.closed() => return,
                () = tokio::time::sleep_until(until) => return,
            }
            // Where the tab has not taken the last one yet, one is enough.
            if let Err(tokio::sync::mpsc::error::TrySendError::Closed(())) = changed.try_send(()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let stream =
        Sse::new(Changes(received)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    // Proxies that collect answers would hold it back.
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], stream).into_response())
}
