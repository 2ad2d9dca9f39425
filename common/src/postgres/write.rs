//! A group of openings and saves in one transaction: read under locks, apply the rules in memory, write arrays, commit.
//!
//! Locks are taken in one order everywhere: claims, buckets, messages, each sorted; what is new comes after them, by one
//! statement that is the same for all. Running a group again is safe, because it is only done after nothing of it was written.

mod look;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::Error;

use super::days::{Days, day_of};
use super::draft::{Draft, kind_code};
use super::due;
use super::group::Verb;
use super::rules;
use super::trouble::{Trouble, is_missing_day};
use crate::bucket::{Refund, Spend};
use crate::message::{Message, MessageId, Tag};
use crate::store::{Opened, Opening, Save, Saved, StoreError};
use crate::time::Timestamp;
use crate::wire::{WireError, encode_row};
use look::look;

/// One opening, or one save that pays or refunds, with its body encoded in the caller's task. It is small, for it is moved a
/// dozen times on its way into its group and through it.
pub(super) struct Ask {
    what: What,
    day: i32,
    body: Vec<u8>,
}

enum What {
    Open(Box<Opening>),
    Save(Box<Save>),
}

pub(super) enum Answer {
    Opened(Opened),
    Saved(Saved),
}

impl Ask {
    pub(super) fn open(opening: Opening) -> Self {
        let mut opening = Box::new(opening);
        opening.message.version += 1;
        Self { day: day_of(&opening.message), body: encode_row(&opening.message), what: What::Open(opening) }
    }

    pub(super) fn save(save: Save) -> Self {
        Self { day: day_of(&save.message), body: encode_row(&save.message), what: What::Save(Box::new(save)) }
    }

    pub(super) const fn message(&self) -> &Message {
        match &self.what {
            What::Open(opening) => &opening.message,
            What::Save(save) => &save.message,
        }
    }

    /// When it comes up in the due list.
    pub(super) fn listed_at(&self) -> Option<Timestamp> {
        match &self.what {
            What::Open(opening) => due::first_look(&opening.message, opening.at),
            What::Save(save) => due::listed_at(&save.message, save.at),
        }
    }

    /// `due::stays`
    pub(super) fn stays(&self) -> Option<(Timestamp, Timestamp)> {
        match &self.what {
            What::Open(_) => None,
            What::Save(save) => due::stays(&save.message, save.at),
        }
    }

    pub(super) const fn is_opening(&self) -> bool {
        matches!(self.what, What::Open(_))
    }

    fn spends(&self) -> &[Spend] {
        match &self.what {
            What::Open(opening) => &opening.spends,
            What::Save(save) => &save.spends,
        }
    }

    /// Buckets that something is paid into, or given back to.
    fn paid_buckets(&self) -> impl Iterator<Item = Tag> {
        let refunds: &[Refund] = match &self.what {
            What::Open(_) => &[],
            What::Save(save) => &save.refunds,
        };
        let paid = self.spends().iter().filter(|spend| spend.cost > 0).map(|spend| spend.bucket);
        paid.chain(refunds.iter().map(|refund| refund.bucket))
    }

    /// Buckets that are only looked into, by this one.
    fn looked_buckets(&self) -> impl Iterator<Item = Tag> {
        self.spends().iter().filter(|spend| spend.cost == 0).map(|spend| spend.bucket)
    }

    fn claim_keys(&self) -> Vec<(i16, Tag)> {
        match &self.what {
            What::Open(opening) => opening.claims.iter().map(|claim| (kind_code(claim.kind), claim.tag)).collect(),
            What::Save(_) => Vec::new(),
        }
    }
}

pub(super) struct Write {
    pub(super) days: Arc<Days>,
}

type Answers = Vec<Result<Answer, StoreError>>;

impl Verb for Write {
    type Ask = Ask;
    type Answer = Answer;
    const WRITES: bool = true;

    fn id(ask: &Ask) -> Option<MessageId> {
        Some(ask.message().id)
    }

    /// Nearly every opening is the first of its id. One that is not shows when its row is added, or when it would be refused;
    /// then all is done again, and rows of these ids are looked for before anything is decided.
    async fn run(&self, client: &mut Client, asks: &[Ask]) -> Result<Answers, Trouble> {
        match self.attempt(client, asks, Repeats::Unexpected).await {
            Err(Trouble::Raced { .. }) => self.attempt(client, asks, Repeats::LookedFor).await,
            done => done,
        }
    }
}

/// Whether messages that are to be opened may be there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Unexpected,
    LookedFor,
}

impl Write {
    async fn attempt(&self, client: &mut Client, asks: &[Ask], repeats: Repeats) -> Result<Answers, Trouble> {
        let days: BTreeSet<i32> = asks.iter().filter(|ask| ask.is_opening()).map(|ask| ask.day).collect();
        self.days.ensure(client, days.iter().copied()).await.map_err(|error| Trouble::before_commit(&error))?;
        let transaction = client.transaction().await.map_err(|error| Trouble::before_commit(&error))?;
        let answers = group(&transaction, asks, repeats).await.inspect_err(|halt| {
            if let Halt::Error(error) = halt
                && error.as_db_error().is_some_and(is_missing_day)
            {
                self.days.forget(days);
            }
        })?;
        transaction.commit().await.map_err(|error| Trouble::at_commit(&error))?;
        Ok(answers)
    }
}

/// Why a group stops before its commit.
enum Halt {
    Error(Error),
    /// Rows that were not looked for are there, or rows that were are not.
    Raced,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Error(error) => Self::before_commit(&error),
            Halt::Raced => Self::Raced { why: "the same message was written at the same time".to_owned() },
        }
    }
}

async fn group(transaction: &Transaction<'_>, asks: &[Ask], repeats: Repeats) -> Result<Answers, Halt> {
    let mut draft = Draft::new(asks);
    look(transaction, asks, repeats, &mut draft).await?;
    let mut answers: Answers = Vec::with_capacity(asks.len());
    for (index, ask) in asks.iter().enumerate() {
        draft.current = index;
        let decided: Result<Answer, WireError> = match &ask.what {
            What::Open(opening) => rules::open(&mut draft, opening).map(Answer::Opened),
            What::Save(save) => Ok(Answer::Saved(rules::save(&mut draft, save))),
        };
        answers.push(decided.map_err(|error| StoreError::Refused { why: error.to_string() }));
    }
    if repeats == Repeats::Unexpected && !look::bodies(transaction, refused(asks, &answers)).await?.is_empty() {
        return Err(Halt::Raced);
    }
    rows::write(transaction, asks, &draft).await?;
    Ok(answers)
}

/// Openings that would not open: each may be the repeat of one that did, which counts more than why it is refused.
fn refused(asks: &[Ask], answers: &Answers) -> BTreeSet<MessageId> {
    let decided = asks.iter().zip(answers).filter(|(ask, answer)| {
        let opened = matches!(answer, Ok(Answer::Opened(Opened::New | Opened::Repeat(_))));
        ask.is_opening() && !opened
    });
    decided.map(|(ask, _)| ask.message().id).collect()
}
