//! What did the last scan see of each file? Fingerprints of stats, in runs that match the leaves of
//! the manifests, so that an unchanged run is known by one comparison, and only a changed one is
//! looked at entry by entry.
//!
//! Never trusted further than its checksums and the manifest that it was made beside; lost or
//! damaged, files are read again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::backend::{CacheFile, open_to_read};
use crate::chunk::ChunkId;
use crate::limits::{NODE_ENTRIES_MAX, PATH_BYTES_MAX};
use crate::store::{Bytes, Truncated, push_bytes, push_varint};

use super::category::Category;
use super::stat::Fingerprint;
use super::verdicts::Verdicts;

const MAGIC: &[u8; 8] = b"JVSCAN\x02\0";
const FOOTER_BYTES: usize = 56;
/// Table of 10⁸ entries and more; a damaged length allocates no more than the file has.
const TABLE_BYTES_MAX: u64 = 1 << 30;

/// A leaf of a manifest as the last scan saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first path.
    pub first: Vec<u8>,
    /// The leaf.
    pub leaf: ChunkId,
    /// Its entries.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Fingerprint of its entries' fingerprints.
    pub sum: Fingerprint,
    /// Whether all of them may be trusted.
    pub trusted: bool,
    /// Offset of its entries' fingerprints in the file.
    block: u64,
}

impl Run {
    /// A run of which only the leaf is known: its entries can be compared, its files must be read.
    pub fn untrusted(first: Vec<u8>, leaf: ChunkId, entries: u64) -> Run {
        Run {
            first,
            leaf,
            entries,
            files: 0,
            bytes: 0,
            sum: Fingerprint::NEVER,
            trusted: false,
            block: u64::MAX,
        }
    }
}

/// One category's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The manifest that the runs are leaves of.
    pub manifest: ChunkId,
    /// The runs, in order.
    pub runs: Vec<Run>,
}

/// A scan cache that was read.
#[derive(Debug)]
pub struct ScanCache {
    file: File,
    sections: Vec<Option<Section>>,
    /// What is known of files that might be databases.
    pub verdicts: Verdicts,
}

impl ScanCache {
    /// Reads a cache; nothing where there is none that can be used.
    pub fn open(path: &Path) -> Option<ScanCache> {
        let file = open_to_read(path).ok()?;
        let size = file.metadata().ok()?.len();
        let at = size.checked_sub(FOOTER_BYTES as u64)?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, at).ok()?;
        let mut fields = Bytes(&footer);
        let (table_at, table_len): (u64, u64) = (fields.u64().ok()?, fields.u64().ok()?);
        let sum: [u8; 32] = fields.array().ok()?;
        if fields.take(8).ok()? != MAGIC
            || table_len > TABLE_BYTES_MAX
            || table_at.checked_add(table_len)? != at
        {
            return None;
        }
        let mut table = vec![0; usize::try_from(table_len).ok()?];
        file.read_exact_at(&mut table, table_at).ok()?;
        if *blake3::hash(&table).as_bytes() != sum {
            return None;
        }
        let (sections, verdicts) = decode_table(&table).ok()?;
        Some(ScanCache { file, sections, verdicts })
    }

    /// A category's runs, if the cache was made beside this manifest.
    pub fn section(&self, category: Category, manifest: &ChunkId) -> Option<&Section> {
        self.sections
            .get(category.number())?
            .as_ref()
            .filter(|section| section.manifest == *manifest)
    }

    /// The fingerprints of a run's entries, in order; nothing where they are damaged.
    pub fn fingerprints(&self, run: &Run) -> Option<Vec<Fingerprint>> {
        let count = usize::try_from(run.entries).ok().filter(|count| *count <= NODE_ENTRIES_MAX)?;
        let mut block = vec![0; count * 16];
        self.file.read_exact_at(&mut block, run.block).ok()?;
        (Fingerprint::of(&block) == run.sum)
            .then(|| block.as_chunks::<16>().0.iter().map(|fp| Fingerprint(*fp)).collect())
    }
}

/// Writes the cache of the scan that is running.
pub struct ScanCacheWriter {
    file: CacheFile,
    waiting: Vec<u8>,
    at: u64,
    runs: Vec<Vec<Run>>,
}

impl ScanCacheWriter {
    /// Begins a cache that will replace the one at `path`.
    pub fn create(path: &Path) -> io::Result<ScanCacheWriter> {
        let runs = Category::ALL.iter().map(|_| Vec::new()).collect();
        Ok(ScanCacheWriter {
            file: CacheFile::begin(path)?,
            waiting: MAGIC.to_vec(),
            at: MAGIC.len() as u64,
            runs,
        })
    }

