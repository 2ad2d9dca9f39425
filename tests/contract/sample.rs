//! Messages, claims, spends and reports to try backends with. Nothing in them is personal.

use otodoke_common::bucket::Spend;
use otodoke_common::leg::{Abilities, Channel, Leg, LegNumber, LegOutcome, ProviderId, RouteClass, RouteId};
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{
    End, Kid, Kind, Lane, Locale, Message, MessageId, Purpose, Sealed, State, Tag, TenantId, Voice,
};
use otodoke_common::outcome::{About, Proof, Report, ReportStatus};
use otodoke_common::phone::{Country, LineType};
use otodoke_common::store::{Claim, ClaimKind, Opened, Opening, Save, Saved, Store, StoreError};
use otodoke_common::time::Timestamp;

pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);
pub(crate) const MINUTE_MS: u64 = 60_000;

/// A queued code, due when it is no longer useful. Equal numbers make equal ids.
pub(crate) fn message(number: u16) -> Message {
    let useful_until = START.plus_ms(5 * MINUTE_MS);
    Message {
        id: id(number),
        tenant: TenantId::parse("acme").expect("a tenant"),
        purpose: Purpose::Login,
        lane: Lane::Normal,
        kind: Kind::Code {
            length: 6,
            kid: Kid::parse("k1").expect("a kid"),
            template: "default".to_owned(),
            domain: None,
        },
        locale: Locale::Ja,
        country: Country::JP,
        line: LineType::Mobile,
        voice: Voice::OnFailure,
        accepted_at: START,
        useful_until,
        sealed: Some(Sealed("c2VhbGVk".into())),
        number_tag: tag(number),
        state: State::Queued,
        legs: Vec::new(),
        guesses_left: 5,
        guesses_open: 0,
        guess_paid_at: None,
        lines_beside: 0,
        resends: 0,
        last_resend_at: None,
        verified: None,
        due: Some(useful_until),
        version: 0,
        stamp: 0,
    }
}

pub(crate) fn ended(message: Message) -> Message {
    Message { state: State::Ended { end: End::Verified }, due: None, ..message }
}

pub(crate) fn id(number: u16) -> MessageId {
    let [high, low] = number.to_be_bytes();
    MessageId::new(START, [0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

pub(crate) fn tag(number: u16) -> Tag {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    Tag(bytes)
}

pub(crate) fn provider() -> ProviderId {
    ProviderId::parse("sakura").expect("a provider")
}

pub(crate) fn leg(number: LegNumber, reference: Option<&str>) -> Leg {
    Leg {
        number,
        channel: Channel::Sms,
        provider: provider(),
        route: RouteId::parse("jp-sakura").expect("a route"),
        class: RouteClass::Domestic,
        sender: "OTODOKE".to_owned(),
        started_at: START,
        ended_at: None,
        outcome: Some(LegOutcome::Submitted),
        reason: None,
        taken: true,
        reference: reference.map(str::to_owned),
        usual_by: START.plus_ms(8_000),
        overdue_after_ms: Some(20_000),
        overdue_at: Some(START.plus_ms(20_000)),
        ask_at: None,
        asks: 0,
        sends: 1,
        abilities: Abilities::default(),
        call: None,
        operator: None,
    }
}

pub(crate) fn opening(message: Message) -> Opening {
    Opening { message, claims: Vec::new(), spends: Vec::new(), notes: vec![accepted()], at: START }
}

pub(crate) fn claiming(number: u16, claim: Claim, at: Timestamp) -> Opening {
    Opening { claims: vec![claim], at, ..opening(message(number)) }
}

/// Held for an hour.
pub(crate) fn claim(kind: ClaimKind, fingerprint: u16) -> Claim {
    Claim { kind, tag: tag(900), fingerprint: tag(fingerprint), until: START.plus_ms(60 * MINUTE_MS) }
}

pub(crate) fn spend(bucket: u16, limit: u64) -> Spend {
    Spend { bucket: tag(bucket), cost: 1, limit, window_ms: MINUTE_MS }
}

/// Of a message that was read with this version and changed.
pub(crate) fn save(read: Message) -> Save {
    let message = Message { version: read.version + 1, ..read };
    Save { message, notes: vec![Note::Erased], spends: Vec::new(), refunds: Vec::new(), at: START.plus_ms(1_000) }
}

pub(crate) fn accepted() -> Note {
    Note::Accepted { expected_wait_ms: 0 }
}

pub(crate) fn report(reference: &str, status: ReportStatus) -> Report {
    let about = About::Reference(reference.to_owned());
    Report { provider: provider(), about, status, proof: Proof::Tag, at: START, happened_at: None }
}

/// The message with this number, opened and read back.
pub(crate) async fn opened(store: &dyn Store, number: u16) -> Message {
    assert_eq!(store.open(opening(message(number))).await, Ok(Opened::New));
    loaded(store, number).await
}

pub(crate) async fn loaded(store: &dyn Store, number: u16) -> Message {
    store.load(id(number)).await.expect("the store answers").expect("the row is there")
}

/// Saves and reads back.
pub(crate) async fn saved(store: &dyn Store, save: Save) -> Message {
    let id = save.message.id;
    assert!(matches!(store.save(&save).await, Ok(Saved::Won)), "the save wins");
    store.load(id).await.expect("the store answers").expect("the row is there")
}

/// Reads what waits in the inbox for this reference, and drops it as if it were applied.
pub(crate) async fn taken(
    store: &dyn Store,
    provider: &ProviderId,
    reference: &str,
) -> Result<Vec<Report>, StoreError> {
    let waiting = store.inbox_read(provider, reference).await?;
    for report in &waiting {
        store.inbox_drop(report).await?;
    }
    Ok(waiting)
}
