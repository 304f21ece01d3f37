//! When did the list of snapshots begin, and was there data before it? Written once, beside the
//! list's first link, so that a list that was lost and begun again is told from a new repository's
//! (`docs/format.md`, "The list of snapshots").

use crate::backend::{Span, write_new};
use crate::store::Repository;

use super::Error;
use super::chain::Chain;

const NAME: &str = "list/since";
const MAGIC: &[u8; 8] = b"JVSINCE\x01";
const HASH_BYTES: usize = 32;
const BYTES: usize = 8 + 8 + 1 + HASH_BYTES;

/// What the list of snapshots says of data that no snapshot names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The list is as old as the data: what it does not name was forgotten, or its capture was cut
    /// off.
    Complete,
    /// The list was begun again at this time, in nanoseconds since 1970, over data that was there:
    /// older trees may be those of lost snapshots.
    BegunAgain(i64),
    /// There is data and no list: nothing is known of any tree.
    Lost,
}

impl Standing {
    /// How the list stands now.
    pub fn of(repository: &Repository) -> Result<Standing, Error> {
        match read(repository)? {
            Some(Since { over_data: true, time_ns }) => Ok(Standing::BegunAgain(time_ns)),
            Some(Since { over_data: false, .. }) => Ok(Standing::Complete),
            // A list of an older program says nothing of its beginning, and is taken at its word.
            None if !Chain::is_absent(repository)? => Ok(Standing::Complete),
            None if has_packs(repository)? => Ok(Standing::Lost),
            None => Ok(Standing::Complete),
        }
    }

    /// Begins the list where there is none, before anything is stored; how it stood.
    pub fn begin(repository: &Repository, time_ns: i64) -> Result<Standing, Error> {
        if read(repository)?.is_some() {
            return Standing::of(repository);
        }
        let standing = Standing::of(repository)?;
        if standing == Standing::Lost || Chain::is_absent(repository)? {
            write(repository, Since { time_ns, over_data: standing == Standing::Lost })?;
        }
        Ok(standing)
    }

    /// The file that says when the list began, where it is damaged.
    pub fn damaged_file(repository: &Repository) -> Result<Option<&'static str>, Error> {
        match repository.backend().read(NAME, Span::Tail { len: BYTES + 1 }) {
            Ok(bytes) if bytes.len() == BYTES && decode(&bytes).is_some() => Ok(None),
            Ok(_) => Ok(Some(NAME)),
            Err(crate::backend::Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that every tree is accounted for: those of lost snapshots were brought back.
    pub fn settle(repository: &Repository, time_ns: i64) -> Result<(), Error> {
        write(repository, Since { time_ns, over_data: false })
    }
}

#[derive(Clone, Copy)]
struct Since {
    time_ns: i64,
    over_data: bool,
}

fn has_packs(repository: &Repository) -> Result<bool, Error> {
    Ok(repository
        .backend()
        .names("packs/")?
        .iter()
        .any(|name| crate::store::pack_id(name).is_some()))
}

/// What the file says; nothing where it is missing or damaged.
fn read(repository: &Repository) -> Result<Option<Since>, Error> {
    match repository.backend().read(NAME, Span::Tail { len: BYTES }) {
        Ok(bytes) => Ok(decode(&bytes)),
        Err(crate::backend::Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write(repository: &Repository, since: Since) -> Result<(), Error> {
    Ok(write_new(repository.backend(), NAME, &encode(since))?)
}

fn encode(since: Since) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&since.time_ns.to_le_bytes());
    out.push(u8::from(since.over_data));
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Since> {
    let (body, hash) = bytes.split_at_checked(BYTES - HASH_BYTES)?;
    let (time, flag) = body.strip_prefix(MAGIC)?.split_first_chunk()?;
    (blake3::hash(body).as_bytes() == hash)
        .then_some(Since { time_ns: i64::from_le_bytes(*time), over_data: flag == [1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_golden_bytes_and_damaged_is_none() {
        let bytes = encode(Since { time_ns: 7, over_data: true });
        assert_eq!(
            bytes.get(..17),
            Some([MAGIC.as_slice(), &[7, 0, 0, 0, 0, 0, 0, 0, 1]].concat().as_slice())
        );
        assert_eq!(bytes.len(), BYTES);
        assert!(decode(&bytes).is_some_and(|since| since.time_ns == 7 && since.over_data));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_none() && decode(&bytes[..at]).is_none());
        }
    }
}
