//! The vendor's words: statuses and errors with the ids and names of its own lists, and which verdict is which.

use serde_json::{Value, json};

use crate::scenario::Verdict;

#[derive(Clone, Copy)]
pub(super) struct Status {
    group: (u8, &'static str),
    id: u16,
    name: &'static str,
    description: &'static str,
}

const fn status(group: (u8, &'static str), id: u16, name: &'static str, description: &'static str) -> Status {
    Status { group, id, name, description }
}

const PENDING: (u8, &str) = (1, "PENDING");
const REJECTED: (u8, &str) = (5, "REJECTED");
pub(super) const PENDING_ENROUTE: Status = status(PENDING, 7, "PENDING_ENROUTE", "Message sent to next instance");
pub(super) const PENDING_ACCEPTED: Status = status(PENDING, 26, "PENDING_ACCEPTED", "Message accepted, pending");
pub(super) const DELIVERED_TO_OPERATOR: Status =
    status((3, "DELIVERED"), 2, "DELIVERED_TO_OPERATOR", "Message delivered to operator");
pub(super) const DELIVERED: Status =
    status((3, "DELIVERED"), 5, "DELIVERED_TO_HANDSET", "Message delivered to handset");
const UNDELIVERABLE: Status =
    status((2, "UNDELIVERABLE"), 9, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered");
pub(super) const REJECTED_DND: Status =
    status(REJECTED, 10, "REJECTED_DND", "Destination is on the do-not-disturb list");
pub(super) const REJECTED_DUPLICATE: Status =
    status(REJECTED, 23, "REJECTED_DUPLICATE_MESSAGE_ID", "A message with this id was sent before");

impl Status {
    pub(super) fn json(self) -> Value {
        let (group_id, group_name) = self.group;
        json!({ "groupId": group_id, "groupName": group_name, "id": self.id, "name": self.name, "description": self.description })
    }

    /// Whether it is the handset's own end, which has an error to go with it.
    pub(super) fn final_by_handset(self) -> bool {
        self.id == UNDELIVERABLE.id
    }
}

#[derive(Clone, Copy)]
pub(super) struct Fault {
    group: (u8, &'static str),
    id: u16,
    name: &'static str,
    permanent: bool,
}

pub(super) const NO_ERROR: Fault = Fault { group: (0, "OK"), id: 0, name: "NO_ERROR", permanent: false };

const fn fault(id: u16, name: &'static str, permanent: bool) -> Fault {
    Fault { group: (1, "HANDSET_ERRORS"), id, name, permanent }
}

impl Fault {
    pub(super) fn json(self) -> Value {
        let (group_id, group_name) = self.group;
        json!({
            "groupId": group_id, "groupName": group_name, "id": self.id, "name": self.name, "description": self.name,
            "permanent": self.permanent,
        })
    }
}

/// The verdict in the vendor's words.
pub(super) const fn receipt(verdict: Verdict) -> (Status, Fault) {
    match verdict {
        Verdict::Delivered => (DELIVERED, NO_ERROR),
        Verdict::RefusedByPerson => (REJECTED_DND, NO_ERROR),
        Verdict::CannotReceive => (UNDELIVERABLE, fault(11, "EC_TELESERVICE_NOT_PROVISIONED", true)),
        Verdict::SwitchedOff => (UNDELIVERABLE, fault(27, "EC_ABSENT_SUBSCRIBER", false)),
        Verdict::FilteredAbroad => (UNDELIVERABLE, fault(566, "EC_BLOCKED_BY_CARRIER", true)),
        Verdict::Landline => (UNDELIVERABLE, fault(568, "EC_DESTINATION_NOT_SMS_PROVISIONED", true)),
    }
}
