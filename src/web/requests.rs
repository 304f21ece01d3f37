//! How a request reads the repository: on a thread of its own, few at a time.

use std::time::Duration;

use axum::http::StatusCode;

use crate::ops::Session;

use super::oops::Oops;
use super::view::View;

/// Who waits longer than this for a turn is told to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the repository and reads it. It is open for this request only, so that pruning never waits for a tab.
pub async fn read<T: Send + 'static>(view: &View, work: impl FnOnce(&Session, &View) -> Result<T, Oops> + Send + 'static) -> Result<T, Oops> {
    let busy = || Oops::new(StatusCode::SERVICE_UNAVAILABLE, "the service is busy with other pages", "Wait a moment, then reload this page.");
    let turn = tokio::time::timeout(PATIENCE, view.site.reading.clone().acquire_owned()).await;
    let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let view = view.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let session = Session::open(&view.site.repository)?;
        work(&session, &view)
    });
    done.await.map_err(|_| Oops::new(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made", "Look at the log of the service."))?
}
