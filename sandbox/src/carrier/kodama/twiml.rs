//! Reads TwiML: the verbs a call may be told to perform. What this sandbox cannot perform is refused by name.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the events are the XML reader's; those not named here are no TwiML"
)]

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

const VERBS_MAX: usize = 100;
/// The vendor repeats `loop="0"` without end; ten times are enough to see it.
const LOOPS_MAX: u32 = 10;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Say {
        text: String,
        times: u32,
    },
    Pause,
    Gather(Gather),
    Hangup,
    /// Read, and not followed by this sandbox.
    Redirect,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gather {
    pub(super) digits_max: Option<usize>,
    pub(super) timeout_s: u64,
    pub(super) action: Option<String>,
    pub(super) action_on_empty: bool,
    /// Only `Say` and `Pause`.
    pub(super) prompts: Vec<Verb>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TwimlError {
    #[error("not XML: {0}")]
    Xml(String),
    #[error("no <Response> around the verbs")]
    NoResponse,
    #[error("<{0}> is no verb here")]
    Verb(String),
    #[error("more than {VERBS_MAX} verbs")]
    TooMany,
}

/// The verbs of a document, in order.
pub(super) fn read(document: &str) -> Result<Vec<Verb>, TwimlError> {
    let mut verbs = Verbs { reader: Reader::from_str(document), count: 0 };
    verbs.response()
}

struct Verbs<'a> {
    reader: Reader<&'a [u8]>,
    count: usize,
}

impl Verbs<'_> {
    fn response(&mut self) -> Result<Vec<Verb>, TwimlError> {
        loop {
            match self.next()? {
                Event::Start(tag) if tag.name().as_ref() == "Response" => return self.inside("Response"),
                Event::Empty(tag) if tag.name().as_ref() == "Response" => return Ok(Vec::new()),
                Event::Decl(_) | Event::Comment(_) | Event::Text(_) => {}
                _ => return Err(TwimlError::NoResponse),
            }
        }
    }

    /// The verbs up to the end of `parent`.
    fn inside(&mut self, parent: &str) -> Result<Vec<Verb>, TwimlError> {
        let mut verbs = Vec::new();
        loop {
            let (tag, is_empty) = match self.next()? {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::End(_) => return Ok(verbs),
                Event::Eof => return Err(TwimlError::Xml(format!("<{parent}> is not closed"))),
                _ => continue,
            };
            self.count += 1;
            if self.count > VERBS_MAX {
                return Err(TwimlError::TooMany);
            }
            verbs.push(self.verb(parent, &tag, is_empty)?);
        }
    }

    fn verb(&mut self, parent: &str, tag: &BytesStart<'_>, is_empty: bool) -> Result<Verb, TwimlError> {
        let name = tag.name().as_ref().to_owned();
        match name.as_str() {
            "Say" => {
                let times = match attribute(tag, "loop")?.map(|raw| raw.parse::<u32>()) {
                    None | Some(Err(_)) => 1,
                    Some(Ok(0)) => LOOPS_MAX,
                    Some(Ok(times)) => times.min(LOOPS_MAX),
                };
                Ok(Verb::Say { text: self.text(is_empty)?, times })
            }
            "Pause" => self.text(is_empty).map(|_nothing| Verb::Pause),
            "Hangup" if parent == "Response" => self.text(is_empty).map(|_nothing| Verb::Hangup),
            "Redirect" if parent == "Response" => self.text(is_empty).map(|_url| Verb::Redirect),
            "Gather" if parent == "Response" => {
                let prompts = if is_empty { Vec::new() } else { self.inside("Gather")? };
                Ok(Verb::Gather(Gather {
                    digits_max: attribute(tag, "numDigits")?.and_then(|raw| raw.parse().ok()),
                    timeout_s: attribute(tag, "timeout")?.and_then(|raw| raw.parse().ok()).unwrap_or(5),
                    action: attribute(tag, "action")?,
                    action_on_empty: attribute(tag, "actionOnEmptyResult")?.as_deref() == Some("true"),
                    prompts,
                }))
            }
            _ => Err(TwimlError::Verb(name)),
        }
    }

    /// The text up to the end of the verb that was just opened.
    fn text(&mut self, is_empty: bool) -> Result<String, TwimlError> {
        let mut text = String::new();
        if is_empty {
            return Ok(text);
        }
        loop {
            match self.next()? {
                Event::Text(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(part) => {
                    let named = quick_xml::escape::resolve_xml_entity(&part).map(str::to_owned);
                    let letter = part.resolve_char_ref().map_err(|error| TwimlError::Xml(error.to_string()))?;
                    match (letter, named) {
                        (Some(letter), _) => text.push(letter),
                        (None, Some(named)) => text.push_str(&named),
                        (None, None) => return Err(TwimlError::Xml("an entity nobody declared".to_owned())),
                    }
                }
                Event::Comment(_) => {}
                Event::End(_) => return Ok(text.trim().to_owned()),
                Event::Start(tag) | Event::Empty(tag) => return Err(TwimlError::Verb(tag.name().as_ref().to_owned())),
                _ => return Err(TwimlError::Xml("a verb is not closed".to_owned())),
            }
        }
    }

    fn next(&mut self) -> Result<Event<'static>, TwimlError> {
        let event = self.reader.read_event().map_err(|error| TwimlError::Xml(error.to_string()))?;
        Ok(event.into_owned())
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, TwimlError> {
    let attribute = tag.try_get_attribute(name).map_err(|error| TwimlError::Xml(error.to_string()))?;
    let value = attribute.map(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).map(Cow::into_owned));
    value.transpose().map_err(|error| TwimlError::Xml(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_with_its_gather() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <Gather numDigits="1" timeout="7" action="/next?a=1&amp;b=2" actionOnEmptyResult="true">
                <Say language="ja-JP" voice="Polly.Mizuki" loop="2">A &amp; B&#x3002;7を押してください</Say><Pause length="1"/>
              </Gather>
              <Say>Goodbye</Say><Hangup/>
            </Response>"#;
        let prompts = vec![Verb::Say { text: "A & B。7を押してください".to_owned(), times: 2 }, Verb::Pause];
        let gather = Gather {
            digits_max: Some(1),
            timeout_s: 7,
            action: Some("/next?a=1&b=2".to_owned()),
            action_on_empty: true,
            prompts,
        };
        let goodbye = Verb::Say { text: "Goodbye".to_owned(), times: 1 };
        assert_eq!(read(document), Ok(vec![Verb::Gather(gather), goodbye, Verb::Hangup]));
    }

    #[test]
    fn what_is_no_twiml_is_refused_by_name() {
        assert_eq!(read("<Say>hello</Say>"), Err(TwimlError::NoResponse));
        assert_eq!(read("<Response><Play>x</Play></Response>"), Err(TwimlError::Verb("Play".to_owned())));
        assert_eq!(read("<Response><Gather><Gather/></Gather></Response>"), Err(TwimlError::Verb("Gather".to_owned())));
        assert!(matches!(read("<Response><Say>hello"), Err(TwimlError::Xml(_))));
        assert!(matches!(read("<Response><Say>&nobody;</Say></Response>"), Err(TwimlError::Xml(_))));
        assert_eq!(read(&format!("<Response>{}</Response>", "<Pause/>".repeat(101))), Err(TwimlError::TooMany));
        assert_eq!(read("<Response/>"), Ok(Vec::new()));
    }
}
