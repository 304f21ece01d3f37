//! What a parity file promises.

use proptest::prelude::*;

use super::*;

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_derive_key("jellyvault parity").update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    /// Damage in one run of the promised share, wherever it begins, whatever is done to the bytes.
    #[test]
    fn a_run_of_damage_of_the_promised_share_is_mended(len in 1usize..600_000, permille in 1u32..300, from in 0.0f64..1.0, how in any::<u8>()) {
        let bytes = noise(len);
        let parity = Parity::decode(&Parity::of(&[7; 16], &bytes, permille).unwrap().encode()).unwrap();
        let run = (len * permille as usize / 1000).max(1);
        let start = ((len - run) as f64 * from) as usize;
        let mut damaged = bytes.clone();
        for byte in &mut damaged[start..start + run] {
            *byte = byte.wrapping_add(how | 1);
        }
        prop_assert_eq!(parity.mend(&damaged), Some(bytes.clone()));
        // Cut off at its end by as much.
        prop_assert_eq!(parity.mend(&bytes[..len - run]), Some(bytes.clone()));
        let longer = [bytes.as_slice(), b"something behind the end"].concat();
        prop_assert_eq!(parity.mend(&longer), Some(bytes));
    }

    /// As many single bytes anywhere as there are recovery blocks.
    #[test]
    fn scattered_damage_is_mended_up_to_the_number_of_recovery_blocks(len in 200_000usize..400_000, places in proptest::collection::vec(any::<prop::sample::Index>(), 1..12)) {
        let bytes = noise(len);
        let parity = Parity::of(&[7; 16], &bytes, 100).unwrap();
        let mut damaged = bytes.clone();
        for place in places {
            damaged[place.index(len)] ^= 0x20;
        }
        let is_mendable = parity.wrong_blocks(&damaged).len() <= parity.recovery.len();
        prop_assert_eq!(parity.mend(&damaged), is_mendable.then_some(bytes));
    }
}

#[test]
fn too_much_damage_is_not_mended_into_something_else() {
    let bytes = noise(300_000);
    let parity = Parity::of(&[7; 16], &bytes, 10).unwrap();
    let mut damaged = bytes.clone();
    damaged[..30_000].fill(0);
    assert_eq!(parity.mend(&damaged), None);
    assert_eq!(parity.mend(&[]), None);
}

#[test]
fn the_file_has_golden_bytes_and_a_flip_anywhere_in_it_is_found_or_costs_one_recovery_block() {
    let bytes = noise(2000);
    let file = Parity::of(&[7; 16], &bytes, 30).unwrap().encode();
    let hex: String = file.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, include_str!("golden/parity.hex").trim());
    let whole = Parity::decode(&file).unwrap();
    assert_eq!((whole.damaged_blocks(), whole.sums.len(), whole.recovery.len()), (0, 4, 2));
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x04;
        match Parity::decode(&damaged) {
            Err(_) => {}
            Ok(parity) => assert_eq!(parity.damaged_blocks(), 1, "byte {at}"),
        }
    }
    for len in 0..file.len() {
        assert!(Parity::decode(&file[..len]).map_or(true, |parity| parity.damaged_blocks() > 0), "cut at {len}");
    }
}
