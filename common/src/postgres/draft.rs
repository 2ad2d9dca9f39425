//! What one group found and what it will write, in memory between the two: what `rules` look at and change.
//!
//! Everything the rules may look at was read under locks before; what they write is collected here and goes out as arrays.

use std::collections::BTreeMap;

use super::write::Ask;
use crate::bucket::Bucket;
use crate::leg::{Leg, LegNumber, ProviderId};
use crate::lifecycle::Note;
use crate::message::{Message, MessageId, Tag};
use crate::store::{Claim, ClaimKind};
use crate::time::Timestamp;
use crate::wire::{WireError, decode_row, encode_notes};

/// Bytes of one payment: when, and how much, big-endian.
const ENTRY_BYTES: usize = 16;

pub(super) struct Draft<'a> {
    asks: &'a [Ask],
    /// The ask that the rules are being applied to.
    pub(super) current: usize,
    /// Bodies of repeats and of claims' holders.
    pub(super) bodies: BTreeMap<MessageId, Vec<u8>>,
    /// Of messages that are saved. They are locked, because what they pay depends on whether their save wins.
    pub(super) locked: BTreeMap<MessageId, u64>,
    pub(super) claims: BTreeMap<(i16, Tag), ClaimRow>,
    pub(super) buckets: BTreeMap<Tag, BucketRow>,
    opened: BTreeMap<MessageId, usize>,
    pub(super) kept: Vec<Kept>,
    pub(super) references: Vec<Reference>,
}

/// Who holds a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) by: MessageId,
    pub(super) fingerprint: Tag,
    pub(super) until: Timestamp,
}

pub(super) struct ClaimRow {
    pub(super) holder: Holder,
    pub(super) change: Change,
}

pub(super) struct BucketRow {
    pub(super) bucket: Bucket,
    pub(super) until: Timestamp,
    pub(super) change: Change,
}

/// What has to happen to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    Add,
    Set,
    Drop,
}

/// A message that is written, by the index of its ask.
pub(super) struct Kept {
    pub(super) ask: usize,
    pub(super) ended_at: Option<i64>,
    pub(super) notes: String,
}

pub(super) struct Reference {
    pub(super) ask: usize,
    pub(super) provider: ProviderId,
    pub(super) reference: String,
    pub(super) leg: LegNumber,
}

impl<'a> Draft<'a> {
    pub(super) fn new(asks: &'a [Ask]) -> Self {
        Self {
            asks,
            current: 0,
            bodies: BTreeMap::new(),
            locked: BTreeMap::new(),
            claims: BTreeMap::new(),
            buckets: BTreeMap::new(),
            opened: BTreeMap::new(),
            kept: Vec::with_capacity(asks.len()),
            references: Vec::new(),
        }
    }
}

impl Draft<'_> {
    pub(super) fn message(&self, id: MessageId) -> Result<Option<Message>, WireError> {
        if let Some(ask) = self.opened.get(&id) {
            return Ok(Some(self.asks[*ask].message().clone()));
        }
        self.bodies.get(&id).map(|body| decode_row(body)).transpose()
    }

    /// The stored version of the current message, which is locked.
    pub(super) fn version(&self) -> Option<u64> {
        self.locked.get(&self.asks[self.current].message().id).copied()
    }

    pub(super) fn holder(&self, claim: &Claim) -> Option<Holder> {
        self.claims.get(&(kind_code(claim.kind), claim.tag)).map(|row| row.holder)
    }

    /// An empty bucket where none is kept.
    pub(super) fn bucket(&self, tag: &Tag) -> Bucket {
        self.buckets.get(tag).map(|row| row.bucket.clone()).unwrap_or_default()
    }

    pub(super) fn put_message(&mut self, message: &Message, notes: &[Note], at: Timestamp) {
        let ended_at = (!message.is_live()).then_some(at.unix_ms());
        self.kept.push(Kept { ask: self.current, ended_at, notes: encode_notes(notes, at) });
        if self.asks[self.current].is_opening() {
            self.opened.insert(message.id, self.current);
        }
    }

    pub(super) fn put_claim(&mut self, claim: &Claim, by: MessageId) {
        let holder = Holder { by, fingerprint: claim.fingerprint, until: claim.until };
        let key = (kind_code(claim.kind), claim.tag);
        let change = self.claims.get(&key).map_or(Change::Add, |row| row.change.then_set());
        self.claims.insert(key, ClaimRow { holder, change });
    }

    pub(super) fn put_bucket(&mut self, tag: Tag, bucket: Bucket, until: Timestamp) {
        let before = self.buckets.get(&tag);
        let change = before.map_or(Change::Add, |row| row.change.then_set());
        let until = before.map_or(until, |row| row.until.max(until));
        self.buckets.insert(tag, BucketRow { bucket, until, change });
    }

    pub(super) fn drop_bucket(&mut self, tag: &Tag) {
        match self.buckets.get_mut(tag) {
            None => {}
            Some(row) if row.change == Change::Add => {
                self.buckets.remove(tag);
            }
            Some(row) => {
                *row = BucketRow { bucket: Bucket::default(), until: Timestamp::from_unix_ms(0), change: Change::Drop };
            }
        }
    }

    pub(super) fn put_reference(&mut self, leg: &Leg, reference: &str) {
        let (provider, reference) = (leg.provider.clone(), reference.to_owned());
        self.references.push(Reference { ask: self.current, provider, reference, leg: leg.number });
    }
}

impl Change {
    /// A row that is new in this group stays one to be added.
    const fn then_set(self) -> Self {
        match self {
            Self::Add => Self::Add,
            Self::Nothing | Self::Set | Self::Drop => Self::Set,
        }
    }
}

/// A tag of another length was not written by us: it equals none.
pub(super) fn tag(bytes: &[u8]) -> Tag {
    Tag(bytes.try_into().unwrap_or([0; 32]))
}

pub(super) const fn kind_code(kind: ClaimKind) -> i16 {
    match kind {
        ClaimKind::Key => 1,
        ClaimKind::Living => 2,
    }
}

pub(super) fn encode_entries(bucket: &Bucket) -> Vec<u8> {
    let bytes = |(at, cost): &(Timestamp, u64)| {
        let mut entry = [0; ENTRY_BYTES];
        entry[..8].copy_from_slice(&at.unix_ms().to_be_bytes());
        entry[8..].copy_from_slice(&cost.to_be_bytes());
        entry
    };
    bucket.0.iter().flat_map(bytes).collect()
}

pub(super) fn decode_entries(bytes: &[u8]) -> Bucket {
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    let entry = |entry: &[u8; ENTRY_BYTES]| {
        let (at, cost) = entry.split_at(8);
        let at = i64::from_be_bytes(at.try_into().expect("eight bytes"));
        (Timestamp::from_unix_ms(at), u64::from_be_bytes(cost.try_into().expect("eight bytes")))
    };
    Bucket(entries.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_comes_back_as_it_was_kept() {
        let bucket =
            Bucket(vec![(Timestamp::from_unix_ms(-5), 1), (Timestamp::from_unix_ms(1_763_805_900_123), u64::MAX)]);
        assert_eq!(decode_entries(&encode_entries(&bucket)), bucket);
    }
}
