//! The index is asked what may go, and it is only a cache: before a pack goes, the pack itself is
//! asked what it holds.

use crate::backend::Listed;
use crate::store::{ChunkReader, ChunkRow, Index, Repository, pack_name, read_trailer};

use super::super::Error;
use super::super::reach::Reached;
use super::plan::{Fate, Plan};

/// Proves that whatever is needed of packs that go lies where the index says: in them, to be
/// written anew, or readable in another pack. Where it does not the index is damaged: it is taken
/// away, and nothing goes.
pub(super) fn prove_index(
    repository: &Repository,
    index: &Index,
    reached: &Reached,
    plan: &Plan,
) -> Result<(), Error> {
    let mut reader = ChunkReader::new(repository, index);
    for (usage, _) in plan.packs.iter().filter(|(_, fate)| *fate != Fate::Keep) {
        let listed = Listed { name: pack_name(&usage.id), size_bytes: usage.bytes };
        let trailer =
            match read_trailer(repository.backend(), repository.sealer(), &listed, &usage.id) {
                Ok(trailer) => trailer,
                // What cannot be asked is not written anew either; nothing in it was needed, or it
                // stays.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error.into()),
            };
        for chunk in trailer.chunks.iter().filter(|chunk| reached.needs(&chunk.id)) {
            if !is_safe(chunk, &usage.id, index, &mut reader)? {
                let place = repository.index_place();
                let path = place.as_ref().map(|place| place.path.clone()).unwrap_or_default();
                if let Some(place) = place {
                    place.remove().map_err(|source| crate::store::Error::Local {
                        verb: "remove",
                        path: path.clone(),
                        source,
                    })?;
                }
                return Err(crate::store::Error::IndexDamaged { path }.into());
            }
        }
    }
    Ok(())
}

/// Whether a needed chunk of a pack that goes is where the index says.
fn is_safe(
    chunk: &ChunkRow,
    pack: &[u8; 16],
    index: &Index,
    reader: &mut ChunkReader<'_>,
) -> Result<bool, Error> {
    let Some(found) = index.locate(&chunk.id)? else { return Ok(false) };
    if found.pack == *pack {
        return Ok(
            (found.extent, found.offset, found.len) == (chunk.extent, chunk.offset, chunk.len)
        );
    }
    let outcome = if found.row.kind.is_recipe() {
        reader.recipe_body(&chunk.id, &mut Vec::new()).map(drop)
    } else {
        reader.read(&chunk.id).map(drop)
    };
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
