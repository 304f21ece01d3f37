//! What a parity file promises.

use proptest::prelude::*;

use super::*;

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new_derive_key("jellyvault parity")
        .update(&len.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
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
        assert!(
            Parity::decode(&file[..len]).map_or(true, |parity| parity.damaged_blocks() > 0),
            "cut at {len}"
        );
    }
}

/// `docs/format.md`, "Parity", worked out by the letter: slowly, and by nothing of the library that
/// computes it.
mod by_the_document {
    use super::*;

    const POLYNOMIAL: u32 = 0x1_002d;
    const BASIS: [u16; 16] = [
        0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72,
        0xb900, 0xfdb8, 0xfb34, 0xff38, 0x991e,
    ];

    /// A number's bits name elements of the basis; their sum as a polynomial over GF(2).
    fn polynomial_of(number: u16) -> u16 {
        BASIS
            .iter()
            .enumerate()
            .filter(|(bit, _)| number >> bit & 1 == 1)
            .fold(0, |sum, (_, element)| sum ^ element)
    }

    /// The way back: the basis brought to reduced form once.
    fn number_of(polynomial: u16, back: &[u16; 16]) -> u16 {
        back.iter()
            .enumerate()
            .filter(|(bit, _)| polynomial >> bit & 1 == 1)
            .fold(0, |sum, (_, number)| sum ^ number)
    }

    fn way_back() -> [u16; 16] {
        // Rows (polynomial, number), reduced so that each has one leading bit that no other has.
        let mut rows: Vec<(u16, u16)> =
            BASIS.iter().enumerate().map(|(bit, element)| (*element, 1 << bit)).collect();
        for bit in (0..16).rev() {
            let at = rows
                .iter()
                .position(|(polynomial, _)| polynomial >> bit & 1 == 1 && polynomial >> bit == 1)
                .unwrap();
            let pivot = rows[at];
            for (other, row) in rows.iter_mut().enumerate() {
                if other != at && row.0 >> bit & 1 == 1 {
                    *row = (row.0 ^ pivot.0, row.1 ^ pivot.1);
                }
            }
        }
        let mut back = [0; 16];
        for (polynomial, number) in rows {
            back[polynomial.trailing_zeros() as usize] = number;
        }
        back
    }

    fn times(a: u16, b: u16, back: &[u16; 16]) -> u16 {
        let (a, b) = (u32::from(polynomial_of(a)), u32::from(polynomial_of(b)));
        let mut product =
            (0..16).filter(|bit| b >> bit & 1 == 1).fold(0u32, |sum, bit| sum ^ (a << bit));
        for bit in (16..31).rev() {
            if product >> bit & 1 == 1 {
                product ^= POLYNOMIAL << (bit - 16);
            }
        }
        number_of(product as u16, back)
    }

    /// a^(2^16 - 2)
    fn inverse(a: u16, back: &[u16; 16]) -> u16 {
        let (mut power, mut result) = (a, 1);
        for _ in 0..15 {
            power = times(power, power, back);
            result = times(result, power, back);
        }
        result
    }

    /// The value at `x` of the polynomial of the smallest degree that has `values` at `points`.
    fn interpolate(points: &[u16], values: &[u16], x: u16, back: &[u16; 16]) -> u16 {
        points.iter().zip(values).fold(0, |sum, (own, value)| {
            let factor = points.iter().filter(|other| *other != own).fold(*value, |term, other| {
                times(term, times(x ^ other, inverse(own ^ other, back), back), back)
            });
            sum ^ factor
        })
    }

    /// The words of a block: in each 64 bytes 32 low bytes and then 32 high ones.
    fn word(block: &[u8], at: usize) -> u16 {
        let (start, within) = (at / 32 * 64, at % 32);
        u16::from_le_bytes([block[start + within], block[start + 32 + within]])
    }

    fn recovery_word(
        blocks: &[Vec<u8>],
        recovery: usize,
        number: usize,
        at: usize,
        back: &[u16; 16],
    ) -> u16 {
        let group = recovery.next_power_of_two();
        let mut sum = 0;
        for (number_of_group, blocks) in blocks.chunks(group).enumerate() {
            let first = (number_of_group + 1) * group;
            let points: Vec<u16> = (first..first + group).map(|point| point as u16).collect();
            // A block that is not there is zeros.
            let values: Vec<u16> =
                (0..group).map(|n| blocks.get(n).map_or(0, |block| word(block, at))).collect();
            sum ^= interpolate(&points, &values, number as u16, back);
        }
        sum
    }

    #[test]
    fn the_recovery_blocks_are_those_that_the_document_describes() {
        let back = way_back();
        assert_eq!(
            (
                times(1, 0x1234, &back),
                times(0x1234, inverse(0x1234, &back), &back),
                times(2, 3, &back)
            ),
            (0x1234, 1, 1)
        );
        // The example of the document.
        let example: Vec<Vec<u8>> = [0x1234u16, 0x5678, 0x9abc]
            .map(|word| {
                (0..64)
                    .map(|at| {
                        if at == 0 {
                            word as u8
                        } else if at == 32 {
                            (word >> 8) as u8
                        } else {
                            0
                        }
                    })
                    .collect()
            })
            .to_vec();
        assert_eq!(
            [0, 1].map(|number| recovery_word(&example, 2, number, 0, &back)),
            [0x0b12, 0xd5e2]
        );
        for (len, permille) in [
            (512 * 5, 200),
            (512 * 11 + 100, 400),
            (512 * 40, 100),
            (300, 1000),
            (512 * 5, 1000),
            (512 * 3, 1000),
            (512 * 9, 700),
        ] {
            let bytes: Vec<u8> =
                (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let parity = Parity::of(&[7; 16], &bytes, permille).unwrap();
            let blocks: Vec<Vec<u8>> = bytes.chunks(512).map(|block| padded(block, 512)).collect();
            let recovery = parity.recovery.len();
            for (number, block) in parity.recovery.iter().flatten().enumerate() {
                for at in [0, 1, 31, 32, 100, 255] {
                    assert_eq!(
                        word(block, at),
                        recovery_word(&blocks, recovery, number, at, &back),
                        "{len} bytes, recovery block {number}, word {at}"
                    );
                }
            }
        }
    }
}
