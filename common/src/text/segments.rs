//! How many SMS segments a text costs: GSM 03.38 where every character fits, else UCS-2.
//!
//! This is the standard's count, with the six-byte header that joins the parts. Where a vendor documents that it bills
//! otherwise, `Counting` says so; what it bills by carrier is counted as the dearest of them.

use serde::{Deserialize, Serialize};

const GSM7_SINGLE: usize = 160;
const GSM7_PART: usize = 153;
const UCS2_SINGLE: usize = 70;
const UCS2_PART: usize = 67;
const ALIKE_PART: usize = 66;

/// The basic table without the escape; each costs one septet.
const GSM7_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                          ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table; each costs an escape and a septet.
const GSM7_EXTENSION: &str = "\u{c}^{}\\[~]|€";
/// What of the basic table is ASCII, a bit for each: most characters of most texts.
const GSM7_ASCII: u128 = {
    let (table, mut bits, mut at) = (GSM7_BASIC.as_bytes(), 0, 0);
    while at < table.len() {
        if table[at].is_ascii() {
            bits |= 1 << table[at];
        }
        at += 1;
    }
    bits
};

/// How a vendor counts what it bills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    #[default]
    Standard,
    /// Every character alike, 70 in one text and 66 in each of several, and the end of a line as two (SMSLINK, to docomo).
    Alike,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

impl Encoding {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }
}

/// What a text costs on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// Septets of GSM-7, or UTF-16 units of UCS-2.
    pub units: usize,
    /// An empty text still is one segment.
    pub count: u32,
}

pub fn segments(text: &str, counting: Counting) -> Segments {
    match counting {
        Counting::Standard if text.chars().all(|c| septets(c).is_some()) => {
            pack(Encoding::Gsm7, counting, text.chars().filter_map(septets))
        }
        Counting::Standard => pack(Encoding::Ucs2, counting, text.chars().map(char::len_utf16)),
        Counting::Alike => pack(Encoding::Ucs2, counting, text.chars().map(|c| c.len_utf16() + usize::from(c == '\n'))),
    }
}

/// How many units fit into `count` segments at best.
pub(super) const fn capacity(encoding: Encoding, counting: Counting, count: u32) -> usize {
    let (single, part) = limits(encoding, counting);
    if count <= 1 { single } else { part.saturating_mul(count as usize) }
}

const fn limits(encoding: Encoding, counting: Counting) -> (usize, usize) {
    match (encoding, counting) {
        (Encoding::Gsm7, _) => (GSM7_SINGLE, GSM7_PART),
        (Encoding::Ucs2, Counting::Standard) => (UCS2_SINGLE, UCS2_PART),
        (Encoding::Ucs2, Counting::Alike) => (UCS2_SINGLE, ALIKE_PART),
    }
}

fn septets(c: char) -> Option<usize> {
    let usual = c.is_ascii() && GSM7_ASCII >> u32::from(c) & 1 == 1;
    if usual || GSM7_BASIC.contains(c) {
        Some(1)
    } else if GSM7_EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// Fills part after part; a character that costs two units never straddles two parts.
fn pack(encoding: Encoding, counting: Counting, costs: impl Iterator<Item = usize> + Clone) -> Segments {
    let (single, part) = limits(encoding, counting);
    let units = costs.clone().sum();
    if units <= single {
        return Segments { encoding, units, count: 1 };
    }
    let (mut count, mut used) = (1, 0);
    for cost in costs {
        if used + cost > part {
            count += 1;
            used = 0;
        }
        used += cost;
    }
    Segments { encoding, units, count }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, encoding: Encoding, units: usize, count: u32) {
        assert_eq!(segments(text, Counting::Standard), Segments { encoding, units, count }, "{text:?}");
    }

    #[test]
    fn limits_are_those_of_the_standard() {
        check("", Encoding::Gsm7, 0, 1);
        check(&"a".repeat(160), Encoding::Gsm7, 160, 1);
        check(&"a".repeat(161), Encoding::Gsm7, 161, 2);
        check(&"a".repeat(306), Encoding::Gsm7, 306, 2);
        check(&"a".repeat(307), Encoding::Gsm7, 307, 3);
        check(&"あ".repeat(70), Encoding::Ucs2, 70, 1);
        check(&"あ".repeat(71), Encoding::Ucs2, 71, 2);
        check(&"あ".repeat(134), Encoding::Ucs2, 134, 2);
        check(&"あ".repeat(135), Encoding::Ucs2, 135, 3);
    }

    #[test]
    fn one_character_outside_the_table_makes_the_whole_text_ucs2() {
        for (c, encoding) in
            [('é', Encoding::Gsm7), ('ê', Encoding::Ucs2), ('`', Encoding::Ucs2), ('€', Encoding::Gsm7)]
        {
            assert_eq!(segments(&format!("code {c}"), Counting::Standard).encoding, encoding, "{c}");
        }
        assert_eq!(segments("no\u{a0}break", Counting::Standard).encoding, Encoding::Ucs2);
    }

    #[test]
    fn a_vendor_may_count_every_character_alike() {
        let count = |text: &str| segments(text, Counting::Alike).count;
        assert_eq!((count(&"a".repeat(70)), count(&"a".repeat(71)), count(&"a".repeat(160))), (1, 2, 3));
        assert_eq!((count(&"あ".repeat(132)), count(&"あ".repeat(133))), (2, 3));
        assert_eq!(count(&format!("{}\n{}", "あ".repeat(34), "あ".repeat(35))), 2, "the end of a line is two");
    }

    #[test]
    fn an_escaped_pair_is_never_split() {
        check(&"€".repeat(80), Encoding::Gsm7, 160, 1);
        check(&"€".repeat(153), Encoding::Gsm7, 306, 3);
        check(&format!("{}€{}", "a".repeat(152), "a".repeat(152)), Encoding::Gsm7, 306, 3);
    }

    #[test]
    fn a_surrogate_pair_is_never_split() {
        check(&"😀".repeat(35), Encoding::Ucs2, 70, 1);
        check(&"😀".repeat(67), Encoding::Ucs2, 134, 3);
    }

    #[test]
    fn the_tables_hold_what_seven_bits_hold() {
        assert_eq!(GSM7_BASIC.chars().count(), 127, "128 positions less the escape");
        assert_eq!(GSM7_EXTENSION.chars().count(), 10);
    }

    proptest! {
        #[test]
        fn segments_hold_their_text_and_waste_little(text in "[a-z€あ😀]{0,400}") {
            let cost = segments(&text, Counting::Standard);
            let count = cost.count as usize;
            let (single, part) = limits(cost.encoding, Counting::Standard);
            prop_assert!(cost.units <= capacity(cost.encoding, Counting::Standard, cost.count));
            // Each full part wastes one unit at most: half of a character that did not fit.
            prop_assert!(count == 1 || (cost.units > single && cost.units > (part - 1) * (count - 1)));
        }

        #[test]
        fn a_longer_text_never_costs_less(text in "\\PC{0,200}", more in "\\PC{0,20}") {
            let longer = format!("{text}{more}");
            // Within one encoding; a character outside GSM-7 can only make it dearer.
            for counting in [Counting::Standard, Counting::Alike] {
                prop_assert!(segments(&longer, counting).count >= segments(&text, counting).count);
            }
        }
    }
}
