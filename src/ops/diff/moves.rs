//! Which files only went elsewhere? Content that is gone from one path and came to another, found
//! in one pass over the differences.

use std::collections::HashMap;

use crate::manifest::{Content, Difference, Entry, Piece, file_name};

use super::super::Error;
use super::changes::{Kept, Opened};

/// What a file holds, in few bytes.
type ContentKey = [u8; 16];

/// Files that are gone and files that came, by content.
#[derive(Default)]
pub(super) struct Moves {
    gone: Vec<(ContentKey, u32)>,
    came: Vec<(ContentKey, u32)>,
}

/// Numbers of differences that belong together.
#[derive(Default)]
pub(super) struct Pairs {
    /// By the number of what came: the number of what is gone.
    pub from: HashMap<u32, u32>,
    /// By the number of what is gone: the number of what came.
    pub to: HashMap<u32, u32>,
}

impl Pairs {
    fn add(&mut self, gone: u32, came: u32) {
        self.from.insert(came, gone);
        self.to.insert(gone, came);
    }
}

impl Moves {
    /// A file that is gone, or that came; what is on both sides did not move.
    pub(super) fn take(&mut self, number: u32, difference: &Difference) {
        let (list, entry) = match (&difference.before, &difference.after) {
            (Some(gone), None) => (&mut self.gone, gone),
            (None, Some(came)) => (&mut self.came, came),
            _ => return,
        };
        list.extend(key_of(entry).map(|key| (key, number)));
    }

    /// What went where. Among several files of the same content those of the same name belong
    /// together, then those of the same place in the order; so the way back is the same pairs.
    pub(super) fn pair(mut self, kept: &Kept) -> Result<Pairs, Error> {
        self.gone.sort_unstable();
        self.came.sort_unstable();
        let mut pairs = Pairs::default();
        let (mut gone, mut came) = (self.gone.as_slice(), self.came.as_slice());
        while let (Some((key, _)), Some((other, _))) = (gone.first(), came.first()) {
            let smallest = *key.min(other);
            let here = gone.partition_point(|(key, _)| *key <= smallest);
            let there = came.partition_point(|(key, _)| *key <= smallest);
            let (left, rest) = gone.split_at(here);
            gone = rest;
            let (right, rest) = came.split_at(there);
            came = rest;
            match (left, right) {
                ([], _) | (_, []) => {}
                ([(_, gone)], [(_, came)]) => pairs.add(*gone, *came),
                _ => pair_by_name(left, right, kept, &mut pairs)?,
            }
        }
        Ok(pairs)
    }
}

fn pair_by_name(
    gone: &[(ContentKey, u32)],
    came: &[(ContentKey, u32)],
    kept: &Kept,
    pairs: &mut Pairs,
) -> Result<(), Error> {
    let mut opened = Opened::default();
    let mut name = |number: u32| -> Result<Vec<u8>, Error> {
        let found = kept.get(number, &mut opened)?;
        let entry = found.and_then(|found| found.before.as_ref().or(found.after.as_ref()));
        Ok(entry.map(|entry| file_name(&entry.path).to_vec()).unwrap_or_default())
    };
    let mut waiting: HashMap<Vec<u8>, std::collections::VecDeque<u32>> = HashMap::new();
    for (_, number) in gone {
        waiting.entry(name(*number)?).or_default().push_back(*number);
    }
    let mut strangers = Vec::new();
    for (_, number) in came {
        match waiting.get_mut(&name(*number)?).and_then(std::collections::VecDeque::pop_front) {
            Some(gone) => pairs.add(gone, *number),
            None => strangers.push(*number),
        }
    }
    let mut left: Vec<u32> = waiting.into_values().flatten().collect();
    left.sort_unstable();
    left.into_iter().zip(strangers).for_each(|(gone, came)| pairs.add(gone, came));
    Ok(())
}

/// Nothing for what holds nothing: every empty file is like every other.
fn key_of(entry: &Entry) -> Option<ContentKey> {
    let content = entry.content().filter(|_| entry.size() > 0)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&entry.size().to_le_bytes());
    let mut add = |word: &[u8], bytes: &[u8]| {
        hasher.update(word).update(bytes);
    };
    match content {
        Content::Pages(id) => add(b"pages", &id.0),
        Content::Listed(lists) => lists.iter().for_each(|id| add(b"list", &id.0)),
        Content::Pieces(pieces) => pieces.iter().for_each(|piece| match piece {
            Piece::Chunk(id) => add(b"chunk", &id.0),
            Piece::Hole(bytes) => add(b"hole", &bytes.to_le_bytes()),
        }),
    }
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    Some(key)
}
