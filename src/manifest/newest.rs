//! What came last to the list of snapshots, remembered beside it: so that what follows the newest
//! snapshot need not list all that ever were.
//!
//! It counts as long as the folders of records and links look as they did when it was written.
//! Whoever changes them takes it away first.

use crate::backend::{Backend, CacheFile, FolderMark};
use crate::store::Repository;

use super::SnapshotId;

const MAGIC: &[u8; 8] = b"JVNEW\x02\x00\x00";
const HASH_BYTES: usize = 32;
/// Ids that are remembered at most.
const IDS_MAX: usize = 64;
/// Servers that are told apart at most: more than one is what counts.
pub(super) const SERVERS_MAX: usize = 8;
/// Bytes of a file with as many.
const BYTES_MAX: usize = 8 + 2 * 32 + 3 * 8 + 16 + 1 + SERVERS_MAX * 8 + IDS_MAX * 16 + HASH_BYTES;
/// The folders that it speaks of.
const FOLDERS: [&str; 2] = ["snapshots", "list"];

/// The end of the list of snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    /// Number of the newest link.
    pub link: u64,
    /// How many links there are.
    pub links: u64,
    /// How many records there are.
    pub count: u64,
    /// Their ids, by exclusive or.
    pub sum: [u8; 16],
    /// What tells their servers apart.
    pub servers: Vec<u64>,
    /// The newest of them, oldest first.
    pub ids: Vec<SnapshotId>,
    /// What the folders looked like when it was read; nothing where it was not read.
    pub looks: Option<[FolderMark; 2]>,
}

impl Newest {
    /// What is remembered, if it still holds.
    pub(super) fn read(repository: &Repository) -> Option<Newest> {
        let (disk, path) = repository.newest_place()?;
        let newest = decode(&disk.read_now(&path, BYTES_MAX).ok()?)?;
        (newest.looks == looks_of(repository.backend())).then_some(newest)
    }

    /// The same where asking is no call of the backend. Elsewhere the names of the records, which
    /// are one call, tell what most want to know.
    pub(super) fn read_for_nothing(repository: &Repository) -> Option<Newest> {
        repository.backend().mark(FOLDERS[0]).and_then(|_| Newest::read(repository))
    }

    /// The same; nobody else relies on it until it is written again.
    pub(super) fn take(repository: &Repository) -> Option<Newest> {
        let newest = Newest::read(repository);
        Newest::forget(repository);
        newest
    }

    /// Takes it away. Where it stays (a disk that became read-only) nothing else can be changed
    /// either.
    pub(super) fn forget(repository: &Repository) {
        if let Some((disk, path)) = repository.newest_place() {
            crate::tolerate(disk.remove(&path));
        }
    }

    /// Remembers it, whose holder of the list's lock has written these files since it was read. A
    /// list that is not remembered is gone through the next time.
    pub(super) fn write(&self, repository: &Repository, written: [&str; 2]) {
        let Some((disk, path)) = repository.newest_place() else { return };
        let backend = repository.backend();
        let is_marked = || FOLDERS.iter().all(|folder| backend.mark(folder).is_some());
        let looks = match self.looks {
            Some([snapshots, list]) if !is_marked() => {
                Some([with_name(snapshots, written[0]), with_name(list, written[1])])
            }
            _ => looks_of(backend),
        };
        if let Some(looks) = looks {
            crate::tolerate(CacheFile::begin_on(disk, &path).and_then(|mut file| {
                file.append(&encode(self, looks))?;
                file.finish()
            }));
        }
    }

    /// Whether the names in the folders were gone through when it was read: it holds for certain
    /// then.
    pub(super) fn is_listed(&self, repository: &Repository) -> bool {
        self.looks.is_some() && repository.backend().mark(FOLDERS[1]).is_none()
    }

    /// Of all ids, sorted, the last ones.
    pub(super) fn last_of(ids: &[SnapshotId]) -> Vec<SnapshotId> {
        // Where fewer are there it begins with the first.
        ids.get(ids.len().saturating_sub(IDS_MAX)..).unwrap_or_default().to_vec()
    }

    /// Whether it names all that are there.
    pub(super) fn is_all(&self) -> bool {
        self.count == self.ids.len() as u64
    }

    /// Takes in a snapshot that came, of this server.
    pub(super) fn add(&mut self, id: SnapshotId, server: Option<u64>) {
        if let Some(server) = server
            .filter(|server| !self.servers.contains(server) && self.servers.len() < SERVERS_MAX)
        {
            self.servers.push(server);
        }
        self.count += 1;
        self.sum = (u128::from_be_bytes(self.sum) ^ u128::from_be_bytes(id.0)).to_be_bytes();
        let at = self.ids.partition_point(|known| *known < id);
        // One that is older than those that are remembered need not be: they stay the newest.
        if at > 0 || self.count <= IDS_MAX as u64 {
            self.ids.insert(at, id);
            self.ids = Newest::last_of(&self.ids);
        }
    }
}

