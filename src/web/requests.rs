//! Reads the repository for a request: on a separate thread, a few requests at a time.

use std::time::Duration;

use axum::http::StatusCode;

use crate::ops::Session;

use super::oops::Oops;
use super::view::View;

/// A request that waits longer than this for its turn is refused as busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn busy() -> Oops {
    Oops::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the service is busy with other pages",
        "Wait a moment, then reload this page.",
    )
}

/// Opens the repository and reads it. It is open for this request only, so that prune never waits
/// for an open browser tab.
pub async fn read<T: Send + 'static>(
    view: &View,
    work: impl FnOnce(&Session, &View) -> Result<T, Oops> + Send + 'static,
) -> Result<T, Oops> {
    let turn = tokio::time::timeout(PATIENCE, view.site.reading.clone().acquire_owned()).await;
    let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let view = view.clone();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let records = view.site.records.clone();
        let session = view.site.repository.open()?.remembering(records);
        work(&session, &view)
    });
    done.await.map_err(|_| {
        Oops::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "jellyvault could not make this page",
            "See the log of the service for the cause.",
        )
    })?
}

/// The same for what reads much: one at a time, so that the others go on.
pub async fn read_much<T: Send + 'static>(
    view: &View,
    work: impl FnOnce(&Session, &View) -> Result<T, Oops> + Send + 'static,
) -> Result<T, Oops> {
    let turn = tokio::time::timeout(PATIENCE, view.site.reading_much.clone().acquire_owned()).await;
    let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    read(view, work).await
}
