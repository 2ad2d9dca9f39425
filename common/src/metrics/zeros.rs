//! Counters that are there before anything happened. What is born with its first event shows no increase of it, and one body
//! parked, or one message failed, is what a person is to see. Only labels that the settings bound.

use super::notes::is_security;
use super::{Metrics, OTHER, words};
use crate::broker::Queue;
use crate::message::{Furthest, Purpose};
use crate::outcome::{Class, Reason};
use crate::phone::Country;

/// Each is a hundred lines at `/metrics`.
const COUNTRIES_MAX: usize = 16;
/// Why a second text may go out while an earlier one may still arrive (`lifecycle`).
const DUPLICATE_CAUSES: [Class; 2] = [Class::Unknown, Class::Overdue];

impl Metrics {
    pub(super) fn begin_at_zero(&self) {
        for queue in Queue::ALL {
            for counter in [&self.edges.dead_letters, &self.edges.dead_letters_dropped] {
                counter.with_label_values(&[queue.word()]);
            }
        }
        for reason in Reason::all().filter(|reason| is_security(*reason)) {
            self.journey.security.with_label_values(&[reason.word()]);
        }
        let gave_up = Furthest::GaveUp { reason: Reason::NoRoute };
        for furthest in [Furthest::NeverSent, Furthest::Submitted, Furthest::Delivered, gave_up] {
            self.journey.expired.with_label_values(&[words::furthest(&furthest)]);
        }
        for route in self.levels.keys() {
            for cause in DUPLICATE_CAUSES {
                self.journey.duplicates_possible.with_label_values(&[route.as_str(), cause.word()]);
            }
        }
        for country in self.countries.iter().take(COUNTRIES_MAX).map(Country::as_str).chain([OTHER]) {
            for purpose in Purpose::ALL {
                for reason in Reason::all() {
                    self.journey.failures.with_label_values(&[purpose.word(), country, reason.word()]);
                }
            }
        }
    }
}
