//! What a provider said, now and later, as every vendor's words are translated: answers, receipts, hints, reasons.
//!
//! Vendors translate in `providers`; `lifecycle` reacts to classes, never to vendors' codes.

use serde::{Deserialize, Serialize};

use crate::leg::{LegNumber, ProviderId};
use crate::message::{Locale, MessageId};
use crate::time::Timestamp;

/// What the provider's API said to one request. It answers one question: may it be out already?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Taken. `reference` is what the provider calls it.
    Submitted { reference: Option<String> },
    /// Not taken, and said so.
    Refused(Refusal),
    /// The request did not leave this machine, or the vendor documents that it was not processed.
    NotSent { why: String },
    /// The request may have been taken: its answer is missing or says nothing.
    Unknown { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub class: Class,
    pub scope: Scope,
    /// The vendor's own code, for people: `30006`, `DTL000011`, `http 401`. Never personal data.
    pub code: String,
    /// How long the vendor asked us to wait, milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// Whom a refusal is about. Only `Provider` rests a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Message,
    Number,
    Sender,
    Tenant,
    Provider,
}

/// Why a leg did not deliver. `fallback` says what follows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    NotSent,
    Throttled,
    Unknown,
    InvalidNumber,
    NotSmsCapable,
    Unreceivable,
    RecipientBlocked,
    FilteredRoute,
    OptedOut,
    Absent,
    OwnerChanged,
    FraudBlocked,
    Content,
    Config,
    ExpiredAtProvider,
    Overdue,
    /// A call that nobody answered, or that was answered without the digit being pressed.
    Unanswered,
}

impl Class {
    pub const ALL: [Self; 17] = [
        Self::NotSent,
        Self::Throttled,
        Self::Unknown,
        Self::InvalidNumber,
        Self::NotSmsCapable,
        Self::Unreceivable,
        Self::RecipientBlocked,
        Self::FilteredRoute,
        Self::OptedOut,
        Self::Absent,
        Self::OwnerChanged,
        Self::FraudBlocked,
        Self::Content,
        Self::Config,
        Self::ExpiredAtProvider,
        Self::Overdue,
        Self::Unanswered,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Throttled => "throttled",
            Self::Unknown => "unknown",
            Self::InvalidNumber => "invalid_number",
            Self::NotSmsCapable => "not_sms_capable",
            Self::Unreceivable => "unreceivable",
            Self::RecipientBlocked => "recipient_blocked",
            Self::FilteredRoute => "filtered_route",
            Self::OptedOut => "opted_out",
            Self::Absent => "absent",
            Self::OwnerChanged => "owner_changed",
            Self::FraudBlocked => "fraud_blocked",
            Self::Content => "content",
            Self::Config => "config",
            Self::ExpiredAtProvider => "expired_at_provider",
            Self::Overdue => "overdue",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Why a message failed: the class of its decisive leg, or a reason that no leg has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Leg(Class),
    /// No route of the plan can carry it.
    NoRoute,
    GuessedOut,
    TransactionChanged,
    /// The root of its code was revoked.
    Revoked,
    /// Accepted while the store was away, or published by another program, and another message held its key.
    Duplicate,
    /// What its tenant may have in an hour is used up; or accepted while the store was away, or published by another program,
    /// and over a cap.
    OverLimit,
    /// Published by another program, and there is no plan for its country.
    UnsupportedCountry,
    /// Published by another program, and what it says cannot be done.
    Unacceptable,
    /// Published by another program, and too old when it was taken.
    TooLate,
    /// Handed out too often without an end.
    Parked,
}

impl Reason {
    /// Every one that there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_no_leg = [
            Self::NoRoute,
            Self::GuessedOut,
            Self::TransactionChanged,
            Self::Revoked,
            Self::Duplicate,
            Self::OverLimit,
            Self::UnsupportedCountry,
            Self::Unacceptable,
            Self::TooLate,
            Self::Parked,
        ];
        Class::ALL.into_iter().map(Self::Leg).chain(of_no_leg)
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Leg(class) => class.word(),
            Self::NoRoute => "no_route",
            Self::GuessedOut => "guessed_out",
            Self::TransactionChanged => "transaction_changed",
            Self::Revoked => "revoked",
            Self::Duplicate => "duplicate",
            Self::OverLimit => "over_limit",
            Self::UnsupportedCountry => "unsupported_country",
            Self::Unacceptable => "unacceptable",
            Self::TooLate => "too_late",
            Self::Parked => "parked",
        }
    }

    /// What the person (or the caller for them) can change, in the message's language. `called`: a call was tried.
    pub const fn guidance(self, called: bool, locale: Locale) -> &'static str {
        let (ja, en) = if matches!(self, Self::Leg(Class::Unreceivable)) && !called {
            UNRECEIVABLE_AS_TEXT
        } else {
            guidance(self)
        };
        match locale {
            Locale::Ja => ja,
            Locale::En => en,
        }
    }
}

