//! From a passphrase to a key, slowly: Argon2id, so that guessing costs memory and time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::Error;
use super::secret::Secret;

/// Memory of one guess, in KiB: what a small server can spare.
const MEMORY_KIB: u32 = 64 << 10;
/// Passes over it, at least.
const PASSES_MIN: u32 = 3;
/// What is refused when it is read: a strange slot must not take all memory or hours.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;
/// How long one guess should take on the machine that makes the slot.
const TARGET: Duration = Duration::from_secs(1);

/// How much work one guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kdf {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Kdf {
    /// As much work as takes this machine about a second, and at least 64 MiB with three passes.
    ///
    /// # Errors
    /// Where the memory cannot be had.
    pub fn calibrated() -> Result<Kdf, Error> {
        #[cfg(feature = "testing")]
        if let Some(fast) = super::for_tests::kdf() {
            return Ok(fast);
        }
        let least = Kdf { memory_kib: MEMORY_KIB, passes: PASSES_MIN, lanes: 1 };
        let start = Instant::now();
        least.derive(&Secret::new(b"how fast is this machine?".to_vec()), &[0; 16])?;
        let rounds = TARGET.as_secs_f64() / start.elapsed().as_secs_f64().max(0.001);
        Ok(Kdf {
            passes: ((f64::from(PASSES_MIN) * rounds) as u32).clamp(PASSES_MIN, PASSES_MAX / 2),
            ..least
        })
    }

    /// Whether it asks for no more than a machine can be expected to give.
    pub(super) fn is_bearable(&self) -> bool {
        let memory_min = self.lanes.saturating_mul(8);
        (memory_min..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (1..=PASSES_MAX).contains(&self.passes)
            && (1..=LANES_MAX).contains(&self.lanes)
    }

    /// The key of a passphrase.
    pub(super) fn derive(
        &self,
        secret: &Secret,
        salt: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 32]>, Error> {
        let failed = |error: argon2::Error| Error::Key {
            what: format!("the passphrase could not be turned into a key ({error})"),
        };
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(failed)?;
        let mut key = Zeroizing::new([0; 32]);
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(secret.bytes(), salt, &mut *key)
            .map_err(failed)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_would_stop_a_machine_is_not_begun() {
        let kdf = |memory_kib, passes, lanes| Kdf { memory_kib, passes, lanes };
        assert!(
            kdf(MEMORY_KIB, 3, 1).is_bearable()
                && kdf(MEMORY_KIB_MAX, PASSES_MAX, LANES_MAX).is_bearable()
        );
        for (memory, passes, lanes) in [
            (MEMORY_KIB_MAX + 1, 3, 1),
            (MEMORY_KIB, PASSES_MAX + 1, 1),
            (MEMORY_KIB, 3, 17),
            (7, 1, 1),
            (64, 0, 1),
            (64, 1, 0),
            (u32::MAX, 1, u32::MAX),
        ] {
            assert!(!kdf(memory, passes, lanes).is_bearable(), "{memory} {passes} {lanes}");
        }
    }
}
