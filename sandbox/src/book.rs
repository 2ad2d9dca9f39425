//! Every text and call the carriers know, by reference and by handset: in memory up to named limits, on disk by the journal.
//! A text is entered here first, so that a repeat is seen at once, and shown to nobody before it is committed.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::SandboxError;
use crate::call::{Call, CallEntry, CallStatus, Progress};
use crate::clock;
use crate::journal::{Journal, JournalError, Line};
use crate::number::HandsetNumber;
use crate::scenario::{Carrier, Reaction, Scenario, Telling};
use crate::text::{Draft, Text, TextEntry};

const TEXTS_PER_HANDSET_MAX: usize = 100;
const CALLS_PER_HANDSET_MAX: usize = 50;
/// Texts of all handsets together; the oldest go first.
const TEXTS_MAX: usize = 20_000;
const CALLS_MAX: usize = 10_000;
/// How far back the page looks for phones that are in use.
const LATEST_SCAN_MAX: usize = 500;
/// Receipts owed for longer than this are not sent after a restart.
const RECEIPT_OWED_MS_MAX: i64 = 3_600_000;

pub(crate) struct Book {
    journal: Journal,
    shelves: Mutex<Shelves>,
    /// Grows with every change the page could show; starts at the time, so that it differs from any former run's.
    version: AtomicU64,
}

#[derive(Default)]
struct Shelves {
    texts: HashMap<(Carrier, String), Arc<TextEntry>>,
    texts_by_age: VecDeque<Arc<TextEntry>>,
    calls: HashMap<String, Arc<CallEntry>>,
    calls_by_age: VecDeque<Arc<CallEntry>>,
    handsets: HashMap<HandsetNumber, Handset>,
}

/// One phone: what its carriers hold for it, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Handset {
    pub(crate) texts: VecDeque<Arc<TextEntry>>,
    pub(crate) calls: VecDeque<Arc<CallEntry>>,
}

pub(crate) enum Taken {
    Accepted(Arc<TextEntry>),
    Throttled,
    /// This reference was taken before.
    Duplicate,
}

/// What a former run had not finished.
pub(crate) struct Unfinished {
    pub(crate) texts: Vec<Arc<TextEntry>>,
    pub(crate) calls: Vec<Arc<CallEntry>>,
}

impl Book {
    pub(crate) fn open(dir: &Path) -> Result<(Self, Unfinished), SandboxError> {
        let (journal, lines) = Journal::open(dir)?;
        let mut shelves = Shelves::default();
        let unfinished = shelves.replay(lines);
        let version = AtomicU64::new(u64::try_from(clock::now_ms()).unwrap_or(0));
        Ok((Self { journal, shelves: Mutex::new(shelves), version }, unfinished))
    }

    /// Takes a text for a handset: decides what becomes of it and commits it. `settle_ms` is how long its verdict takes.
    pub(crate) async fn take_text(&self, draft: Draft, settle_ms: u64) -> Result<Taken, JournalError> {
        let entry = match self.enter(draft, settle_ms) {
            Ok(entry) => entry,
            Err(refused) => return Ok(refused),
        };
        if let Err(error) = self.journal.append(&Line::Text(Arc::clone(&entry.text))).await {
            self.shelves().strike(&entry);
            return Err(error);
        }
        entry.committed.store(true, Ordering::Release);
        self.changed();
        Ok(Taken::Accepted(entry))
    }

    fn enter(&self, draft: Draft, settle_ms: u64) -> Result<Arc<TextEntry>, Taken> {
        let mut shelves = self.shelves();
        if let Some(entry) = shelves.texts.get(&(draft.carrier, draft.reference.clone())) {
            entry.rejected_repeats.fetch_add(1, Ordering::AcqRel);
            return Err(Taken::Duplicate);
        }
        let fate = match Scenario::of(&draft.number).on_text(draft.carrier, shelves.first_carrier(&draft)) {
            Reaction::Take(fate) => fate,
            Reaction::Throttle => return Err(Taken::Throttled),
        };
        let at_ms = clock::now_ms();
        let settles_at_ms = match fate.telling {
            Telling::Once => Some(at_ms.saturating_add_unsigned(settle_ms)),
            Telling::Never => None,
            Telling::Disordered => Some(at_ms),
        };
        let entry = TextEntry::new(Text { draft, at_ms, settles_at_ms, fate });
        shelves.put_text(&entry);
        Ok(entry)
    }

