//! What only a file can show: it is opened again, locked, full, damaged, or too new.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use otodoke_common::broker::{BrokerError, Queue};
use otodoke_common::embedded::{Embedded, EmbeddedLimits, FILE_NAME};
use otodoke_common::message::{Lane, Message, Sealed};
use otodoke_common::outcome::ReportStatus;
use otodoke_common::store::{ClaimKind, Opened, Opening, Store, StoreError};
use otodoke_common::time::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::sample::{
    START, claim, claiming, ended, id, leg, loaded, message, opening, provider, report, save, saved, taken,
};

const NORMAL: Queue = Queue::Lane(Lane::Normal);
/// Where SQLite's file format keeps `user_version`, big-endian.
const USER_VERSION_OFFSET: usize = 60;
const PAGE_BYTES: usize = 4_096;
const SMALL_FILE: EmbeddedLimits =
    EmbeddedLimits { queue_max: 1_000, inbox_max: 1_000, parked_max: 1_000, size_max_mib: Some(1), readers: 2 };

fn fresh_dir() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

fn open(dir: &TempDir) -> Embedded {
    Embedded::open(dir.path(), EmbeddedLimits::default()).expect("the directory opens")
}

fn file_of(dir: &TempDir) -> PathBuf {
    dir.path().join(FILE_NAME)
}

fn refusal(dir: &Path) -> String {
    let refused = Embedded::open(dir, EmbeddedLimits::default()).err();
    refused.expect("the directory must not open").to_string()
}

fn overwrite(path: &Path, offset: usize, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.seek(SeekFrom::Start(offset as u64)).expect("it is long enough");
    file.write_all(bytes).expect("it takes bytes");
}

/// As large as a text may well be: a small file is soon full of them.
fn large(number: u16, shape: impl Fn(Message) -> Message) -> Opening {
    opening(shape(Message { sealed: Some(Sealed("x".repeat(8_192).into())), ..message(number) }))
}

