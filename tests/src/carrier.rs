//! A scripted provider: what it answers, what reaches the phone, and what it reports later, decided per attempt.

mod call;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use otodoke_common::clock::Clock;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{About, Answer, Proof, Report, ReportStatus};
use otodoke_common::provider::{
    AskError, CallMoment, Provider, Question, SendContent, SendRequest, Voice, WebhookReading, WebhookReply,
    WebhookRequest,
};
use otodoke_common::speech::{Part, Speech, Then};
use otodoke_common::time::Timestamp;
use otodoke_common::wire::{decode_reports, encode_reports};
use tokio::time::{Duration, sleep};
use tower::ServiceExt;

use crate::phones::Phones;
use call::call;

pub use script::{Person, Reply, Script, refusal};

/// One request as the carrier saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub sender: String,
    pub to: String,
    pub our_reference: String,
    pub at_ms: i64,
    pub validity_s: u32,
    /// It reached the phone: a text that was not there already, or a call.
    pub arrived: bool,
    /// Nothing, or nothing sensible, was answered.
    pub failed: bool,
}

/// What all carriers of a world share.
#[derive(Clone)]
pub struct Around {
    pub clock: Clock,
    pub phones: Arc<Phones>,
    pub cut_off: Arc<AtomicBool>,
}

type Decide = dyn Fn(&str, usize) -> Script + Send + Sync;

pub struct Carrier {
    id: ProviderId,
    channel: Channel,
    abilities: Abilities,
    clock: Clock,
    phones: Arc<Phones>,
    door: OnceLock<Router>,
    /// Our receipt door cannot be reached.
    cut_off: Arc<AtomicBool>,
    decide: Mutex<Arc<Decide>>,
    seen: Mutex<Vec<Seen>>,
    /// Our references whose text arrived: a carrier that dedupes hands none over twice.
    arrived: Mutex<BTreeSet<String>>,
    /// Calls cannot be ended any more.
    deaf: AtomicBool,
    /// Nothing that it proves names a leg by its reference alone.
    tags_all: AtomicBool,
    questions: Mutex<Vec<String>>,
    asked_takes_ms: AtomicU64,
    hung_up: Mutex<Vec<String>>,
    statuses: Mutex<BTreeMap<String, Option<ReportStatus>>>,
}

impl Carrier {
    pub fn new(name: &str, channel: Channel, abilities: Abilities, around: &Around) -> Arc<Self> {
        let Around { clock, phones, cut_off } = around.clone();
        Arc::new(Self {
            id: ProviderId::parse(name).expect("a carrier of the tests has a valid name"),
            channel,
            abilities,
            clock,
            phones,
            door: OnceLock::new(),
            cut_off,
            decide: Mutex::new(Arc::new(|_, _| Script::works())),
            seen: Mutex::default(),
            arrived: Mutex::default(),
            deaf: AtomicBool::new(false),
            tags_all: AtomicBool::new(false),
            questions: Mutex::default(),
            asked_takes_ms: AtomicU64::new(0),
            hung_up: Mutex::default(),
            statuses: Mutex::default(),
        })
    }

    /// From now on `decide(number, times)` says what happens; `times` counts this carrier's attempts at the number from 1.
    pub fn script(&self, decide: impl Fn(&str, usize) -> Script + Send + Sync + 'static) {
        *self.decide.lock().expect("scripts do not panic") = Arc::new(decide);
    }

    /// From now on all its receipts carry our tag.
    pub fn tag_all(&self) {
        self.tags_all.store(true, Ordering::Relaxed);
    }

    pub fn always(&self, script: Script) {
        self.script(move |_, _| script.clone());
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics here").clone()
    }

    pub fn questions(&self) -> usize {
        self.questions.lock().expect("nobody panics here").len()
    }

    /// From now on it thinks so long about each question.
    pub fn answers_questions_after(&self, ms: u64) {
        self.asked_takes_ms.store(ms, Ordering::Relaxed);
    }