    pub(crate) fn told(&self, text: &Text) {
        self.journal.note(&Line::Told { carrier: text.draft.carrier, reference: text.draft.reference.clone() });
    }

    pub(crate) async fn take_call(&self, call: Call) -> Result<Arc<CallEntry>, JournalError> {
        let entry = CallEntry::new(call);
        self.journal.append(&Line::Call(Arc::clone(&entry.call))).await?;
        self.shelves().put_call(&entry);
        self.changed();
        Ok(entry)
    }

    /// Changes how far a call came. What is over stays as it is.
    pub(crate) fn advance(&self, entry: &CallEntry, change: impl FnOnce(&mut Progress)) {
        change(&mut entry.progress());
        self.changed();
    }

    pub(crate) fn hear(&self, entry: &CallEntry, line: &str) {
        entry.hear(line);
        self.changed();
    }

    pub(crate) async fn end_call(&self, entry: &CallEntry, status: CallStatus) -> Result<(), JournalError> {
        self.advance(entry, |progress| {
            progress.status = status;
            progress.ended_at_ms = Some(clock::now_ms());
        });
        let progress = entry.progress().clone();
        self.journal.append(&Line::CallEnded { reference: entry.call.reference.clone(), progress }).await
    }

    pub(crate) fn text(&self, carrier: Carrier, reference: &str) -> Option<Arc<TextEntry>> {
        let entry = self.shelves().texts.get(&(carrier, reference.to_owned())).cloned();
        entry.filter(|entry| entry.committed.load(Ordering::Acquire))
    }

    pub(crate) fn call(&self, reference: &str) -> Option<Arc<CallEntry>> {
        self.shelves().calls.get(reference).cloned()
    }

    /// A carrier's texts, oldest first.
    pub(crate) fn texts_of(&self, carrier: Carrier) -> Vec<Arc<TextEntry>> {
        let shelves = self.shelves();
        let texts = shelves.texts_by_age.iter().filter(|entry| entry.text.draft.carrier == carrier);
        texts.filter(|entry| entry.committed.load(Ordering::Acquire)).cloned().collect()
    }

    /// What one phone holds; empty for a phone nobody wrote to.
    pub(crate) fn handset(&self, number: &HandsetNumber) -> Handset {
        let mut handset = self.shelves().handsets.get(number).cloned().unwrap_or_default();
        handset.texts.retain(|entry| entry.committed.load(Ordering::Acquire));
        handset
    }

    /// The phones something happened to last, the latest first.
    pub(crate) fn latest(&self, count: usize) -> Vec<HandsetNumber> {
        let shelves = self.shelves();
        let texts = shelves.texts_by_age.iter().rev().take(LATEST_SCAN_MAX);
        let calls = shelves.calls_by_age.iter().rev().take(LATEST_SCAN_MAX);
        let mut happened: Vec<_> = texts.map(|entry| (entry.text.at_ms, &entry.text.draft.number)).collect();
        happened.extend(calls.map(|entry| (entry.call.at_ms, &entry.call.number)));
        happened.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
        let mut numbers: Vec<HandsetNumber> = Vec::with_capacity(count);
        for (_, number) in happened {
            if numbers.len() < count && !numbers.contains(number) {
                numbers.push(number.clone());
            }
        }
        numbers
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) async fn close(&self) {
        self.journal.close().await;
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().expect("no code panics while it holds the book")
    }
}

