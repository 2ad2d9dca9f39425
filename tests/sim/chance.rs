//! Chance of a simulation: everything random is a function of the seed and of a name for what is decided.

use otodoke_common::dice::Dice;
use otodoke_common::outcome::{Class, Proof, ReportStatus, Scope};
use otodoke_tests::carrier::{Person, Reply, Script, refusal};

pub(crate) struct Chance(Dice);

impl Chance {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: near names must not roll alike.
        let mixed = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(Dice::seeded(mixed))
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        (u64::from(self.0.roll()) * end) >> 32
    }

    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<T: Clone>(&self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).expect("below a length");
        choices[index].clone()
    }
}

const CLASSES: [Class; 13] = [
    Class::Throttled,
    Class::InvalidNumber,
    Class::NotSmsCapable,
    Class::Unreceivable,
    Class::RecipientBlocked,
    Class::FilteredRoute,
    Class::OptedOut,
    Class::Absent,
    Class::OwnerChanged,
    Class::FraudBlocked,
    Class::Content,
    Class::Config,
    Class::ExpiredAtProvider,
];

const PEOPLE: [Person; 4] =
    [Person::PressesWhatIsAnnounced, Person::PressesNothing, Person::Voicemail, Person::NobodyAnswers];

/// What a carrier does with one attempt. Carriers may be slow, silent, forgetful and confused, but what they say about
/// arrival is never a lie: a lie about that is a second text that nobody could have counted.
pub(crate) fn script(chance: &Chance) -> Script {
    let after_ms = chance.between(5, 2_500);
    let arrives = match chance.below(100) {
        0..45 => delivered(chance, after_ms),
        45..53 => Script::silent(),
        53..58 => Script { asked: Some(ReportStatus::Delivered), ..Script::silent() },
        58..64 => Script::lost(),
        64..69 => Script { asked: Some(ReportStatus::Delivered), ..Script::lost() },
        69..74 => Script { arrives: false, asked: chance.of(&[None, Some(ReportStatus::Absent)]), ..Script::lost() },
        74..79 => Script::answers(Reply::NotSent),
        79..82 => Script::answers(Reply::Refused(Class::Throttled, Scope::Provider)),
        82..91 => Script::refuses(chance.of(&CLASSES)),
        _ => failed_later(chance, after_ms),
    };
    Script { answer_after_ms: chance.between(1, 3_000), person: chance.of(&PEOPLE), ..arrives }
}

fn delivered(chance: &Chance, after_ms: u64) -> Script {
    let again_ms = after_ms + chance.between(0, 4_000);
    let underway = ReportStatus::Underway { reference: None, at_operator: false };
    let mut reports = vec![(after_ms, ReportStatus::Delivered)];
    if chance.percent(20) {
        reports.push((again_ms, ReportStatus::Delivered));
    }
    if chance.percent(20) {
        reports.push((again_ms, underway));
    }
    if chance.percent(10) {
        return Script {
            reports: vec![(after_ms, ReportStatus::Hint, Proof::Nothing)],
            asked: Some(ReportStatus::Delivered),
            ..Script::works()
        };
    }
    let answer = chance.of(&[Reply::Taken, Reply::Taken, Reply::Taken, Reply::TakenNameless]);
    let by_reference = matches!(answer, Reply::Taken) && chance.percent(40);
    Script { answer, by_reference, ..Script::reports(&reports) }
}

fn failed_later(chance: &Chance, after_ms: u64) -> Script {
    let failed = ReportStatus::Failed(refusal(chance.of(&CLASSES), Scope::Number));
    let mut reports = vec![(after_ms, failed.clone())];
    if chance.percent(20) {
        reports.push((after_ms + 500, failed));
    }
    Script { arrives: false, by_reference: chance.percent(30), ..Script::reports(&reports) }
}
