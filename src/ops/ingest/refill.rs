//! Chunks that are put together into extents again: by kind, and by whether they are compressed.

use std::collections::HashMap;

use crate::chunk::ChunkId;
use crate::store::{Error as StoreError, ExtentBuilder, ExtentKind, FilledExtent};

use super::super::Error;

/// Extents are closed at this size, in bytes.
const EXTENT_BYTES: usize = 192 << 10;
const NODE_EXTENT_BYTES: usize = 48 << 10;

/// Extents that are being put together.
pub(in crate::ops) struct Refill {
    open: HashMap<(u8, bool), ExtentBuilder>,
    compressor: zstd::bulk::Compressor<'static>,
}

/// Receives finished extents.
pub(in crate::ops) type Sink<'a> = &'a mut dyn FnMut(FilledExtent) -> Result<(), Error>;

impl Refill {
    pub(in crate::ops) fn new(level: i32) -> Result<Refill, Error> {
        Ok(Refill {
            open: HashMap::new(),
            compressor: zstd::bulk::Compressor::new(level).map_err(StoreError::Compress)?,
        })
    }

    /// Takes a chunk; `is_packed` says whether its extent was compressed.
    pub(in crate::ops) fn push(
        &mut self,
        kind: ExtentKind,
        is_packed: bool,
        id: ChunkId,
        bytes: &[u8],
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let builder =
            self.open.entry((kind.number(), is_packed)).or_insert_with(|| ExtentBuilder::new(kind));
        builder.push(id, bytes);
        let limit = if kind == ExtentKind::Node { NODE_EXTENT_BYTES } else { EXTENT_BYTES };
        // Pages and recipes lie alone: each is an extent.
        let is_alone = kind.is_recipe() || kind == ExtentKind::Pages;
        if (builder.len() >= limit || is_alone)
            && let Some(extent) = builder.fill(is_packed.then_some(&mut self.compressor))?
        {
            return sink(extent);
        }
        Ok(())
    }

    /// Closes what is open.
    pub(in crate::ops) fn close(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        for ((_, is_packed), builder) in &mut self.open {
            if let Some(extent) = builder.fill(is_packed.then_some(&mut self.compressor))? {
                sink(extent)?;
            }
        }
        Ok(())
    }
}