/// Opens messages from `first` on until the file takes no more; says why it does not.
async fn fill(store: &dyn Store, first: u16) -> StoreError {
    let mut refused = None;
    for number in first..first + 2_000 {
        match store.open(large(number, |message| message)).await {
            Ok(opened) => assert_eq!(opened, Opened::New),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    refused.expect("the file must be full by now")
}

#[tokio::test]
async fn what_was_not_settled_is_there_after_a_restart_in_its_order() {
    const BODIES: u32 = 2_500;
    let dir = fresh_dir();
    let embedded = open(&dir);
    let broker = embedded.broker();
    let mut publishers = JoinSet::new();
    for number in 0..BODIES {
        let broker = Arc::clone(&broker);
        publishers.spawn(async move { broker.publish(NORMAL, number.to_be_bytes().to_vec()).await });
    }
    assert!(publishers.join_all().await.into_iter().all(|published| published.is_ok()), "there is room");
    let in_hand = broker.take(NORMAL).await.expect("the broker answers");
    broker.take(NORMAL).await.expect("the broker answers").done().await.expect("the broker answers");
    broker.take(NORMAL).await.expect("the broker answers").park("odd".to_owned()).await.expect("the broker answers");
    embedded.close();
    drop((in_hand, broker));
    let embedded = open(&dir);
    let broker = embedded.broker();
    assert_eq!(broker.backlog(NORMAL).waiting, u64::from(BODIES - 2));
    assert_eq!(broker.parked(10).await.expect("the broker answers").len(), 1);
    for number in std::iter::once(0).chain(3..BODIES) {
        let delivery = broker.take(NORMAL).await.expect("the broker answers");
        assert_eq!(delivery.body, number.to_be_bytes());
        delivery.done().await.expect("the broker answers");
    }
    assert_eq!(broker.backlog(NORMAL).waiting, 0);
    embedded.close();
}

/// Whoever had a body in hand may have died of it: it must not look as if nobody had tried. What only waited was not tried.
#[tokio::test]
async fn a_restart_counts_as_a_taking_of_what_was_in_hand() {
    let dir = fresh_dir();
    let embedded = open(&dir);
    for word in ["one", "two"] {
        embedded.broker().publish(NORMAL, word.into()).await.expect("there is room");
    }
    embedded.close();
    for taken_before in 0..=3 {
        let embedded = open(&dir);
        let broker = embedded.broker();
        let in_hand = broker.take(NORMAL).await.expect("the broker answers");
        assert_eq!((&in_hand.body[..], in_hand.taken_before), (&b"one"[..], taken_before));
        embedded.close();
    }
    let embedded = open(&dir);
    let broker = embedded.broker();
    let _first = broker.take(NORMAL).await.expect("the broker answers");
    let second = broker.take(NORMAL).await.expect("the broker answers");
    assert_eq!((&second.body[..], second.taken_before), (&b"two"[..], 0));
    embedded.close();
}

#[tokio::test]
async fn rows_and_all_that_belongs_to_them_survive_a_restart() {
    let dir = fresh_dir();
    let embedded = open(&dir);
    let store = embedded.store();
    assert_eq!(store.open(claiming(1, claim(ClaimKind::Living, 1), START)).await, Ok(Opened::New));
    let mut current = loaded(&*store, 1).await;
    current.legs.push(leg(1, Some("ref-1")));
    let stored = saved(&*store, save(current)).await;
    let waiting = report("ref-2", ReportStatus::Delivered);
    store.inbox_put(&waiting).await.expect("there is room");
    let (journal, counts) = (store.journal(id(1)).await, store.counts(START).await);
    embedded.close();
    drop(store);
    let embedded = open(&dir);
    let store = embedded.store();
    assert_eq!(loaded(&*store, 1).await, stored);
    assert_eq!((store.journal(id(1)).await, store.counts(START).await), (journal, counts));
    assert_eq!(store.by_reference(&provider(), "ref-1").await, Ok(Some((id(1), 1))));
    let again = store.open(claiming(2, claim(ClaimKind::Living, 1), START)).await;
    assert!(matches!(again, Ok(Opened::Held { .. })), "the claim is still held");
    assert_eq!(taken(&*store, &provider(), "ref-2").await, Ok(vec![waiting]));
    embedded.close();
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_directory() {
    let dir = fresh_dir();
    let embedded = open(&dir);
    let why = refusal(dir.path());
    assert!(why.contains(&std::process::id().to_string()), "{why}");
    assert!(why.contains(&dir.path().display().to_string()), "{why}");
    embedded.close();
    open(&dir).close();
}

#[tokio::test]
async fn after_a_close_writes_are_refused_and_the_directory_is_free() {
    let dir = fresh_dir();
    let embedded = open(&dir);
    let (store, broker) = (embedded.store(), embedded.broker());
    embedded.close();
    open(&dir).close();
    let opened = store.open(opening(message(1))).await;
    assert!(matches!(opened, Err(StoreError::Unavailable { .. })), "{opened:?}");
    let published = broker.publish(NORMAL, b"one".to_vec()).await;
    assert!(matches!(published, Err(BrokerError::Unavailable { .. })), "{published:?}");
}

#[tokio::test]
async fn the_directory_is_its_owners_alone() {
    let parent = fresh_dir();
    let dir = parent.path().join("data");
    let embedded = Embedded::open(&dir, EmbeddedLimits::default()).expect("the directory is made");
    embedded.broker().publish(NORMAL, b"one".to_vec()).await.expect("there is room");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<PathBuf> =
        fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("one").path()).collect();
    assert!(files.len() >= 3, "the lock, the file and its log are there: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    embedded.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_refuses_work_answers_reads_and_recovers_when_there_is_room() {
    let dir = fresh_dir();
    let embedded = Embedded::open(dir.path(), SMALL_FILE).expect("the directory opens");
    let (store, broker) = (embedded.store(), embedded.broker());
    for number in 1..=20 {
        assert_eq!(store.open(large(number, ended)).await, Ok(Opened::New));
    }
    broker.publish(NORMAL, b"one".to_vec()).await.expect("there is room");
    let why = fill(&*store, 100).await;
    assert!(matches!(&why, StoreError::Unavailable { why } if why.contains("full")), "{why}");
    let published = broker.publish(NORMAL, vec![b'x'; 65_536]).await;
    assert!(matches!(published, Err(BrokerError::Unavailable { .. })), "{published:?}");

    let before = store.counts(START).await.expect("reads go on");
    assert_eq!(loaded(&*store, 1).await.id, id(1));
    let mut crowd = JoinSet::new();
    for number in 3_000..3_050 {
        let store = Arc::clone(&store);
        crowd.spawn(async move { store.open(large(number, |message| message)).await });
    }
    for refused in crowd.join_all().await {
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }
    assert_eq!(store.counts(START).await, Ok(before), "nothing was lost, nothing was half written");
    broker.take(NORMAL).await.expect("the broker answers").done().await.expect("settling needs no room");

    let never = Timestamp::from_unix_ms(0);
    assert_eq!(store.prune(START, START.plus_ms(1), never, 100).await, Ok(20));
    assert_eq!(store.open(large(4_000, |message| message)).await, Ok(Opened::New), "there is room again");
    embedded.close();
}

#[tokio::test]
async fn a_damaged_file_refuses_work_answers_reads_and_is_left_as_it_is() {
    let dir = fresh_dir();
    let embedded = open(&dir);
    let store = embedded.store();
    store.setting_put("key/1", Some("one")).await.expect("there is room");
    for number in 1..=100 {
        assert_eq!(store.open(large(number, |message| message)).await, Ok(Opened::New));
    }
    embedded.close();
    drop(store);
    let path = file_of(&dir);
    let pages = fs::read(&path).expect("the file is there").len() / PAGE_BYTES;
    let spared = 60;
    assert!(pages > 2 * spared, "most pages hold messages");
    overwrite(&path, spared * PAGE_BYTES, &vec![0xa5; (pages - spared) * PAGE_BYTES]);

    let embedded = open(&dir);
    let store = embedded.store();
    let refused = store.open(large(200, |message| message)).await;
    assert!(!embedded.broker().outlives_the_store(), "so the door takes nothing into its queue alone");
    assert!(matches!(&refused, Err(StoreError::Unavailable { why }) if why.contains("damaged")), "{refused:?}");
    assert_eq!(store.setting("key/1").await, Ok(Some("one".to_owned())), "what can be read is read");
    assert!(store.load(id(100)).await.is_err(), "what cannot be read is an error, never a missing message");
    embedded.close();
    drop(store);
    assert!(fs::read(&path).expect("the file is there").len() >= pages * PAGE_BYTES, "nothing was cut off");
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused_and_left_as_it_is() {
    let dir = fresh_dir();
    let foreign =
        b"This is not a database, and it is longer than the header of one: a hundred bytes or more. ".repeat(50);
    fs::write(file_of(&dir), &foreign).expect("the file is written");
    let why = refusal(dir.path());
    assert!(why.contains(FILE_NAME), "{why}");
    assert_eq!(fs::read(file_of(&dir)).expect("the file is there"), foreign);
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_as_it_is() {
    let dir = fresh_dir();
    open(&dir).close();
    overwrite(&file_of(&dir), USER_VERSION_OFFSET, &7_000_u32.to_be_bytes());
    let before = fs::read(file_of(&dir)).expect("the file is there");
    let why = refusal(dir.path());
    assert!(why.contains("7000") && why.contains("program"), "{why}");
    assert_eq!(fs::read(file_of(&dir)).expect("the file is there"), before);
}

#[tokio::test]
async fn bodies_that_wait_for_people_are_bounded_in_number_and_in_time() {
    let dir = fresh_dir();
    let limits = EmbeddedLimits { parked_max: 3, ..EmbeddedLimits::default() };
    let embedded = Embedded::open(dir.path(), limits).expect("the directory opens");
    let (broker, store) = (embedded.broker(), embedded.store());
    for number in 0..5_u8 {
        broker.publish(NORMAL, vec![number]).await.expect("there is room");
        let delivery = broker.take(NORMAL).await.expect("the broker answers");
        delivery.park("odd".to_owned()).await.expect("the broker answers");
    }
    let parked_at = broker.parked(1).await.expect("the broker answers")[0].at;
    let left = async |before: Timestamp| {
        store.prune(START, START, before, 100).await.expect("the store answers");
        let parked = broker.parked(100).await.expect("the broker answers");
        parked.into_iter().map(|parked| parked.body).collect::<Vec<_>>()
    };
    assert_eq!(left(parked_at).await, [[2], [3], [4]], "the newest stay");
    assert_eq!(left(parked_at.plus_ms(3_600_000)).await, [[0_u8; 1]; 0], "and none of them for ever");
}