impl Shelves {
    /// Puts every line of the journal back in its place and says what was left undone.
    fn replay(&mut self, lines: Vec<Line>) -> Unfinished {
        let owed_since_ms = clock::now_ms() - RECEIPT_OWED_MS_MAX;
        let mut untold = HashMap::new();
        for line in lines {
            match line {
                Line::Text(text) => {
                    let entry = TextEntry::recalled(text);
                    if entry.text.fate.telling != Telling::Never && entry.text.at_ms >= owed_since_ms {
                        untold
                            .insert((entry.text.draft.carrier, entry.text.draft.reference.clone()), Arc::clone(&entry));
                    }
                    self.put_text(&entry);
                }
                Line::Told { carrier, reference } => {
                    untold.remove(&(carrier, reference));
                }
                Line::Call(call) => self.put_call(&CallEntry::recalled(call)),
                Line::CallEnded { reference, progress } => {
                    if let Some(entry) = self.calls.get(&reference) {
                        *entry.progress() = progress;
                    }
                }
            }
        }
        let cut_off = |entry: &&Arc<CallEntry>| !entry.progress().status.is_over();
        Unfinished {
            texts: untold.into_values().collect(),
            calls: self.calls_by_age.iter().filter(cut_off).cloned().collect(),
        }
    }

    fn first_carrier(&self, draft: &Draft) -> Option<Carrier> {
        let handset = self.handsets.get(&draft.number)?;
        handset.texts.iter().find(|entry| entry.text.repeats(draft)).map(|entry| entry.text.draft.carrier)
    }

    fn put_text(&mut self, entry: &Arc<TextEntry>) {
        let draft = &entry.text.draft;
        self.texts.insert((draft.carrier, draft.reference.clone()), Arc::clone(entry));
        self.texts_by_age.push_back(Arc::clone(entry));
        let handset = self.handsets.entry(draft.number.clone()).or_default();
        handset.texts.push_back(Arc::clone(entry));
        if handset.texts.len() > TEXTS_PER_HANDSET_MAX {
            handset.texts.pop_front();
        }
        if self.texts_by_age.len() > TEXTS_MAX
            && let Some(oldest) = self.texts_by_age.front().cloned()
        {
            self.strike(&oldest);
        }
    }

    /// Takes a text out everywhere: it could not be committed, or its place is needed.
    fn strike(&mut self, entry: &Arc<TextEntry>) {
        let draft = &entry.text.draft;
        self.texts.remove(&(draft.carrier, draft.reference.clone()));
        remove(&mut self.texts_by_age, entry);
        if let Some(handset) = self.handsets.get_mut(&draft.number) {
            remove(&mut handset.texts, entry);
        }
        self.forget_if_empty(&draft.number);
    }

    fn put_call(&mut self, entry: &Arc<CallEntry>) {
        self.calls.insert(entry.call.reference.clone(), Arc::clone(entry));
        self.calls_by_age.push_back(Arc::clone(entry));
        let handset = self.handsets.entry(entry.call.number.clone()).or_default();
        handset.calls.push_back(Arc::clone(entry));
        if handset.calls.len() > CALLS_PER_HANDSET_MAX {
            handset.calls.pop_front();
        }
        if self.calls_by_age.len() > CALLS_MAX
            && let Some(oldest) = self.calls_by_age.pop_front()
        {
            self.calls.remove(&oldest.call.reference);
            if let Some(handset) = self.handsets.get_mut(&oldest.call.number) {
                remove(&mut handset.calls, &oldest);
            }
            self.forget_if_empty(&oldest.call.number);
        }
    }

    fn forget_if_empty(&mut self, number: &HandsetNumber) {
        if self.handsets.get(number).is_some_and(|handset| handset.texts.is_empty() && handset.calls.is_empty()) {
            self.handsets.remove(number);
        }
    }
}

/// The oldest is at the front, where it is found at once.
fn remove<T>(entries: &mut VecDeque<Arc<T>>, entry: &Arc<T>) {
    if let Some(index) = entries.iter().position(|other| Arc::ptr_eq(other, entry)) {
        entries.remove(index);
    }
}
