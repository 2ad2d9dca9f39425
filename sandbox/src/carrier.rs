//! The carriers: each on a listener of its own, each speaking one vendor's protocol. Here is only what they share: opening,
//! resuming, and the moment a verdict is told.

mod atlas;
mod fuji;
mod kodama;
mod sakura;
mod twilio;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::exchange::{Exchange, pause};
use crate::line::{Line, Lines};
use crate::scenario::{Carrier, Telling};
use crate::text::Text;
use crate::{CarrierPlaces, CarrierUrls, SandboxError, clock};

const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// A receipt that must come before the answer is waited for no longer than this.
const EARLY_RECEIPT_MS_MAX: u64 = 2_000;

/// The text carriers' ways to send receipts.
struct Tellers {
    sakura: sakura::Sakura,
    fuji: fuji::Fuji,
    atlas: atlas::Atlas,
}

/// Binds all four and sends what a former run still owed.
pub(crate) async fn open_all(
    exchange: &Arc<Exchange>,
    places: CarrierPlaces,
    shutdown: &CancellationToken,
) -> Result<(CarrierUrls, Vec<JoinHandle<()>>), SandboxError> {
    let tellers = Tellers {
        sakura: sakura::Sakura::new(Arc::clone(exchange)),
        fuji: fuji::Fuji::new(Arc::clone(exchange)),
        atlas: atlas::Atlas::new(Arc::clone(exchange)),
    };
    let sakura = Opening { carrier: "sakura", place: places.sakura, router: sakura::router(tellers.sakura.clone()) };
    let fuji = Opening { carrier: "fuji", place: places.fuji, router: fuji::router(tellers.fuji.clone()) };
    let atlas = Opening { carrier: "atlas", place: places.atlas, router: atlas::router(tellers.atlas.clone()) };
    let kodama = Opening { carrier: "kodama", place: places.kodama, router: kodama::router(Arc::clone(exchange)) };
    let (sakura, sakura_server) = open(sakura, shutdown).await?;
    let (fuji, fuji_server) = open(fuji, shutdown).await?;
    let (atlas, atlas_server) = open(atlas, shutdown).await?;
    let (kodama, kodama_server) = open(kodama, shutdown).await?;
    resume_all(exchange, &tellers);
    let urls = CarrierUrls { sakura, fuji, atlas, kodama };
    Ok((urls, vec![sakura_server, fuji_server, atlas_server, kodama_server]))
}

/// Finishes what a former run left: receipts still owed, and calls it took down with it, which ring again.
fn resume_all(exchange: &Arc<Exchange>, tellers: &Tellers) {
    let unfinished = exchange.unfinished();
    for entry in unfinished.texts {
        let text = Arc::clone(&entry.text);
        match text.draft.carrier {
            Carrier::Sakura => tell_later(exchange, tellers.sakura.clone(), text),
            Carrier::Fuji => tell_later(exchange, tellers.fuji.clone(), text),
            Carrier::Atlas => tell_later(exchange, tellers.atlas.clone(), text),
            Carrier::Kodama => {}
        }
    }
    for entry in unfinished.calls {
        kodama::ring_again(exchange, entry);
    }
}

/// A carrier that is to open.
struct Opening {
    carrier: &'static str,
    place: SocketAddr,
    router: Router,
}

async fn open(opening: Opening, shutdown: &CancellationToken) -> Result<(String, JoinHandle<()>), SandboxError> {
    let Opening { carrier, place, router } = opening;
    let bind = |source| SandboxError::Bind { carrier, place, source };
    let lines = Lines::bind(place).await.map_err(bind)?;
    let url = format!("http://{}", lines.address().map_err(bind)?);
    let service = router
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(from_fn(to_the_end))
        .into_make_service_with_connect_info::<Line>();
    let shutdown = shutdown.clone();
    let server = tokio::spawn(async move {
        let serving = axum::serve(lines, service).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(carrier, %error, "a sandbox carrier stopped serving");
        }
    });
    Ok((url, server))
}

/// A caller that hangs up does not undo what a carrier began: the text is written down and its receipts follow.
async fn to_the_end(request: Request, next: Next) -> Response {
    let handling = tokio::spawn(next.run(request));
    handling.await.unwrap_or_else(|_panicked| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What a receipt says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    OnItsWay,
    Verdict,
}

/// A carrier's way to send a receipt. True: the door accepted it.
trait Teller: Clone + Send + Sync + 'static {
    /// Whether this vendor also reports that a text is on its way.
    const REPORTS_ON_ITS_WAY: bool;

    fn tell(&self, text: &Text, stage: Stage) -> impl Future<Output = bool> + Send;
}

/// The receipt that overtakes the answer, where the scenario has one.
async fn tell_early(teller: &impl Teller, text: &Text) {
    if text.fate.telling == Telling::Disordered {
        let limit = Duration::from_millis(EARLY_RECEIPT_MS_MAX);
        let _accepted_in_time = tokio::time::timeout(limit, teller.tell(text, Stage::Verdict)).await;
    }
}

/// The receipts after the answer. May run again after a restart: receipts that come twice are part of the trade.
fn tell_later(exchange: &Arc<Exchange>, teller: impl Teller, text: Arc<Text>) {
    let Some(settles_at_ms) = text.settles_at_ms else { return };
    let shared = Arc::clone(exchange);
    exchange.courier.run(async move {
        let told = match text.fate.telling {
            Telling::Never => return,
            Telling::Once => tell_once(&teller, &text, settles_at_ms).await,
            Telling::Disordered => {
                pause(shared.waits.receipt_ms).await;
                teller.tell(&text, Stage::OnItsWay).await;
                teller.tell(&text, Stage::Verdict).await
            }
        };
        if told {
            shared.book.told(&text);
        }
    });
}

async fn tell_once<T: Teller>(teller: &T, text: &Text, settles_at_ms: i64) -> bool {
    if T::REPORTS_ON_ITS_WAY {
        teller.tell(text, Stage::OnItsWay).await;
    }
    pause(u64::try_from(settles_at_ms - clock::now_ms()).unwrap_or(0)).await;
    teller.tell(text, Stage::Verdict).await
}

fn json(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

/// How many texts the network makes of one: 70 characters, or parts of 67.
fn segments(text: &str) -> usize {
    let units = text.encode_utf16().count();
    if units <= 70 { 1 } else { units.div_ceil(67) }
}

/// The pairs of a query, in order.
fn query(uri: &axum::http::Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}
