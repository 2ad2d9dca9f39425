//! A queue or exchange that is not as we would have made it, read from the broker's refusal to declare it again.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, ShortString};

use super::error;

/// One difference. The process runs on what it found; whoever is responsible for the broker decides which side is right.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{queue}: {argument} is {found}, wanted {wanted}; delete it while it is empty, and it is made again as wanted")]
pub struct Drift {
    /// Its name at the broker, also where it is the exchange.
    pub queue: String,
    pub argument: String,
    pub wanted: String,
    pub found: String,
}

/// How the broker calls an argument that one side does not have.
const NONE: &str = "none";
const EXISTENCE: &str = "existence";

impl Drift {
    /// Nothing of that name is there at all.
    pub fn is_missing(&self) -> bool {
        self.argument == EXISTENCE
    }

    pub(super) fn missing(name: &str) -> Self {
        let [argument, wanted, found] = [EXISTENCE, "there", "missing"].map(str::to_owned);
        Self { queue: name.to_owned(), argument, wanted, found }
    }
}

/// `None` where the refusal is no difference between declarations.
pub(super) fn read(queue: &str, refused: &lapin::Error) -> lapin::Result<Option<Drift>> {
    match error::said(refused) {
        Some((error::PRECONDITION_FAILED, words)) => Ok(Some(parse(queue, &words))),
        Some(_) => Ok(None),
        None => Err(refused.clone()),
    }
}

/// `PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '5' of type
/// 'long' but current is the value '7' of type 'long'`, or `received none but ...`, `... but current is none`,
/// `received 'true' but current is 'false'`. Words we do not know are shown whole.
fn parse(queue: &str, words: &str) -> Drift {
    let drift = |argument: &str, wanted: &str, found: &str| Drift {
        queue: queue.to_owned(),
        argument: argument.to_owned(),
        wanted: wanted.to_owned(),
        found: found.to_owned(),
    };
    let read = || {
        let (argument, rest) = words.split_once("inequivalent arg '")?.1.split_once('\'')?;
        let (wanted, found) = rest.split_once("received ")?.1.split_once(" but current is ")?;
        Some(drift(argument, value(wanted)?, value(found)?))
    };
    read().unwrap_or_else(|| drift("declaration", "as this program declares it", words))
}

fn value(words: &str) -> Option<&str> {
    if words == NONE || words.starts_with("none") {
        return Some(NONE);
    }
    let (_, rest) = words.split_once('\'')?;
    // A value may hold quotes of its own, a type does not.
    let whole = rest.rsplit_once("' of type '").map_or_else(|| rest.trim_end_matches('\''), |(value, _)| value);
    Some(whole)
}

/// Makes `arguments` agree with what was found, so that the next difference shows. `false` where that cannot be: it is
/// no argument, or it was adopted already.
pub(super) fn adopt(arguments: &mut BTreeMap<ShortString, AMQPValue>, drift: &Drift) -> bool {
    if !drift.argument.starts_with("x-") {
        return false;
    }
    let found = match (drift.found.as_str(), drift.found.parse::<i64>()) {
        (NONE, _) => None,
        (_, Ok(number)) => Some(AMQPValue::LongLongInt(number)),
        (text, Err(_)) => Some(AMQPValue::LongString(text.into())),
    };
    let name = ShortString::from(drift.argument.as_str());
    match found {
        None => arguments.remove(&name).is_some(),
        Some(found) => arguments.insert(name, found.clone()) != Some(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, argument: &str, wanted: &str, found: &str) {
        let drift = parse("q", words);
        assert_eq!((drift.argument.as_str(), drift.wanted.as_str(), drift.found.as_str()), (argument, wanted, found));
    }

    #[test]
    fn a_refusal_is_read_for_name_and_values() {
        let said =
            |rest| format!("PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': {rest}");
        let values = "received the value '5' of type 'long' but current is the value '7' of type 'signedint'";
        check(&said(values), "x-max-length", "5", "7");
        check(&said("received none but current is the value '7' of type 'long'"), "x-max-length", "none", "7");
        check(&said("received the value '5' of type 'long' but current is none"), "x-max-length", "5", "none");
        let durable = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'";
        check(durable, "durable", "true", "false");
    }

    #[test]
    fn words_we_do_not_know_are_shown_whole() {
        check(
            "PRECONDITION_FAILED - new words",
            "declaration",
            "as this program declares it",
            "PRECONDITION_FAILED - new words",
        );
    }

    #[test]
    fn only_arguments_are_adopted_and_each_once() {
        let mut arguments = BTreeMap::from([("x-max-length".into(), AMQPValue::LongLongInt(5))]);
        let drift = |argument: &str, found: &str| Drift {
            queue: "q".to_owned(),
            argument: argument.to_owned(),
            wanted: String::new(),
            found: found.to_owned(),
        };
        assert!(!adopt(&mut arguments, &drift("durable", "false")));
        assert!(adopt(&mut arguments, &drift("x-max-length", "7")));
        assert!(!adopt(&mut arguments, &drift("x-max-length", "7")), "the broker would only say it again");
        assert!(adopt(&mut arguments, &drift("x-max-length", "none")));
        assert!(arguments.is_empty());
    }
}
