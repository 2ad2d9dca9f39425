//! The table of phones: which number behaves how. Pure; carriers turn what is said here into their vendor's words.

use serde::{Deserialize, Serialize};

use crate::number::HandsetNumber;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    Sakura,
    Fuji,
    Atlas,
    Kodama,
}

impl Carrier {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sakura => "sakura",
            Self::Fuji => "fuji",
            Self::Atlas => "atlas",
            Self::Kodama => "kodama",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Works,
    RefusesTexts,
    DataOnly,
    FiltersAbroad,
    SwitchedOff,
    ReceiptsLost,
    ConnectionDies,
    ReceiptsDisordered,
    TextLost,
    Throttled,
    Voicemail,
    Landline,
}

/// What became of a text, as the carrier learns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Delivered,
    RefusedByPerson,
    CannotReceive,
    SwitchedOff,
    FilteredAbroad,
    Landline,
}

/// How a carrier tells its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Telling {
    Once,
    /// No receipt, and asking says that it is still on its way.
    Never,
    /// One receipt before the answer, then an older state, then the same receipt again.
    Disordered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextFate {
    /// Whether the handset's inbox shows it.
    pub(crate) arrives: bool,
    pub(crate) verdict: Verdict,
    pub(crate) telling: Telling,
    /// The connection dies once the text is committed, without an answer.
    pub(crate) connection_dies: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    Take(TextFate),
    /// 429: nothing was taken.
    Throttle,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnsweredBy {
    Person,
    Voicemail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallFate {
    Answered(AnsweredBy),
    RingsOut,
    DoesNotConnect,
}

impl Scenario {
    pub(crate) fn of(number: &HandsetNumber) -> Self {
        let row = ROWS.iter().find(|row| row.number == number.as_e164());
        row.map_or(Self::Works, |row| row.scenario)
    }

    /// `first`: the carrier that took the same words for this handset before, if any did.
    pub(crate) fn on_text(self, carrier: Carrier, first: Option<Carrier>) -> Reaction {
        let delivered =
            TextFate { arrives: true, verdict: Verdict::Delivered, telling: Telling::Once, connection_dies: false };
        let failed = |verdict| TextFate { arrives: false, verdict, ..delivered };
        Reaction::Take(match self {
            Self::Works => delivered,
            Self::RefusesTexts | Self::Voicemail => failed(Verdict::RefusedByPerson),
            Self::DataOnly => failed(Verdict::CannotReceive),
            Self::FiltersAbroad if carrier == Carrier::Atlas => failed(Verdict::FilteredAbroad),
            Self::FiltersAbroad => delivered,
            Self::SwitchedOff => failed(Verdict::SwitchedOff),
            Self::ReceiptsLost => TextFate { telling: Telling::Never, ..delivered },
            Self::ConnectionDies => TextFate { connection_dies: first.is_none(), ..delivered },
            Self::ReceiptsDisordered => TextFate { telling: Telling::Disordered, ..delivered },
            Self::TextLost => TextFate { arrives: first.is_some_and(|first| first != carrier), ..delivered },
            Self::Throttled if carrier == Carrier::Sakura => return Reaction::Throttle,
            Self::Throttled => delivered,
            Self::Landline => failed(Verdict::Landline),
        })
    }

    pub(crate) const fn on_call(self) -> CallFate {
        match self {
            Self::DataOnly => CallFate::DoesNotConnect,
            Self::SwitchedOff => CallFate::RingsOut,
            Self::Voicemail => CallFate::Answered(AnsweredBy::Voicemail),
            Self::Works
            | Self::RefusesTexts
            | Self::FiltersAbroad
            | Self::ReceiptsLost
            | Self::ConnectionDies
            | Self::ReceiptsDisordered
            | Self::TextLost
            | Self::Throttled
            | Self::Landline => CallFate::Answered(AnsweredBy::Person),
        }
    }
}

/// A row of the table as the page shows it.
pub(crate) struct Row {
    pub(crate) number: &'static str,
    scenario: Scenario,
    pub(crate) title: &'static str,
    pub(crate) will: &'static str,
}

pub(crate) const ROWS: [Row; 12] = [
    Row {
        number: "+819012340001",
        scenario: Scenario::Works,
        title: "Works",
        will: "One text, delivered by the first domestic route. Every number not listed here does the same.",
    },
    Row {
        number: "+819012340002",
        scenario: Scenario::RefusesTexts,
        title: "Refuses SMS",
        will: "The text is refused, so a call reads the code to the person.",
    },
    Row {
        number: "+819012340003",
        scenario: Scenario::DataOnly,
        title: "Data-only SIM",
        will: "No text arrives and no call connects: it ends failed, with guidance.",
    },
    Row {
        number: "+819012340004",
        scenario: Scenario::FiltersAbroad,
        title: "Blocks foreign routes",
        will: "Delivered by a domestic route. By the international one it comes back as filtered.",
    },
    Row {
        number: "+819012340005",
        scenario: Scenario::SwitchedOff,
        title: "Switched off",
        will: "Absent by two domestic routes, then a late call that nobody answers, then failed.",
    },
    Row {
        number: "+819012340006",
        scenario: Scenario::ReceiptsLost,
        title: "Receipts never come",
        will: "The text arrives but nobody says so: overdue, one more text by the other route, then a call, unless verified before.",
    },
    Row {
        number: "+819012340007",
        scenario: Scenario::ConnectionDies,
        title: "Connection dies",
        will: "The carrier takes the text and the line drops before its answer: one or two texts, the same code, ends delivered.",
    },
    Row {
        number: "+819012340008",
        scenario: Scenario::ReceiptsDisordered,
        title: "Receipts in disorder",
        will: "Receipts come twice, out of order, one before the carrier's answer: delivered, once.",
    },
    Row {
        number: "+819012340009",
        scenario: Scenario::TextLost,
        title: "Text lost",
        will: "The receipt says delivered, the inbox stays empty. Resend uses another route, which arrives.",
    },
    Row {
        number: "+819012340010",
        scenario: Scenario::Throttled,
        title: "Carrier is full",
        will: "The first domestic carrier answers 429: the next domestic route carries it.",
    },
    Row {
        number: "+819012340012",
        scenario: Scenario::Voicemail,
        title: "Voicemail",
        will: "Refuses SMS, and a machine answers the call: it never hears the code, and the message ends failed.",
    },
    Row {
        number: "+81312340011",
        scenario: Scenario::Landline,
        title: "Landline",
        will: "No text is tried: one call reads the code.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str) -> Scenario {
        Scenario::of(&HandsetNumber::parse(raw).unwrap())
    }

    #[test]
    fn the_last_four_digits_choose_what_the_phone_does() {
        for row in &ROWS {
            assert_eq!(of(row.number), row.scenario, "{}", row.title);
        }
        for raw in ["+819012345678", "+818012340002", "+12125550002", "+81312340002", "+819012340011"] {
            assert_eq!(of(raw), Scenario::Works, "{raw}");
        }
    }

    fn fate(scenario: Scenario, carrier: Carrier, first: Option<Carrier>) -> TextFate {
        match scenario.on_text(carrier, first) {
            Reaction::Take(fate) => fate,
            Reaction::Throttle => panic!("{scenario:?} is throttled by {carrier:?}"),
        }
    }

    #[test]
    fn the_connection_dies_only_for_words_not_seen_before() {
        assert!(fate(Scenario::ConnectionDies, Carrier::Sakura, None).connection_dies);
        for carrier in [Carrier::Sakura, Carrier::Fuji, Carrier::Atlas] {
            assert!(!fate(Scenario::ConnectionDies, carrier, Some(Carrier::Sakura)).connection_dies);
        }
    }

    #[test]
    fn a_lost_text_arrives_by_another_carrier_only() {
        assert!(!fate(Scenario::TextLost, Carrier::Sakura, None).arrives);
        assert!(!fate(Scenario::TextLost, Carrier::Sakura, Some(Carrier::Sakura)).arrives);
        assert!(fate(Scenario::TextLost, Carrier::Fuji, Some(Carrier::Sakura)).arrives);
    }

    #[test]
    fn only_the_international_route_is_filtered_and_only_sakura_is_full() {
        assert_eq!(fate(Scenario::FiltersAbroad, Carrier::Atlas, None).verdict, Verdict::FilteredAbroad);
        assert_eq!(fate(Scenario::FiltersAbroad, Carrier::Fuji, None).verdict, Verdict::Delivered);
        assert_eq!(Scenario::Throttled.on_text(Carrier::Sakura, None), Reaction::Throttle);
        assert_eq!(fate(Scenario::Throttled, Carrier::Fuji, None).verdict, Verdict::Delivered);
    }
}