    pub fn hung_up(&self) -> Vec<String> {
        self.hung_up.lock().expect("nobody panics here").clone()
    }

    /// From now on a call that was begun cannot be ended.
    pub fn ignore_hang_ups(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    fn arrived_before(&self, request: &SendRequest) -> bool {
        self.arrived.lock().expect("nobody panics here").contains(&request.our_reference)
    }

    fn arrives(&self, request: &SendRequest, script: &Script) -> bool {
        let first = || self.arrived.lock().expect("nobody panics here").insert(request.our_reference.clone());
        script.arrives && (first() || !self.abilities.dedupes)
    }

    pub(crate) fn connect(&self, door: Router) {
        self.door.set(door).map_err(drop).expect("a carrier is connected once");
    }

    fn note(&self, request: &SendRequest) -> (Script, bool) {
        let to = request.to.as_e164().to_owned();
        let times = 1 + self.seen.lock().expect("nobody panics here").iter().filter(|seen| seen.to == to).count();
        let decide = Arc::clone(&self.decide.lock().expect("scripts do not panic"));
        let script = decide(&to, times);
        let known = self.abilities.dedupes && self.arrived_before(request);
        let script = if known { script.of_one_that_arrived() } else { script };
        let arrived = self.arrives(request, &script);
        self.seen.lock().expect("nobody panics here").push(Seen {
            sender: request.sender.clone(),
            to,
            our_reference: request.our_reference.clone(),
            at_ms: self.clock.now().unix_ms(),
            validity_s: request.validity_s,
            arrived,
            failed: matches!(script.answer, Reply::NotSent | Reply::Lost | Reply::Panics),
        });
        (script, arrived)
    }

    fn reference(request: &SendRequest) -> String {
        format!("ref-{}", request.our_reference)
    }

    /// Posts a report to the door, as a provider's webhook would. Returns the door's status.
    pub async fn post_report(&self, about: About, status: ReportStatus, proof: Proof) -> u16 {
        self.post_report_of(about, status, proof, self.clock.now()).await
    }

    async fn post_report_of(&self, about: About, status: ReportStatus, proof: Proof, happened: Timestamp) -> u16 {
        let (provider, at) = (self.id.clone(), self.clock.now());
        let report = Report { provider, about, status, proof, at, happened_at: Some(happened) };
        let path = format!("/receipts/{}", self.id);
        self.post(&path, encode_reports(&[report])).await.0
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (u16, String) {
        if self.cut_off.load(Ordering::SeqCst) {
            return (502, String::new());
        }
        let door = self.door.get().expect("the world connects its carriers").clone();
        let request = Request::post(path).body(Body::from(body)).expect("a valid request");
        let response = door.oneshot(request).await.expect("a router never fails");
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a small body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A report that was not taken comes again after this, so often.
const REPORT_AGAIN_MS: u64 = 5_000;
const REPORTS_MAX: usize = 60;

/// Report later, from a task of its own: the carrier answers meanwhile.
fn report_later(carrier: &Arc<Carrier>, request: &SendRequest, script: &Script) {
    for (after_ms, status, proof) in script.reports.clone() {
        let tagged = !script.by_reference || carrier.tags_all.load(Ordering::Relaxed);
        let by_reference = !tagged || proof == Proof::Nothing;
        let about = if by_reference { About::Reference(Carrier::reference(request)) } else { of(request) };
        let carrier = Arc::clone(carrier);
        let happened = carrier.clock.now().plus_ms(script.happened_after_ms.unwrap_or(after_ms));
        tokio::spawn(async move {
            sleep(Duration::from_millis(after_ms)).await;
            report(&carrier, about, status, proof, happened).await;
        });
    }
}

/// Until it was taken.
async fn report(carrier: &Carrier, about: About, status: ReportStatus, proof: Proof, happened: Timestamp) {
    for _ in 0..REPORTS_MAX {
        if carrier.post_report_of(about.clone(), status.clone(), proof, happened).await == 200 {
            return;
        }
        sleep(Duration::from_millis(REPORT_AGAIN_MS)).await;
    }
}

const fn of(request: &SendRequest) -> About {
    About::Leg { id: request.id, leg: request.leg }
}

/// The seam's face of a carrier: a carrier that can hand itself to its own tasks.
pub struct Scripted(pub Arc<Carrier>);

#[async_trait]
impl Provider for Scripted {
    fn id(&self) -> &ProviderId {
        &self.0.id
    }

    fn channel(&self) -> Channel {
        self.0.channel
    }

    fn abilities(&self) -> Abilities {
        self.0.abilities
    }

    fn proves_by_reference(&self) -> bool {
        !self.0.tags_all.load(Ordering::Relaxed)
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let (script, arrived) = self.0.note(request);
        let reference = Carrier::reference(request);
        self.0.statuses.lock().expect("nobody panics here").insert(request.our_reference.clone(), script.asked.clone());
        match &request.content {
            SendContent::Text(text) if arrived => {
                self.0.phones.receive(request.to.as_e164(), &self.0.id, text);
            }
            SendContent::Call if arrived => {
                tokio::spawn(call(Arc::clone(&self.0), request.clone(), script.person));
            }
            SendContent::Text(_) | SendContent::Call => {}
        }
        if self.0.channel == Channel::Sms {
            report_later(&self.0, request, &script);
        }
        sleep(Duration::from_millis(script.answer_after_ms)).await;
        match script.answer {
            Reply::Taken => Answer::Submitted { reference: Some(reference) },
            Reply::TakenNameless => Answer::Submitted { reference: None },
            Reply::Refused(class, scope) => Answer::Refused(refusal(class, scope)),
            Reply::NotSent => Answer::NotSent { why: "scripted".to_owned() },
            Reply::Panics => panic!("the scripted end of a task"),
            Reply::Lost => Answer::Unknown { why: "scripted".to_owned() },
        }
    }

    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        self.0.questions.lock().expect("nobody panics here").push(question.our_reference.clone());
        sleep(Duration::from_millis(self.0.asked_takes_ms.load(Ordering::Relaxed))).await;
        let status = self.0.statuses.lock().expect("nobody panics here").get(&question.our_reference).cloned();
        let report = |status| Report {
            provider: self.0.id.clone(),
            about: About::Leg { id: question.id, leg: question.leg },
            status,
            proof: Proof::Asked,
            at: question.now,
            happened_at: None,
        };
        Ok(status.flatten().map(report).into_iter().collect())
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        match decode_reports(request.body) {
            Ok(reports) => WebhookReading::Reports {
                reports,
                reply: WebhookReply { status: 200, content_type: "text/plain", body: "ok".to_owned() },
            },
            Err(_) => WebhookReading::Rejected { status: 400, why: "unreadable" },
        }
    }

    fn voice(&self) -> Option<&dyn Voice> {
        (self.0.channel == Channel::Voice).then_some(self)
    }
}

#[async_trait]
impl Voice for Scripted {
    async fn hang_up(&self, reference: &str) {
        self.0.hung_up.lock().expect("nobody panics here").push(reference.to_owned());
    }

    fn read_call(&self, request: &WebhookRequest<'_>) -> Option<CallMoment> {
        match std::str::from_utf8(request.body).ok()? {
            "answered" => Some(CallMoment::Answered),
            "pressed" => Some(CallMoment::Pressed(None)),
            pressed => pressed.strip_prefix("pressed ").map(|digit| CallMoment::Pressed(digit.parse().ok())),
        }
    }

    /// The spoken words, and `..` at the end where we listen for a digit.
    fn speak(&self, speech: &Speech, _next_url: &str) -> WebhookReply {
        let said = speech.parts.iter().filter_map(|part| match part {
            Part::Say(words) => Some(words.as_str()),
            Part::PauseMs(_) => None,
        });
        let mut body = said.collect::<Vec<_>>().join(" ");
        if matches!(speech.then, Then::Listen { .. }) {
            body.push_str(" ..");
        }
        WebhookReply { status: 200, content_type: "text/plain", body }
    }
}
