//! A call as a carrier of the tests makes it: ring, answer, listen, press, hang up, and the report that it is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use otodoke_common::outcome::{Class, Proof, ReportStatus, Scope};
use otodoke_common::provider::SendRequest;
use tokio::time::{Duration, sleep};

use super::{Carrier, Person, of, refusal, report};

const RING_MS: u64 = 700;
const PRESS_MS: u64 = 500;

pub(super) async fn call(carrier: Arc<Carrier>, request: SendRequest, person: Person) {
    let number = request.to.as_e164().to_owned();
    let path = format!("/voice/{}/{}/{}", carrier.id, request.leg, request.tag.as_str());
    sleep(Duration::from_millis(RING_MS)).await;
    let hung_up = !carrier.deaf.load(Ordering::SeqCst) && carrier.hung_up().contains(&Carrier::reference(&request));
    if person != Person::NobodyAnswers && !hung_up {
        let call = carrier.phones.ring(&number);
        let mut body = "answered".to_owned();
        // Two announcements and the code: a call says no more than that.
        for _ in 0..3 {
            let (_, words) = carrier.post(&path, body.into_bytes()).await;
            carrier.phones.hear(&number, call, words.clone());
            let Some(words) = words.strip_suffix(" ..") else { break };
            sleep(Duration::from_millis(PRESS_MS)).await;
            body = match person {
                Person::PressesWhatIsAnnounced => format!("pressed {}", announced_digit(words)),
                Person::Voicemail => "pressed 1".to_owned(),
                Person::PressesNothing | Person::NobodyAnswers => "pressed".to_owned(),
            };
        }
    }
    let over = ReportStatus::Failed(refusal(Class::Unanswered, Scope::Number));
    let happened = carrier.clock.now();
    report(&carrier, of(&request), over, Proof::Signature, happened).await;
}

/// The digit is the last one of an announcement.
fn announced_digit(words: &str) -> char {
    words.chars().rev().find(char::is_ascii_digit).expect("an announcement names a digit")
}
