//! Counters that are there before anything happened. What is born with its first event shows no increase of it, and one body
//! parked, or one message failed, is what a person is to see. Only labels that the settings bound.

use super::edges::REFUSED;
use super::notes::is_security;
use super::words::RequestResult;
use super::{Metrics, OTHER, words};
use crate::broker::Queue;
use crate::leg::RouteId;
use crate::lifecycle::{Cap, Hold};
use crate::message::{Furthest, Lane, Purpose};
use crate::outcome::{Class, Reason};
use crate::phone::Country;

/// Each is a hundred lines at `/metrics`.
const COUNTRIES_MAX: usize = 16;
/// The limits that stop something.
const GUARDS: [&str; 3] = [Cap::SpendPerHour.word(), Cap::CallsPerHour.word(), words::GUESSES_PER_NUMBER];
/// Why a second text may go out while an earlier one may still arrive (`lifecycle`).
const DUPLICATE_CAUSES: [Class; 2] = [Class::Unknown, Class::Overdue];

/// Failures of a leg that people are to see at once.
const ALARMING: [Class; 2] = [Class::Config, Class::Content];
const LATE_BY: [&str; 2] = [words::PROVIDERS_CLOCK, words::OUR_CLOCK];

impl Metrics {
    pub(super) fn begin_at_zero(&self) {
        self.begin_servers();
        self.begin_lanes();
        for route in self.levels.keys() {
            self.begin_route(route);
        }
        for reason in Reason::all().filter(|reason| is_security(*reason)) {
            self.journey.security.with_label_values(&[reason.word()]);
        }
        let gave_up = Furthest::GaveUp { reason: Reason::NoRoute };
        for furthest in [Furthest::NeverSent, Furthest::Submitted, Furthest::Delivered, gave_up] {
            self.journey.expired.with_label_values(&[words::furthest(&furthest)]);
        }
        for country in self.countries.iter().take(COUNTRIES_MAX).map(Country::as_str).chain([OTHER]) {
            self.begin_country(country);
        }
    }

    fn begin_servers(&self) {
        for queue in Queue::ALL {
            for counter in [&self.edges.dead_letters, &self.edges.dead_letters_dropped, &self.edges.publish_nacks] {
                counter.with_label_values(&[queue.word()]);
            }
        }
        for kind in words::BROKER_ERRORS {
            self.edges.broker_errors.with_label_values(&[kind]);
        }
        for kind in words::STORE_ERRORS {
            self.edges.store_errors.with_label_values(&[kind]);
        }
        self.edges.amqp_reconnects.with_label_values::<&str>(&[]);
    }

    fn begin_lanes(&self) {
        for lane in Lane::ALL {
            for why in Hold::ALL {
                self.journey.waits.with_label_values(&[lane.word(), why.word()]);
            }
        }
    }

    fn begin_route(&self, route: &RouteId) {
        let route = route.as_str();
        for cause in DUPLICATE_CAUSES {
            self.journey.duplicates_possible.with_label_values(&[route, cause.word()]);
        }
        for class in ALARMING {
            self.journey.attempt_failures.with_label_values(&[route, class.word()]);
        }
        for clock in LATE_BY {
            self.journey.arrived_late.with_label_values(&[route, clock]);
        }
        for counter in [&self.journey.receipts_overdue, &self.journey.held_back] {
            counter.with_label_values(&[route]);
        }
    }

    fn begin_country(&self, country: &str) {
        for rule in GUARDS {
            self.edges.guard.with_label_values(&[rule, REFUSED, country]);
        }
        for purpose in Purpose::ALL {
            for reason in Reason::all() {
                self.journey.failures.with_label_values(&[purpose.word(), country, reason.word()]);
            }
            for result in RequestResult::ALL {
                self.edges.requests.with_label_values(&[purpose.word(), country, result.word()]);
            }
        }
    }
}
