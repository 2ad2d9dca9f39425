//! What went to a number, as a person reads it: a line each, newest first, and from when to when was looked.

use otodoke_producer::answer::{Found, FoundMessage, LegView};

/// `before` is where the look began, where that was not now.
pub(super) fn of(found: &Found, before: Option<&str>) -> String {
    let Found { messages, looked_back_to: back, complete } = found;
    let lines: String = messages.iter().map(line).collect();
    let when = before.map_or_else(|| format!("since {back}"), |before| format!("from {back} to {before}"));
    let all = if messages.is_empty() {
        format!(
            "This key's tenant sent nothing to this number {when}. What was refused is kept nowhere: `otodoke explain NUMBER` \
             tells how the number can be reached."
        )
    } else {
        format!("\nThese are all {when}. `otodoke trace ID` tells what happened to one of them.")
    };
    let more = if *complete { String::new() } else { format!(" Looking went no further: `--before {back}` goes on.") };
    format!("{lines}{all}{more}")
}

fn line(found: &FoundMessage) -> String {
    let FoundMessage { accepted_at, message } = found;
    let why = message.failure.as_ref().map_or_else(String::new, |failure| format!(" ({})", failure.reason));
    let legs: String = message.legs.iter().map(leg).collect();
    format!("{accepted_at}  {}  {}: {}{why}{legs}\n", message.id, message.purpose, message.status)
}

fn leg(leg: &LegView) -> String {
    let LegView { channel, route_id, .. } = leg;
    let outcome = leg.outcome.as_deref().unwrap_or("under way");
    let reason = leg.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
    format!("; {channel} by {route_id} {outcome}{reason}")
}

#[cfg(test)]
mod tests {
    use otodoke_producer::answer::MessageView;

    use super::*;

    #[test]
    fn a_message_is_a_line_with_its_end_and_its_legs() {
        let leg = |number, channel: &str, route_id: &str, outcome: &str, reason: Option<&str>| LegView {
            leg: number,
            channel: channel.to_owned(),
            provider: "sakura".to_owned(),
            route: "domestic".to_owned(),
            route_id: route_id.to_owned(),
            outcome: Some(outcome.to_owned()),
            reason: reason.map(str::to_owned),
            started_at: String::new(),
            ended_at: None,
        };
        let message = MessageView {
            id: "0199c0de".to_owned(),
            status: "delivered".to_owned(),
            to: "+81*******678".to_owned(),
            purpose: "login".to_owned(),
            useful_until: String::new(),
            guesses_left: None,
            next_resend_at: None,
            legs: vec![
                leg(1, "sms", "jp-sakura", "refused", Some("recipient_blocked")),
                leg(2, "voice", "jp-kodama", "delivered", None),
            ],
            failure: None,
        };
        let accepted_at = "2026-11-22T10:05:00.123Z".to_owned();
        let looked_back_to = "2026-11-21T10:05:00Z".to_owned();
        let found = Found { messages: vec![FoundMessage { accepted_at, message }], looked_back_to, complete: false };
        let told = of(&found, None);
        let first = "2026-11-22T10:05:00.123Z  0199c0de  login: delivered; sms by jp-sakura refused, recipient_blocked; \
                     voice by jp-kodama delivered";
        assert_eq!(told.lines().next(), Some(first));
        assert!(told.contains("all since 2026-11-21T10:05:00Z"), "{told}");
        assert!(told.ends_with("`--before 2026-11-21T10:05:00Z` goes on."), "{told}");
        let earlier = of(&found, Some("2026-11-22T12:00:00Z"));
        assert!(earlier.contains("all from 2026-11-21T10:05:00Z to 2026-11-22T12:00:00Z."), "{earlier}");
        let none = Found { messages: Vec::new(), complete: true, ..found };
        assert!(of(&none, None).contains("to this number since 2026-11-21T10:05:00Z."));
        let nothing_then = "to this number from 2026-11-21T10:05:00Z to 2026-11-22T12:00:00Z.";
        assert!(of(&none, Some("2026-11-22T12:00:00Z")).contains(nothing_then));
    }
}
