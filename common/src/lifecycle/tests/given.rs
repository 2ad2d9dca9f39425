//! A message, four Japanese routes and what they can do: the scene of every test of the rules.

use crate::leg::{Abilities, Channel, Leg, LegOutcome, ProviderId, RouteClass, RouteId};
use crate::lifecycle::Event;
use crate::message::{Kid, Kind, Lane, Locale, Message, MessageId, Purpose, Sealed, State, Tag, TenantId, Voice};
use crate::outcome::{Class, Proof, Refusal, ReportStatus, Scope};
use crate::phone::{Country, LineType};
use crate::route::{International, Plan, ReceiptProfile, Route, RouteTable};
use crate::text::Counting;
use crate::time::Timestamp;

pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);
pub(crate) const TTL_MS: u64 = 300_000;
pub(crate) const TEXT_USUAL_MS: u64 = 5_000;
pub(crate) const CALL_USUAL_MS: u64 = 10_000;
pub(crate) const OVERDUE_MS: u64 = 30_000;

pub(crate) fn at(ms: u64) -> Timestamp {
    START.plus_ms(ms)
}

/// A code for a Japanese mobile, called for when text is lost.
pub(crate) fn code() -> Message {
    Message {
        id: MessageId::new(START, [7; 10]),
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
        useful_until: at(TTL_MS),
        sealed: Some(Sealed("sealed".into())),
        number_tag: Tag([1; 32]),
        state: State::Queued,
        legs: Vec::new(),
        guesses_left: 5,
        guesses_open: 0,
        guess_paid_at: None,
        lines_beside: 0,
        resends: 0,
        last_resend_at: None,
        verified: None,
        due: Some(at(TTL_MS)),
        version: 1,
        stamp: 0,
    }
}

/// A text to be read, not typed back.
pub(crate) fn notice() -> Message {
    Message { kind: Kind::Text, purpose: Purpose::Notice, lane: Lane::Bulk, ..code() }
}

/// A report on the first leg.
pub(crate) fn told_of_first(status: ReportStatus, proof: Proof) -> Event {
    Event::Receipt { leg: 1, status, proof, happened_at: None }
}

/// Two domestic text routes, one from abroad, one domestic for calls.
pub(crate) fn table(international: International) -> RouteTable {
    let sakura = Abilities { asks: true, ..Abilities::default() };
    let fuji = Abilities { dedupes: true, validity: true, ..Abilities::default() };
    let atlas = Abilities { validity: true, ..Abilities::default() };
    RouteTable {
        routes: vec![
            Route { rank: 1, abilities: sakura, ..route("sakura", RouteClass::Domestic, Channel::Sms) },
            Route { rank: 2, abilities: fuji, ..route("fuji", RouteClass::Domestic, Channel::Sms) },
            Route { rank: 1, abilities: atlas, ..route("atlas", RouteClass::International, Channel::Sms) },
            route("kodama", RouteClass::Domestic, Channel::Voice),
        ],
        plans: [(Country::JP, Plan { international, voice: true })].into(),
        tenants: [].into(),
    }
}

pub(crate) fn route(provider: &str, class: RouteClass, channel: Channel) -> Route {
    Route {
        id: RouteId::parse(&format!("jp-{provider}")).expect("a route id"),
        provider: ProviderId::parse(provider).expect("a provider id"),
        country: Country::JP,
        class,
        channel,
        rank: 1,
        price: 100,
        sender: format!("from-{provider}"),
        receipt: ReceiptProfile::Handset,
        overdue_after_ms: OVERDUE_MS,
        usual_ms: match channel {
            Channel::Sms => TEXT_USUAL_MS,
            Channel::Voice => CALL_USUAL_MS,
        },
        origin_line: false,
        counting: Counting::Standard,
        segments_max: 5,
        retiring: false,
        abilities: Abilities::default(),
    }
}

/// A leg by `route` that is over.
pub(crate) fn leg(number: u8, route: &Route, outcome: LegOutcome, reason: Option<Class>) -> Leg {
    Leg {
        number,
        channel: route.channel,
        provider: route.provider.clone(),
        route: route.id.clone(),
        class: route.class,
        sender: route.sender.clone(),
        started_at: START,
        ended_at: Some(START),
        outcome: Some(outcome),
        reason,
        taken: outcome != LegOutcome::NotSent && outcome != LegOutcome::Refused,
        reference: None,
        usual_by: at(route.usual_ms),
        overdue_after_ms: Some(route.overdue_after_ms),
        overdue_at: None,
        ask_at: None,
        asks: 0,
        sends: 1,
        abilities: route.abilities,
        call: None,
        operator: None,
    }
}

/// A refusal for the number's sake, but for those classes that are the provider's own.
pub(crate) fn refusal(class: Class) -> Refusal {
    let of_provider = matches!(class, Class::NotSent | Class::Throttled | Class::Config);
    let scope = if of_provider { Scope::Provider } else { Scope::Number };
    Refusal { class, scope, code: class.word().to_owned(), retry_after_ms: None }
}
