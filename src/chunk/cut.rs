//! Where is a large file cut? By its content (FastCDC), so that an insertion moves few cuts.

use std::ops::Range;

use super::Class;

/// Cut sizes in bytes: even powers of two; kept in `repo.toml`, because a repository's cuts must
/// never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CutParams {
    /// Files up to this size are one chunk.
    pub whole: u32,
    /// Smallest chunk.
    pub min: u32,
    /// Average chunk.
    pub avg: u32,
    /// Largest chunk.
    pub max: u32,
}

impl CutParams {
    /// The cuts of a class in a new repository.
    pub fn default_for(class: Class) -> CutParams {
        match class {
            Class::Compressed => {
                CutParams { whole: 1 << 20, min: 512 << 10, avg: 1 << 20, max: 4 << 20 }
            }
            Class::Sqlite => {
                CutParams { whole: 64 << 10, min: 16 << 10, avg: 64 << 10, max: 256 << 10 }
            }
            Class::Text | Class::Other => {
                CutParams { whole: 256 << 10, min: 64 << 10, avg: 256 << 10, max: 1 << 20 }
            }
        }
    }

    /// Whether FastCDC takes these sizes, and the limits of an extent hold them.
    pub fn are_valid(&self) -> bool {
        let powers =
            [self.min, self.avg, self.max].iter().all(|size| size.is_power_of_two() && *size >= 64);
        powers
            && self.min <= 1 << 20
            && self.avg <= 4 << 20
            && self.max <= 16 << 20
            && self.min < self.avg
            && self.avg < self.max
            && self.whole <= self.max
    }
}

/// The chunks of `bytes`, which begin at a cut. The last range ends at the end of `bytes`: the
/// caller who will read more holds it back until at least `max` bytes follow its start. The seed, 0
/// for none, is that of an encrypted repository's key: without it nobody can tell where a known
/// file would be cut.
pub fn cuts<'a>(
    bytes: &'a [u8],
    params: &CutParams,
    seed: u64,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let (min, avg, max) = (params.min as usize, params.avg as usize, params.max as usize);
    // What the crate takes where it is not told.
    let level = fastcdc::v2020::Normalization::Level1;
    fastcdc::v2020::FastCDC::with_level_and_seed(bytes, min, avg, max, level, seed)
        .map(|chunk| chunk.offset..chunk.offset + chunk.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random and are the same on every machine.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new_derive_key("jellyvault test noise").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn cut_points_are_golden() {
        let ends = |class| {
            cuts(&noise(8 << 20), &CutParams::default_for(class), 0)
                .map(|r| r.end)
                .collect::<Vec<_>>()
        };
        assert_golden(&ends(Class::Compressed), include_str!("golden/cuts-compressed.txt"));
        assert_golden(&ends(Class::Other), include_str!("golden/cuts-other.txt"));
        assert_golden(&ends(Class::Sqlite), include_str!("golden/cuts-sqlite.txt"));
    }

    #[test]
    fn a_seed_moves_the_cuts() {
        let ends = |seed| {
            cuts(&noise(8 << 20), &CutParams::default_for(Class::Other), seed)
                .map(|r| r.end)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let shared = ends(0).intersection(&ends(7)).count();
        assert!(
            shared <= 2 && ends(7).len() > 8,
            "{shared} of {} cuts are the same",
            ends(7).len()
        );
    }

    fn assert_golden(ends: &[usize], golden: &str) {
        let text: String = ends.iter().map(|end| format!("{end}\n")).collect();
        assert_eq!(text, golden, "cut points are part of the format; they may never change");
    }

    #[test]
    fn default_parameters_are_valid() {
        for class in [Class::Sqlite, Class::Compressed, Class::Text, Class::Other] {
            assert!(CutParams::default_for(class).are_valid());
        }
    }
}
