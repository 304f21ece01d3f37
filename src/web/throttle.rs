//! Wrong passwords slow down whoever sends them, each address for itself: nobody is locked out by
//! another, and nobody for good.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many may be wrong before anybody waits.
const FREE: u32 = 3;
/// Nobody waits longer.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// After so long without a wrong one all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// Addresses that are remembered; beyond them the oldest are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// Wrong passwords by address.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Throttle {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an address has to wait before its next attempt; zero where it may try now.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Duration {
        let Some((wrong, last)) = self.lock().get(&group(address)).copied() else {
            return Duration::ZERO;
        };
        let passed = now.saturating_duration_since(last);
        if wrong < FREE || passed >= FORGOTTEN {
            return Duration::ZERO;
        }
        let wait = Duration::from_secs(1 << (wrong - FREE).min(5)).min(WAIT_MAX);
        wait.saturating_sub(passed)
    }

    /// A wrong password came from an address.
    pub fn wrong(&self, address: IpAddr, now: Instant) {
        let mut all = self.lock();
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGOTTEN);
        }
        if all.len() >= ADDRESSES_MAX
            && let Some(oldest) =
                all.iter().min_by_key(|(_, (_, last))| *last).map(|(address, _)| *address)
        {
            all.remove(&oldest);
        }
        let entry = all.entry(group(address)).or_insert((0, now));
        let is_forgotten = now.saturating_duration_since(entry.1) >= FORGOTTEN;
        *entry = (if is_forgotten { 1 } else { entry.0.saturating_add(1) }, now);
    }

    /// The right one came.
    pub fn right(&self, address: IpAddr) {
        self.lock().remove(&group(address));
    }
}

/// Whoever has one address of IPv6 has 2⁶⁴ of them.
fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => {
                let [a, b, c, d, ..] = address.segments();
                std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        },
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_ones_wait_longer_and_longer_and_others_do_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let [one, other] =
            ["10.0.0.1", "10.0.0.2"].map(|address| address.parse::<IpAddr>().unwrap());
        let waits: Vec<u64> = (0..10)
            .map(|_| {
                throttle.wrong(one, start);
                throttle.wait(one, start).as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(throttle.wait(other, start), Duration::ZERO);
        assert_eq!(throttle.wait(one, start + Duration::from_secs(29)).as_secs(), 1);
        assert_eq!(throttle.wait(one, start + FORGOTTEN), Duration::ZERO);
        throttle.right(one);
        assert_eq!(throttle.wait(one, start), Duration::ZERO);
    }

    #[test]
    fn a_hundred_thousand_addresses_take_no_room() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..30_000u32 {
            throttle.wrong(IpAddr::V4(number.into()), start);
        }
        assert!(throttle.lock().len() <= ADDRESSES_MAX);
        let of_one_net =
            ["2001:db8::1", "2001:db8::ffff:1"].map(|address| group(address.parse().unwrap()));
        assert_eq!(of_one_net[0], of_one_net[1]);
    }
}