/// What is known of an unreceivable line before it was called.
const UNRECEIVABLE_AS_TEXT: (&str, &str) = (
    "この回線ではSMSを受け取れないようです。音声通話か、別の番号をお使いください。",
    "This line seems to receive no texts. Ask for a call, or use another number.",
);

#[expect(clippy::too_many_lines, reason = "a flat catalogue of sentences")]
const fn guidance(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Leg(Class::InvalidNumber) => {
            ("この電話番号は使われていません。番号を確かめてください。", "This number is not in use. Check the number.")
        }
        Reason::Leg(Class::NotSmsCapable) => (
            "この番号ではSMSを受け取れません。携帯電話の番号か、音声通話をお使いください。",
            "This line cannot receive texts. Use a mobile number, or ask for a call.",
        ),
        Reason::Leg(Class::Unreceivable) => (
            "この回線ではSMSも通話も受けられないようです(データ専用SIMなど)。別の番号をお使いください。",
            "This line seems to receive neither texts nor calls, as data-only SIMs do. Use another number.",
        ),
        Reason::Leg(Class::RecipientBlocked) => (
            "端末または契約の設定でSMSが拒否されています。受信設定を変えるか、音声通話をお使いください。",
            "The phone or its contract refuses texts. Change that setting, or ask for a call.",
        ),
        Reason::Leg(Class::FilteredRoute) => (
            "携帯会社が海外経由のSMSを止めています。海外からのSMSの受信拒否設定を確かめてください。",
            "The carrier filters texts from abroad. Check the phone's setting for international texts.",
        ),
        Reason::Leg(Class::OptedOut) => (
            "この送信元からのSMSの受信を停止しています。停止を解除してください。",
            "This number opted out of texts from this sender. Opt in again to receive them.",
        ),
        Reason::Leg(Class::Absent) => (
            "電話の電源が切れているか、電波が届きません。電源と電波を確かめて、もう一度お試しください。",
            "The phone is off or out of reach. Check power and signal, then try again.",
        ),
        Reason::Leg(Class::OwnerChanged) => (
            "この番号は持ち主が変わった可能性があります。登録された番号を更新してください。",
            "This number may have a new owner. Update the number on file.",
        ),
        Reason::Leg(Class::FraudBlocked) => (
            "安全のため、この番号への送信は止められています。サポートにお問い合わせください。",
            "Sending to this number is blocked for safety. Contact support.",
        ),
        Reason::Leg(Class::Unanswered) => (
            "電話に応答がないか、案内された番号が押されませんでした。電話に出て、案内の番号を押してください。",
            "The call was not answered, or the announced key was not pressed. Answer it and press the key.",
        ),
        Reason::Leg(Class::Content | Class::Config) => (
            "送信側の設定に問題があります。しばらくしてから、もう一度お試しください。",
            "The sending side has a problem in its settings. Try again later.",
        ),
        Reason::Leg(Class::NotSent | Class::Throttled | Class::Unknown | Class::ExpiredAtProvider | Class::Overdue)
        | Reason::NoRoute
        | Reason::Parked => (
            "ただいまお届けできませんでした。しばらくしてから、もう一度お試しください。",
            "It could not be delivered just now. Try again in a while.",
        ),
        Reason::OverLimit => (
            "送信が続いたため、いまは送れません。しばらくしてから、もう一度お試しください。",
            "No more can be sent for now. Try again in a while.",
        ),
        Reason::Duplicate => (
            "同じ内容のコードがすでに送られています。先に届いたコードをお使いください。",
            "A code for the same thing was sent already. Use that one.",
        ),
        Reason::UnsupportedCountry => (
            "この国の電話番号には送れません。別の番号をお使いください。",
            "Numbers of this country are not served. Use another number.",
        ),
        Reason::Unacceptable => (
            "送信の依頼に誤りがあるため、お届けできませんでした。サポートにお問い合わせください。",
            "The request to send it was wrong, so it was not sent. Contact support.",
        ),
        Reason::TooLate => (
            "時間内にお届けできませんでした。もう一度お試しください。",
            "It could not be delivered in time. Try again.",
        ),
        Reason::GuessedOut => (
            "入力の誤りが続いたため、このコードは使えなくなりました。新しいコードをお求めください。",
            "Too many wrong codes: this one no longer works. Ask for a new code.",
        ),
        Reason::TransactionChanged => (
            "取引の内容が変わったため、このコードは使えません。取引を最初からやり直してください。",
            "The transaction changed, so this code is void. Start the transaction again.",
        ),
        Reason::Revoked => (
            "安全のため、このコードは無効になりました。新しいコードをお求めください。",
            "This code was revoked for safety. Ask for a new code.",
        ),
    }
}

