//! What a fault came to: counted in the store, on the phones and in the metrics, held against the promises, and printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use otodoke_common::message::State;
use otodoke_common::wire::decode_row;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::house::House;
use crate::load::{Accepted, phone};

const LOOKS_IN_FLIGHT: usize = 16;
/// Messages in the store, by how far they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) rows: usize,
    pub(crate) delivered: usize,
    pub(crate) gave_up: usize,
    pub(crate) ended: usize,
}

impl Standing {
    pub(crate) fn of(house: &House) -> Self {
        let mut standing = Self::default();
        for line in house.query("SELECT encode(body, 'hex') FROM message").lines() {
            let body = data_encoding::HEXLOWER.decode(line.as_bytes()).expect("the server writes hex");
            standing.rows += 1;
            match decode_row(&body).expect("a row").state {
                State::Delivered => standing.delivered += 1,
                State::GaveUp { .. } => standing.gave_up += 1,
                State::Ended { .. } => standing.ended += 1,
                State::Queued | State::Sending { .. } | State::Awaiting { .. } | State::Retrying { .. } => {}
            }
        }
        standing
    }

    pub(crate) fn settled(&self) -> usize {
        self.delivered + self.gave_up + self.ended
    }
}

/// What was done, and when.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Before it, the door alone.
    pub(crate) accepted_in_s: f64,
    /// Delivered when it struck.
    pub(crate) delivered_before: usize,
    pub(crate) settled_after_s: f64,
}

pub(crate) struct Figures {
    pub(crate) fault: Fault,
    pub(crate) accepted: usize,
    pub(crate) refusals: usize,
    pub(crate) standing: Standing,
    /// Rows that have an end, and entries of the due list that are alive: two tables that must agree.
    pub(crate) ended: usize,
    pub(crate) live: usize,
    /// Accepted ids that the store does not know.
    pub(crate) lost: usize,
    /// Phones that got no text.
    pub(crate) without_text: usize,
    pub(crate) extra_texts: usize,
    /// On the phone of whoever asked last.
    pub(crate) texts_of_last: usize,
    pub(crate) counted: u64,
}

impl Figures {
    pub(crate) async fn of(fault: Fault, house: &House, accepted: &Accepted) -> Self {
        let stored = house.query("SELECT id FROM message");
        let stored: BTreeSet<&str> = stored.lines().collect();
        let number = |sql: &str| house.query(sql).parse::<usize>().expect("a count");
        let texts = texts(house, accepted).await;
        Self {
            fault,
            accepted: accepted.ids.len(),
            refusals: accepted.refusals,
            standing: Standing::of(house),
            ended: number("SELECT count(*) FROM message WHERE ended_at IS NOT NULL"),
            live: number("SELECT count(*) FROM due WHERE live"),
            lost: accepted.ids.values().filter(|id| !stored.contains(id.as_str())).count(),
            without_text: texts.values().filter(|texts| **texts == 0).count(),
            extra_texts: texts.values().map(|texts| texts.saturating_sub(1)).sum(),
            texts_of_last: texts.values().next_back().copied().unwrap_or_default(),
            counted: house.counted().await,
        }
    }

    /// Figures for people, and the promises.
    pub(crate) fn account(&self) {
        let row = self.row();
        println!("{row}");
        assert!(self.fault.delivered_before < self.accepted, "the fault came too late to matter: {row}");
        assert_eq!(self.lost, 0, "accepted and lost: {row}");
        assert_eq!(self.standing.rows, self.accepted, "rows for those who were accepted, and no others: {row}");
        assert_eq!(self.ended + self.live, self.accepted, "accepted = ended + live: {row}");
        assert_eq!(self.standing.delivered, self.accepted, "all phones work, so all are delivered: {row}");
        assert_eq!(self.without_text, 0, "delivered without a text: {row}");
        assert!(self.extra_texts as u64 <= self.counted, "extra texts that nobody counted: {row}");
    }

    fn row(&self) -> String {
        let Self { fault, accepted, refusals, standing, ended, live, lost, extra_texts, counted, .. } = self;
        let Fault { name, accepted_in_s, delivered_before, settled_after_s } = fault;
        let delivered = standing.delivered;
        format!(
            "| {name} | {accepted} accepted, at first in {accepted_in_s:.1} s | {refusals} asked again | {delivered} delivered, \
             {delivered_before} before | {ended} ended + {live} live | {lost} lost | {extra_texts} extra texts | \
             {counted} counted | settled after {settled_after_s:.1} s |"
        )
    }
}

/// How many texts each phone got, by person.
async fn texts(house: &House, accepted: &Accepted) -> BTreeMap<usize, usize> {
    let room = Arc::new(Semaphore::new(LOOKS_IN_FLIGHT));
    let mut looking = JoinSet::new();
    for person in accepted.ids.keys().copied() {
        let permit = Arc::clone(&room).acquire_owned().await.expect("nobody closes the semaphore");
        let phones = house.phones.clone();
        looking.spawn(async move {
            let _permit = permit;
            (person, phones.handset(&phone(person)).await.texts.len())
        });
    }
    looking.join_all().await.into_iter().collect()
}
