//! What a carrier of the tests does with one attempt, written down.

use otodoke_common::outcome::{Class, Proof, Refusal, ReportStatus, Scope};

/// What a carrier does with one attempt.
#[derive(Clone, Debug)]
pub struct Script {
    pub arrives: bool,
    pub answer: Reply,
    pub answer_after_ms: u64,
    /// Reports, each so long after the request came in.
    pub reports: Vec<(u64, ReportStatus, Proof)>,
    /// What the reports say of when it happened, since the request; else when they come.
    pub happened_after_ms: Option<u64>,
    /// The reports name the leg by the carrier's own reference only.
    pub by_reference: bool,
    /// What a question about it is answered.
    pub asked: Option<ReportStatus>,
    pub person: Person,
}

#[derive(Clone, Debug)]
pub enum Reply {
    Taken,
    /// Taken, but the answer carries no reference of the provider.
    TakenNameless,
    Refused(Class, Scope),
    NotSent,
    /// The connection dies, or nothing comes in time.
    Lost,
    /// The program that talks to it breaks.
    Panics,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    PressesWhatIsAnnounced,
    PressesNothing,
    /// Plays its greeting with a recorded tone.
    Voicemail,
    NobodyAnswers,
}

impl Script {
    /// Works: arrives, and the receipt follows.
    pub fn works() -> Self {
        Self {
            arrives: true,
            answer: Reply::Taken,
            answer_after_ms: 20,
            reports: vec![(300, ReportStatus::Delivered, Proof::Signature)],
            happened_after_ms: None,
            by_reference: false,
            asked: None,
            person: Person::PressesWhatIsAnnounced,
        }
    }

    pub fn refuses(class: Class) -> Self {
        Self::answers(Reply::Refused(class, Scope::Number))
    }

    /// Nothing arrives and nothing is reported.
    pub fn answers(answer: Reply) -> Self {
        Self { arrives: false, answer, reports: Vec::new(), ..Self::works() }
    }

    /// It arrives, but the answer is lost and nothing is ever heard of it.
    pub fn lost() -> Self {
        Self { answer: Reply::Lost, ..Self::silent() }
    }

    /// A carrier that dedupes knows what it handed over: it does not refuse or deny that when it is asked again.
    pub(super) fn of_one_that_arrived(self) -> Self {
        let answer = match self.answer {
            Reply::Refused(..) => Reply::Taken,
            other @ (Reply::Taken | Reply::TakenNameless | Reply::NotSent | Reply::Lost | Reply::Panics) => other,
        };
        let failed = |status: &ReportStatus| matches!(status, ReportStatus::Failed(_) | ReportStatus::Absent);
        let reports = self.reports.into_iter().filter(|(_, status, _)| !failed(status)).collect();
        Self { answer, reports, asked: self.asked.filter(|status| !failed(status)), ..self }
    }

    pub fn reports(reports: &[(u64, ReportStatus)]) -> Self {
        let reports = reports.iter().map(|(after_ms, status)| (*after_ms, status.clone(), Proof::Signature));
        Self { reports: reports.collect(), ..Self::works() }
    }

    /// Taken, then a receipt that says it failed.
    pub fn fails_later(class: Class) -> Self {
        let failed = ReportStatus::Failed(refusal(class, Scope::Number));
        Self { arrives: false, reports: vec![(300, failed, Proof::Signature)], ..Self::works() }
    }

    /// Arrives, and nothing is ever heard of it.
    pub fn silent() -> Self {
        Self { reports: Vec::new(), ..Self::works() }
    }
}

pub fn refusal(class: Class, scope: Scope) -> Refusal {
    Refusal { class, scope, code: "scripted".to_owned(), retry_after_ms: None }
}