/// Which leg a report speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Named by our own tag, which was checked.
    Leg { id: MessageId, leg: LegNumber },
    /// Named by the provider's reference.
    Reference(String),
}

/// What we were told later about a leg, already translated. No number and no text in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub provider: ProviderId,
    pub about: About,
    pub status: ReportStatus,
    /// Where it comes from: what it may cause.
    pub proof: Proof,
    /// When we learned it.
    pub at: Timestamp,
    /// When the provider says it happened, where it says so sanely.
    pub happened_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// The provider, or the operator, has it; the handset not yet. Carries the reference where it is news.
    Underway {
        reference: Option<String>,
        /// The provider has handed it on: the carrier of the phone, or the nearest one, has it. On some routes nothing
        /// further is ever heard.
        #[serde(default, skip_serializing_if = "is_false")]
        at_operator: bool,
    },
    Delivered,
    Failed(Refusal),
    /// The provider does not know it: nothing was taken.
    Absent,
    /// A poke without a status: go and ask.
    Hint,
}

/// What a report said, without its references and codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    Underway,
    AtOperator,
    Delivered,
    Failed,
    NotKnown,
    Hint,
}

impl ReportStatus {
    pub const fn kind(&self) -> ReportKind {
        match self {
            Self::Underway { at_operator: false, .. } => ReportKind::Underway,
            Self::Underway { at_operator: true, .. } => ReportKind::AtOperator,
            Self::Delivered => ReportKind::Delivered,
            Self::Failed(_) => ReportKind::Failed,
            Self::Absent => ReportKind::NotKnown,
            Self::Hint => ReportKind::Hint,
        }
    }
}

impl ReportKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Underway => "underway",
            Self::AtOperator => "at_operator",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::NotKnown => "not_known",
            Self::Hint => "hint",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(word: &bool) -> bool {
    !*word
}

/// How sure we are that the report comes from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Signed by the vendor's own method.
    Signature,
    /// Carries our per-leg tag.
    Tag,
    /// We asked the provider over its API.
    Asked,
    /// Nothing: it can only be a hint.
    Nothing,
}