    /// Adds the next run of a category.
    pub fn push(
        &mut self,
        category: Category,
        first: Vec<u8>,
        leaf: ChunkId,
        counts: (u64, u64),
        fingerprints: &[Fingerprint],
    ) -> io::Result<()> {
        let start = self.waiting.len();
        for fingerprint in fingerprints {
            self.waiting.extend_from_slice(&fingerprint.0);
        }
        let block = self.waiting.get(start..).unwrap_or_default();
        let run = Run {
            first,
            leaf,
            entries: fingerprints.len() as u64,
            files: counts.0,
            bytes: counts.1,
            sum: Fingerprint::of(block),
            trusted: fingerprints.iter().all(Fingerprint::is_trusted),
            block: self.at,
        };
        self.at += block.len() as u64;
        if let Some(runs) = self.runs.get_mut(category.number()) {
            runs.push(run);
        }
        if self.waiting.len() > 1 << 20 {
            self.file.append(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Puts the cache in place, beside these manifests.
    pub fn finish(
        mut self,
        manifests: &HashMap<Category, ChunkId>,
        verdicts: Verdicts,
    ) -> io::Result<()> {
        let table_at = self.at;
        let table = encode_table(&self.runs, manifests, verdicts);
        self.waiting.extend_from_slice(&table);
        self.waiting.extend_from_slice(&table_at.to_le_bytes());
        self.waiting.extend_from_slice(&(table.len() as u64).to_le_bytes());
        self.waiting.extend_from_slice(blake3::hash(&table).as_bytes());
        self.waiting.extend_from_slice(MAGIC);
        self.file.append(&self.waiting)?;
        self.file.finish()
    }
}

fn encode_table(
    runs: &[Vec<Run>],
    manifests: &HashMap<Category, ChunkId>,
    verdicts: Verdicts,
) -> Vec<u8> {
    let mut out = Vec::new();
    for (category, runs) in Category::ALL.iter().zip(runs) {
        let Some(manifest) = manifests.get(category) else {
            out.push(0);
            continue;
        };
        out.push(1);
        out.extend_from_slice(&manifest.0);
        push_varint(&mut out, runs.len() as u64);
        for run in runs {
            push_bytes(&mut out, &run.first);
            out.extend_from_slice(&run.leaf.0);
            for number in [run.entries, run.files, run.bytes, run.block] {
                push_varint(&mut out, number);
            }
            out.extend_from_slice(&run.sum.0);
            out.push(u8::from(run.trusted));
        }
    }
    verdicts.encode(&mut out);
    out
}

fn decode_table(table: &[u8]) -> Result<(Vec<Option<Section>>, Verdicts), Truncated> {
    let mut at = Bytes(table);
    let mut sections = Vec::new();
    for _ in Category::ALL {
        if at.u8()? == 0 {
            sections.push(None);
            continue;
        }
        let manifest = ChunkId(at.array()?);
        let count = at.length(table.len())?;
        let mut runs = Vec::new();
        for _ in 0..count {
            let first = at.prefixed(PATH_BYTES_MAX)?.to_vec();
            let leaf = ChunkId(at.array()?);
            let (entries, files, bytes, block) =
                (at.varint()?, at.varint()?, at.varint()?, at.varint()?);
            runs.push(Run {
                first,
                leaf,
                entries,
                files,
                bytes,
                block,
                sum: Fingerprint(at.array()?),
                trusted: at.u8()? == 1,
            });
        }
        sections.push(Some(Section { manifest, runs }));
    }
    let verdicts = Verdicts::decode(&mut at)?;
    Ok((sections, verdicts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("scan/x.cache");
        let mut writer = ScanCacheWriter::create(&path).unwrap();
        let fp = |n: u8| Fingerprint([n; 16]);
        writer
            .push(Category::Config, b"config".to_vec(), ChunkId([1; 32]), (1, 10), &[fp(1), fp(2)])
            .unwrap();
        writer
            .push(
                Category::Config,
                b"root".to_vec(),
                ChunkId([2; 32]),
                (1, 10),
                &[fp(3), Fingerprint::NEVER],
            )
            .unwrap();
        let manifests = HashMap::from([(Category::Config, ChunkId([9; 32]))]);
        let mut verdicts = Verdicts::default();
        [(7, false), (5, true), (6, false)]
            .into_iter()
            .for_each(|(n, is_database)| verdicts.note(fp(n), is_database));
        writer.finish(&manifests, verdicts).unwrap();
        path
    }

    #[test]
    fn a_cache_comes_back_beside_its_own_manifest_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ScanCache::open(&written(dir.path())).unwrap();
        assert!(cache.section(Category::Config, &ChunkId([8; 32])).is_none());
        assert!(cache.section(Category::Plugins, &ChunkId([9; 32])).is_none());
        let section = cache.section(Category::Config, &ChunkId([9; 32])).unwrap();
        assert_eq!(section.runs.iter().map(|run| run.trusted).collect::<Vec<_>>(), [true, false]);
        assert_eq!(
            cache.fingerprints(&section.runs[1]).unwrap(),
            [Fingerprint([3; 16]), Fingerprint::NEVER]
        );
        assert_eq!(
            [5, 6, 7, 8].map(|n| cache.verdicts.of(&Fingerprint([n; 16]))),
            [Some(true), Some(false), Some(false), None]
        );
    }

    #[test]
    fn a_flipped_byte_anywhere_loses_the_cache_and_never_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let whole = std::fs::read(&path).unwrap();
        let good = ScanCache::open(&path)
            .unwrap()
            .section(Category::Config, &ChunkId([9; 32]))
            .cloned()
            .unwrap();
        for at in 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            #[expect(clippy::disallowed_methods, reason = "a test does damage")]
            std::fs::write(&path, &bytes).unwrap();
            let Some(cache) = ScanCache::open(&path) else { continue };
            // Only a block of fingerprints can have changed unnoticed at opening; it is noticed
            // when it is used.
            assert_eq!(cache.section(Category::Config, &ChunkId([9; 32])), Some(&good));
            assert!(good.runs.iter().any(|run| cache.fingerprints(run).is_none()), "byte {at}");
        }
    }
}
