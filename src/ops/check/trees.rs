//! What of which snapshot cannot be brought back? Each node is gone through once; what is wrong
//! below it is told for each snapshot that shares it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{
    Child, Content, Entry, Kind, Node, Piece, SnapshotId, SnapshotRecord, Xattrs, display,
    read_node,
};
use crate::store::{
    ChunkPlace, ChunkReader, ExtentKind, Index, KEPT_FOR_ALL, Questions, Repository,
};

use super::super::content::list_pieces;
use super::super::reach::RecipeBodies;
use super::super::{Error, Monitor, in_one_line};
use super::damage::{Damage, Faults, push};
use super::read::BadChunks;
use super::{CheckReport, Finding};

/// Goes through manifests.
pub struct Trees<'r> {
    reader: ChunkReader<'r>,
    index: &'r Index,
    bad: BadChunks,
    clean: HashSet<ChunkId>,
    faulty: HashMap<ChunkId, Faults>,
    databases: HashMap<ChunkId, Option<String>>,
    bodies: RecipeBodies,
    /// Files of one chunk that are taken for whole until the index is asked for many of them
    /// together; nothing where each is asked for at once.
    assumed: Option<Questions>,
    repository: &'r Repository,
    /// A read that fails is told like damage. Otherwise it is an error: who removes what is lost
    /// must not take it for loss.
    tells_unread: bool,
    /// Files whose reading failed.
    pub unread: BTreeSet<String>,
}

