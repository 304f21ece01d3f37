//! What the tests' environment asks for: encrypted repositories without a passphrase, and
//! passphrases that cost no time. Not in the program that people get.

use super::algorithm::Algorithm;
use super::kdf::Kdf;
use super::keys::Keys;

const CIPHER: &str = "JELLYVAULT_TEST_CIPHER";
const FAST_KDF: &str = "JELLYVAULT_TEST_FAST_KDF";

/// The cipher of new repositories.
pub(in crate::store) fn cipher_of_new_repositories() -> Option<Algorithm> {
    std::env::var(CIPHER).ok().and_then(|name| Algorithm::named(&name))
}

/// The keys of a repository without slots.
pub(in crate::store) fn keys(algorithm: Algorithm, repository: &str) -> Option<Keys> {
    cipher_of_new_repositories().is_some().then(|| Keys::for_tests(algorithm, repository))
}

pub(super) fn kdf() -> Option<Kdf> {
    std::env::var_os(FAST_KDF).map(|_| Kdf { memory_kib: 64, passes: 1, lanes: 1 })
}