fn looks_of(backend: &dyn Backend) -> Option<[FolderMark; 2]> {
    let [snapshots, list] = FOLDERS.map(|folder| match backend.mark(folder) {
        Some(mark) => Some(mark.looks),
        None => names_hash(backend, folder),
    });
    Some([snapshots?, list?])
}

/// What a folder looks like where the backend cannot tell: the names in it, which is one call of a
/// backend for which each record is another.
fn names_hash(backend: &dyn Backend, folder: &str) -> Option<FolderMark> {
    let names = backend.names(&format!("{folder}/")).ok()?;
    Some(
        names.iter().fold(*blake3::hash(folder.as_bytes()).as_bytes(), |looks, name| {
            with_name(looks, name)
        }),
    )
}

/// The same with one name more, in whatever order they come.
fn with_name(looks: FolderMark, name: &str) -> FolderMark {
    let mut looks = looks;
    looks
        .iter_mut()
        .zip(blake3::hash(name.as_bytes()).as_bytes())
        .for_each(|(byte, other)| *byte ^= other);
    looks
}

fn encode(newest: &Newest, looks: [FolderMark; 2]) -> Vec<u8> {
    let mut out = [MAGIC.as_slice(), &looks.concat()].concat();
    for number in [newest.link, newest.links, newest.count] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&newest.sum);
    out.push(newest.servers.len() as u8);
    newest.servers.iter().for_each(|server| out.extend_from_slice(&server.to_le_bytes()));
    newest.ids.iter().for_each(|id| out.extend_from_slice(&id.0));
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Newest> {
    let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    if blake3::hash(body).as_bytes() != hash {
        return None;
    }
    let (snapshots, rest) = body.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (list, rest) = rest.split_first_chunk()?;
    let (link, rest) = rest.split_first_chunk()?;
    let (links, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (servers, rest) = rest.split_first()?;
    let (servers, rest) = rest.split_at_checked(usize::from(*servers) * 8)?;
    let servers = servers
        .chunks_exact(8)
        .filter_map(|server| Some(u64::from_le_bytes(*server.first_chunk()?)))
        .collect();
    let ids = rest.chunks_exact(16).filter_map(|id| Some(SnapshotId(*id.first_chunk()?))).collect();
    let [link, links, count] = [link, links, count].map(|number| u64::from_le_bytes(*number));
    Some(Newest { link, links, count, sum: *sum, servers, ids, looks: Some([*snapshots, *list]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SnapshotId {
        SnapshotId([n; 16])
    }

    #[test]
    fn it_has_golden_bytes_and_damaged_is_none() {
        let newest = Newest {
            link: 5,
            links: 3,
            count: 2,
            sum: [3; 16],
            servers: vec![9],
            ids: vec![id(1), id(2)],
            looks: Some([[7; 32], [8; 32]]),
        };
        let bytes = encode(&newest, [[7; 32], [8; 32]]);
        let expected = [
            b"JVNEW\x02\x00\x00".as_slice(),
            &[7; 32],
            &[8; 32],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[3; 16],
            &[1, 9, 0, 0, 0, 0, 0, 0, 0],
            &[1; 16],
            &[2; 16],
        ];
        assert_eq!(bytes.get(..bytes.len() - HASH_BYTES), Some(expected.concat().as_slice()));
        assert_eq!(decode(&bytes), Some(newest));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(decode(&damaged), None);
            assert_eq!(decode(bytes.get(..at).unwrap_or_default()), None);
        }
    }

    #[test]
    fn what_comes_is_taken_in_where_it_belongs_and_the_oldest_go() {
        let mut newest = Newest {
            link: 0,
            links: 0,
            count: 0,
            sum: [0; 16],
            servers: Vec::new(),
            ids: Vec::new(),
            looks: None,
        };
        let mut all = Vec::new();
        // In an order of its own: an imported zip is older than what is there.
        for n in (0..=200u8).map(|n| n.wrapping_mul(77)) {
            newest.add(id(n), Some(u64::from(n % 3)));
            all.push(id(n));
            all.sort_unstable();
            assert_eq!(newest.ids, Newest::last_of(&all));
            assert_eq!((newest.count, newest.is_all()), (all.len() as u64, all.len() <= IDS_MAX));
        }
        assert_eq!(newest.sum, [all.iter().fold(0, |sum, id| sum ^ id.0[0]); 16]);
    }
}