impl<'r> Trees<'r> {
    /// Knows which chunks are bad though they are there.
    pub fn new(repository: &'r Repository, index: &'r Index, bad: BadChunks) -> Trees<'r> {
        let reader = ChunkReader::new(repository, index).keeping(KEPT_FOR_ALL);
        Trees {
            reader,
            index,
            bad,
            clean: HashSet::new(),
            faulty: HashMap::new(),
            databases: HashMap::new(),
            bodies: RecipeBodies::default(),
            assumed: None,
            repository,
            tells_unread: false,
            unread: BTreeSet::new(),
        }
    }

    /// Tells what cannot be read beside what is damaged, and goes on.
    pub fn telling_unread(self) -> Trees<'r> {
        Trees { tells_unread: true, ..self }
    }

    /// Whether nothing is wrong with any of the snapshots. Of what is wrong nothing is told:
    /// whoever needs that asks for each snapshot.
    pub fn are_whole(
        &mut self,
        snapshots: &[(SnapshotId, SnapshotRecord)],
        monitor: &Monitor,
    ) -> Result<bool, Error> {
        self.assumed = Some(Questions::new(self.repository));
        let mut are_whole = true;
        for (id, record) in snapshots {
            let mut report = CheckReport::default();
            self.snapshot(*id, record, &mut report, monitor)?;
            are_whole &= report.findings.is_empty() && report.damage_count == 0;
            if !are_whole {
                break;
            }
            monitor.progress.advance(1, 0);
        }
        are_whole = are_whole && self.assumptions_hold()?;
        self.assumed = None;
        if !are_whole {
            // What was assumed is not known.
            self.clean.clear();
            self.faulty.clear();
        }
        Ok(are_whole)
    }

    /// Asks the index for what was assumed.
    fn assumptions_hold(&mut self) -> Result<bool, Error> {
        let (Some(assumed), bad) = (&mut self.assumed, &self.bad) else { return Ok(true) };
        let mut they_hold = true;
        assumed.answer(self.index, |id, assumed, found| {
            they_hold &=
                found.is_some_and(|found| found.len == assumed.len) && !bad.contains_key(id)
        })?;
        Ok(they_hold)
    }

    /// The words for a read that failed, where such reads are told; the error itself where they are
    /// not.
    fn unread_or(&mut self, error: Error) -> Result<String, Error> {
        match error.unread_file() {
            Some(name) if self.tells_unread => {
                self.unread.insert(name.to_owned());
                Ok(in_one_line(&error))
            }
            _ => Err(error),
        }
    }

    /// The reader that it goes through manifests with.
    pub fn reader(&mut self) -> &mut ChunkReader<'r> {
        &mut self.reader
    }

    /// Tells what of a snapshot cannot be brought back.
    pub fn snapshot(
        &mut self,
        id: SnapshotId,
        record: &SnapshotRecord,
        report: &mut CheckReport,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        for (name, category) in &record.categories {
            let root = Child {
                first: Vec::new(),
                id: category.manifest,
                entries: category.entries,
                files: category.files,
                bytes: category.bytes,
            };
            match self.node(&root, None, None, monitor)? {
                Ok((true, sums)) => {
                    if sums != (category.entries, category.files, category.bytes) {
                        let what = format!(
                            "its {name} contains {} files of {} bytes, but its record says {} of {}",
                            sums.1, sums.2, category.files, category.bytes
                        );
                        report
                            .findings
                            .push(Finding { name: crate::store::snapshot_name(&id.0), what });
                    }
                }
                Ok((false, _)) => self.tell(id, &category.manifest, report),
                Err(what) => push(
                    report,
                    Damage {
                        snapshot: id,
                        logical: Vec::new(),
                        path: name.clone(),
                        what: format!("none of it can be restored: {what}"),
                        entries: category.entries,
                    },
                ),
            }
        }
        Ok(())
    }

    /// Whether all below a node is clean, with its entries, files and bytes; a text where the node
    /// itself cannot be read.
    #[expect(clippy::type_complexity, reason = "read in one place")]
    fn node(
        &mut self,
        child: &Child,
        level: Option<u8>,
        behind: Option<&[u8]>,
        monitor: &Monitor,
    ) -> Result<Result<(bool, (u64, u64, u64)), String>, Error> {
        let sums = (child.entries, child.files, child.bytes);
        if self.clean.contains(&child.id) {
            return Ok(Ok((true, sums)));
        }
        if self.faulty.contains_key(&child.id) {
            return Ok(Ok((false, sums)));
        }
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let node = match read_node(&mut self.reader, &child.id, level) {
            Ok(node) => node,
            Err(error) if error.is_damage() => return Ok(Err(in_one_line(&error))),
            Err(error) => match self.unread_or(error.into()) {
                Ok(what) => return Ok(Err(what)),
                Err(error) => return Err(error),
            },
        };
        let mut faults = Faults::default();
        let mut found = (0, 0, 0);
        match node {
            Node::Leaf(entries) => {
                for entry in &entries {
                    let (files, bytes) =
                        if let Kind::File { size, .. } = &entry.kind { (1, *size) } else { (0, 0) };
                    found = (found.0 + 1, found.1 + files, found.2 + bytes);
                    if let Some(what) = self.entry(entry)? {
                        faults.own.push((entry.path.clone(), true, what, 1));
                    }
                }
            }
            Node::Inner { level, children } => {
                for (number, below) in children.iter().enumerate() {
                    found = (found.0 + below.entries, found.1 + below.files, found.2 + below.bytes);
                    let next =
                        children.get(number + 1).map(|next| next.first.as_slice()).or(behind);
                    match self.node(below, Some(level - 1), next, monitor)? {
                        Ok((true, sums)) if sums == (below.entries, below.files, below.bytes) => {}
                        Ok((true, _)) => faults.own.push((
                            below.first.clone(),
                            false,
                            "the manifest is inconsistent here".to_owned(),
                            below.entries,
                        )),
                        Ok((false, _)) => faults.below.push(below.id),
                        Err(what) => {
                            let end = next.map_or_else(|| "the end".to_owned(), display);
                            let what = format!(
                                "part of the manifest cannot be read: everything from this path up to {end} (exclusive): {what}"
                            );
                            faults.own.push((below.first.clone(), false, what, below.entries));
                        }
                    }
                }
            }
        }
        let is_clean = faults.own.is_empty() && faults.below.is_empty();
        if is_clean {
            self.clean.insert(child.id);
        } else {
            self.faulty.insert(child.id, faults);
        }
        Ok(Ok((is_clean, found)))
    }

    /// What is wrong with an entry.
    pub fn entry(&mut self, entry: &Entry) -> Result<Option<String>, Error> {
        if let Xattrs::Chunk(id) = &entry.xattrs
            && let Err(what) = self.chunk(id)?
        {
            return Ok(Some(format!("its extended attributes are lost: {what}")));
        }
        let Kind::File { size, content } = &entry.kind else { return Ok(None) };
        match content {
            Content::Pages(id) => self.database(id, *size),
            content => self.pieces(content, *size),
        }
    }

    /// The length of a chunk of content, or what is wrong with it.
    fn chunk(&mut self, id: &ChunkId) -> Result<Result<u32, String>, Error> {
        if let Some(what) = self.bad.get(id) {
            return Ok(Err(format!("it is damaged ({what})")));
        }
        Ok(self
            .index
            .place_of(id)?
            .map(|place| place.len)
            .ok_or_else(|| "it is in no pack".to_owned()))
    }

    fn pieces(&mut self, content: &Content, size: u64) -> Result<Option<String>, Error> {
        if let (Some(assumed), Content::Pieces(pieces)) = (&mut self.assumed, content)
            && let [Piece::Chunk(id)] = pieces.as_slice()
        {
            // No chunk is as long as the longest that can be said.
            let len = u32::try_from(size).unwrap_or(u32::MAX);
            let is_due = assumed.push(*id, ChunkPlace { pack: 0, extent: 0, offset: 0, len });
            return Ok(if is_due && !self.assumptions_hold()? {
                Some("its content does not match".to_owned())
            } else {
                None
            });
        }
        let mut pieces = Vec::new();
        match list_pieces(&mut self.reader, content, |_, piece| {
            pieces.push(piece);
            Ok(())
        }) {
            Ok(()) => {}
            Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => {
                return Ok(Some(format!("its chunk list is lost: {}", in_one_line(&error))));
            }
            Err(error) => {
                return Ok(Some(format!(
                    "its chunk list cannot be read: {}",
                    self.unread_or(error)?
                )));
            }
        }
        let mut sum = 0u64;
        for piece in pieces {
            sum = sum.saturating_add(match piece {
                Piece::Hole(bytes) => bytes,
                Piece::Chunk(id) => match self.chunk(&id)? {
                    Ok(len) => u64::from(len),
                    Err(what) => return Ok(Some(what)),
                },
            });
        }
        Ok((sum != size).then(|| "its chunks do not add up to its size".to_owned()))
    }

    fn database(&mut self, id: &ChunkId, size: u64) -> Result<Option<String>, Error> {
        if let Some(known) = self.databases.get(id) {
            return Ok(known.clone());
        }
        let what = self.look_at_database(id, size)?;
        self.databases.insert(*id, what.clone());
        Ok(what)
    }

    fn look_at_database(&mut self, id: &ChunkId, size: u64) -> Result<Option<String>, Error> {
        let recipe = match self.bodies.chain(id, &mut self.reader) {
            Ok(chain) => chain.recipe,
            Err(error) if error.is_damage() => {
                return Ok(Some(format!("its page list cannot be read: {}", in_one_line(&error))));
            }
            Err(error) => {
                return Ok(Some(format!(
                    "its page list cannot be read: {}",
                    self.unread_or(error.into())?
                )));
            }
        };
        if recipe.bytes() != size {
            return Ok(Some("its pages do not add up to its size".to_owned()));
        }
        let mut ends = vec![0u64; recipe.extents.len()];
        for (number, place) in recipe.places.iter().enumerate() {
            if let (Some(end), Some((start, len))) =
                (ends.get_mut(place.extent as usize), recipe.span(number))
            {
                *end = (*end).max(u64::from(start) + u64::from(len));
            }
        }
        let mut lost = 0;
        let mut reason = String::new();
        let mut gone = HashSet::new();
        for (number, (extent, end)) in
            recipe.extents.iter().zip(ends).enumerate().filter(|(_, (_, end))| *end > 0)
        {
            let wrong = match (self.chunk(extent)?, self.index.locate(extent)?) {
                (Err(what), _) => Some(what),
                (Ok(_), Some(found))
                    if found.row.kind == ExtentKind::Pages && u64::from(found.len) >= end =>
                {
                    None
                }
                _ => Some("other data is in their place".to_owned()),
            };
            if let Some(what) = wrong {
                gone.insert(number as u32);
                reason = what;
            }
        }
        if !gone.is_empty() {
            lost = recipe.places.iter().filter(|place| gone.contains(&place.extent)).count();
        }
        let what = if recipe.cells.is_some() { "groups of rows" } else { "pages" };
        Ok((lost > 0)
            .then(|| format!("{lost} of its {} {what} are lost: {reason}", recipe.places.len())))
    }

    /// Tells all that is wrong below a node.
    fn tell(&self, snapshot: SnapshotId, node: &ChunkId, report: &mut CheckReport) {
        let Some(faults) = self.faulty.get(node) else { return };
        for (path, is_alone, what, entries) in &faults.own {
            let logical = if *is_alone { path.clone() } else { Vec::new() };
            push(
                report,
                Damage {
                    snapshot,
                    logical,
                    path: display(path),
                    what: what.clone(),
                    entries: *entries,
                },
            );
        }
        faults.below.iter().for_each(|below| self.tell(snapshot, below, report));
    }
}
