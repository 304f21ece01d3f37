//! Reads a form with a file, a part at a time. The time and the memory that it may take are limited.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::StatusCode;
use futures_core::Stream;

use super::super::oops::Oops;

/// A browser that sends nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long the rest of a refused file is read, because browsers show no answer before they have sent
/// all of it.
const REFUSED_PATIENCE: Duration = Duration::from_secs(600);
/// After so many bytes the form's reader is made to look at what it has: by itself it takes all that
/// has arrived.
const LOOK_BYTES: u64 = 256 << 10;
/// Bytes that may be read before a field is found in them. The form's reader keeps all of them in
/// memory, however many come without a boundary or in the head of a field.
const AHEAD_MAX: u64 = 1 << 20;

/// A form that arrives.
pub struct UploadForm {
    form: Multipart,
    ahead: Arc<AtomicU64>,
}

/// A field of it.
pub struct UploadField<'f> {
    field: Field<'f>,
    ahead: &'f AtomicU64,
}

/// The body, and how many of its bytes were read and are in no part yet.
struct Counted {
    body: BodyDataStream,
    ahead: Arc<AtomicU64>,
    unlooked: u64,
}

impl Stream for Counted {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ahead.load(Ordering::Relaxed) > AHEAD_MAX {
            return Poll::Ready(Some(Err(axum::Error::new("no field was found in it"))));
        }
        if self.unlooked >= LOOK_BYTES {
            self.unlooked = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &read {
            self.unlooked += bytes.len() as u64;
            self.ahead.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        read
    }
}

impl UploadForm {
    /// Begins to read a request.
    ///
    /// # Errors
    /// If the request holds no such form.
    pub async fn new(request: Request) -> Result<UploadForm, Oops> {
        let ahead = Arc::new(AtomicU64::new(0));
        let counted = |body: Body| Counted {
            body: body.into_data_stream(),
            ahead: ahead.clone(),
            unlooked: 0,
        };
        let mut request = request.map(|body| Body::from_stream(counted(body)));
        DefaultBodyLimit::disable().apply(&mut request);
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|refused| Oops::bad(refused.body_text()))?;
        Ok(UploadForm { form, ahead })
    }

    /// The next field; `None` at the end.
    ///
    /// # Errors
    /// If it was cut off, or does not arrive.
    pub async fn next(&mut self) -> Result<Option<UploadField<'_>>, Oops> {
        let field = tokio::time::timeout(PATIENCE, self.form.next_field()).await;
        let field = field.map_err(|_| too_slow())?.map_err(|error| cut_off(&error))?;
        Ok(field.map(|field| UploadField { field, ahead: &self.ahead }))
    }

    /// Reads what is left, until it ends, fails, or stops arriving.
    pub async fn drop_rest(&mut self) {
        let rest = async {
            while let Ok(Some(mut field)) = self.next().await {
                while let Ok(Some(_)) = field.chunk().await {}
            }
        };
        // If the browser stays silent, it gets no answer.
        crate::tolerate(tokio::time::timeout(REFUSED_PATIENCE, rest).await);
    }
}

impl UploadField<'_> {
    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// The name of its file.
    pub fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// Its next part; `None` at the end.
    ///
    /// # Errors
    /// If it was cut off, or does not arrive.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Oops> {
        let part = tokio::time::timeout(PATIENCE, self.field.chunk()).await;
        let part = part.map_err(|_| too_slow())?.map_err(|error| cut_off(&error))?;
        if let Some(part) = &part {
            self.ahead.fetch_sub(part.len() as u64, Ordering::Relaxed);
        }
        Ok(part)
    }
}

fn too_slow() -> Oops {
    Oops::new(
        StatusCode::REQUEST_TIMEOUT,
        "the upload stopped arriving, so nothing was imported",
        "Check the connection, then upload it again.",
    )
}

fn cut_off(error: &MultipartError) -> Oops {
    Oops::bad(format!("the upload was cut off, so nothing was imported: {}", error.body_text()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Parts of a body that are there at once, counted as they are taken.
    struct Parts<I>(I, Arc<AtomicU64>);

    impl<I: Iterator<Item = Vec<u8>> + Unpin> Stream for Parts<I> {
        type Item = Result<Vec<u8>, std::io::Error>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let part = self.0.next();
            let bytes = part.as_ref().map_or(0, Vec::len) as u64;
            self.1.fetch_add(bytes, Ordering::Relaxed);
            Poll::Ready(part.map(Ok))
        }
    }

    /// Bytes of the first field of a form, or the error; and how many bytes of the body were read.
    fn first_field(
        parts: impl Iterator<Item = Vec<u8>> + Send + Unpin + 'static,
        taken: impl Fn(u64),
    ) -> (Result<u64, Oops>, u64) {
        let read = Arc::new(AtomicU64::new(0));
        let body = Body::from_stream(Parts(parts, read.clone()));
        let kind = "multipart/form-data; boundary=edge";
        let request = Request::builder().header("content-type", kind).body(body).unwrap();
        let field = async {
            let mut form = UploadForm::new(request).await?;
            let mut field = form.next().await?.expect("a field");
            let mut bytes = 0;
            while let Some(part) = field.chunk().await? {
                bytes += part.len() as u64;
                taken(read.load(Ordering::Relaxed) - bytes);
            }
            Ok(bytes)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let field = runtime.block_on(field);
        (field, read.load(Ordering::Relaxed))
    }

    const HEAD: &[u8] = b"--edge\r\nContent-Disposition: form-data; name=\"zip\"\r\n\r\n";

    #[test]
    fn a_large_file_is_never_held_whole() {
        let parts = std::iter::once(HEAD.to_vec());
        let parts = parts.chain(std::iter::repeat_n(vec![b'x'; 100_000], 500));
        let parts = parts.chain([b"\r\n--edge--\r\n".to_vec()]);
        let most = Cell::new(0);
        let (field, _) = first_field(parts, |ahead| most.set(ahead.max(most.get())));
        assert_eq!(field.map_err(|oops| oops.what).unwrap(), 50_000_000);
        assert!((1..600_000).contains(&most.get()), "{}", most.get());
    }

    #[test]
    fn what_holds_no_field_is_given_up() {
        let endless_head = [HEAD.trim_ascii_end().to_vec(), b"\r\nX: ".to_vec()].concat();
        for begin in [Vec::new(), b"--edg".to_vec(), endless_head] {
            let parts = std::iter::once(begin).chain(std::iter::repeat(vec![b'x'; 100_000]));
            let (field, read) = first_field(parts, |_| ());
            assert!(field.unwrap_err().what.contains("cut off"), "{read}");
            assert!((AHEAD_MAX..2 * AHEAD_MAX).contains(&read), "{read}");
        }
    }
}
