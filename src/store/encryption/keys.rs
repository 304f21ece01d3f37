//! The keys of a repository, all from one master: for the names of content, for packs, for records,
//! for the settings.

use zeroize::{Zeroize, Zeroizing};

use super::super::Error;
use super::algorithm::Algorithm;

/// The master key of one repository, and how it is used.
#[derive(Clone)]
pub struct Keys {
    pub(super) algorithm: Algorithm,
    /// The repository's id, 32 hex digits: no key of one repository is a key of another.
    pub(super) repository: String,
    pub(super) master: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// New ones for a repository.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn random(algorithm: Algorithm, repository: &str) -> Result<Keys, Error> {
        let mut master = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *master).map_err(|_| Error::Random)?;
        Ok(Keys { algorithm, repository: repository.to_owned(), master })
    }

    /// The same for everybody who knows the repository's id: for tests that look at other things.
    #[cfg(feature = "testing")]
    pub(in crate::store) fn for_tests(algorithm: Algorithm, repository: &str) -> Keys {
        let master = Zeroizing::new(blake3::derive_key("jellyvault tests", repository.as_bytes()));
        Keys { algorithm, repository: repository.to_owned(), master }
    }

    /// The id of the repository that they are for.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The cipher.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A key for one purpose.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new(self.master.to_vec());
        material.extend_from_slice(self.repository.to_ascii_lowercase().as_bytes());
        let key = Zeroizing::new(blake3::derive_key(
            &format!("jellyvault 2026-12-01 {purpose}"),
            &material,
        ));
        material.zeroize();
        key
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.algorithm.name())
    }
}
