//! What a leg costs, and what its tenant may still pay for. Paid with the save that begins the leg, or the leg does not begin;
//! given back with the save of the answer that nobody took it.

use std::collections::BTreeMap;

use otodoke_common::bucket::{Refund, Spend};
use otodoke_common::desk::Dues;
use otodoke_common::leg::{Channel, Leg};
use otodoke_common::lifecycle::{Cap, Effect, Note, Step};
use otodoke_common::message::Message;
use otodoke_common::outcome::Answer;
use otodoke_common::provider::{SendContent, SendRequest};
use otodoke_common::route::Route;
use otodoke_common::text::Counting;

use crate::courier::Courier;

/// The price of the leg that a decision begins; empty where it begins none, or one that costs nothing.
#[derive(Default)]
pub(crate) struct Bill {
    pub(crate) spends: Vec<Spend>,
    /// The prices of legs that did not go out.
    pub(crate) refunds: Vec<Refund>,
    /// Of one segment or one call.
    price: Option<(Units, u32)>,
}

/// Prices are compared where a message is as many units: calls, or segments counted alike, of the same text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Units {
    channel: Channel,
    counting: Counting,
    origin_line: bool,
}

impl Bill {
    pub(crate) fn dues(&self) -> Dues<'_> {
        Dues { spends: &self.spends, refunds: &self.refunds }
    }
}

impl Units {
    const fn of(route: &Route) -> Self {
        Self { channel: route.channel, counting: route.counting, origin_line: route.origin_line }
    }
}

/// What was found out about the tenant's money while one decision was made.
#[derive(Default)]
pub(crate) struct Budget {
    calls_are_out: bool,
    /// The lowest price that was more than what is left.
    too_dear: BTreeMap<Units, u32>,
}

impl Budget {
    /// Whether the hour's number of calls leaves room for one more.
    pub(crate) const fn pays_for_calls(&self) -> bool {
        !self.calls_are_out
    }

    pub(crate) fn pays_for(&self, route: &Route) -> bool {
        self.too_dear.get(&Units::of(route)).is_none_or(|price| route.price < *price)
    }
}

impl Courier {
    pub(crate) fn bill(&self, decided: &Step) -> Bill {
        let message = &decided.message;
        let begun = |note: &Note| if let Note::LegBegan { leg, .. } = note { message.leg(*leg) } else { None };
        let not_out = |effect: &Effect| if let Effect::RefundLeg { leg } = effect { message.leg(*leg) } else { None };
        let paid = |leg| self.priced(message, leg).map(|(route, price)| (Units::of(route), route.price, price));
        let began = decided.notes.iter().find_map(begun).and_then(paid);
        let back = decided.effects.iter().filter_map(not_out).filter_map(paid);
        Bill {
            spends: began.iter().map(|(.., price)| self.desk.spend(message, *price)).collect(),
            refunds: back.map(|(.., price)| self.desk.spend(message, price).into()).collect(),
            price: began.map(|(units, price, _)| (units, price)),
        }
    }

    /// What a leg costs, where it costs anything.
    fn priced(&self, message: &Message, leg: &Leg) -> Option<(&Route, u64)> {
        let route = self.words().route(leg).filter(|route| route.price > 0)?;
        let units = match leg.channel {
            Channel::Sms => self.words().segments(message, leg),
            Channel::Voice => 1,
        };
        Some((route, u64::from(route.price) * u64::from(units)))
    }

    /// `bill` was not paid: its spend comes before that of the number of calls.
    pub(crate) fn unpaid(&self, message: &Message, bill: &Bill, index: usize, budget: &mut Budget) {
        match bill.price.filter(|_| index < bill.spends.len()) {
            Some((units, price)) => {
                self.desk.metrics.guarded(Cap::SpendPerHour.word(), message);
                let least = budget.too_dear.entry(units).or_insert(price);
                *least = price.min(*least);
            }
            None => {
                self.desk.metrics.guarded(Cap::CallsPerHour.word(), message);
                budget.calls_are_out = true;
            }
        }
    }

    /// What went out, or may have, for the counters. A repeat is deduped: it costs nothing.
    pub(crate) fn count_cost(&self, message: &Message, leg: &Leg, request: &SendRequest, answer: &Answer) {
        match answer {
            Answer::Refused(_) | Answer::NotSent { .. } => return,
            Answer::Submitted { .. } | Answer::Unknown { .. } => {}
        }
        let units = match &request.content {
            SendContent::Text(text) => {
                let count = self.words().count(leg, text);
                self.desk.metrics.segments(&leg.route, message.country, count);
                count
            }
            SendContent::Call => 1,
        };
        let cost = u64::from(self.price(leg)) * u64::from(units);
        if leg.sends == 1 && cost > 0 {
            self.desk.metrics.cost(&leg.route, message.country, self.desk.policy.currency, cost);
        }
    }

    fn price(&self, leg: &Leg) -> u32 {
        self.words().route(leg).map_or(0, |route| route.price)
    }
}
