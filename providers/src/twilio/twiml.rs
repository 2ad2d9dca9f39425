//! A speech as TwiML, the vendor's form: `Say` and `Pause`, inside a `Gather` where a digit is awaited.
//!
//! Source: Twilio "TwiML for Programmable Voice" (`Gather`, `Say`, `Pause`, `Hangup`), "Text-to-Speech".

use std::io;

use otodoke_common::message::Locale;
use otodoke_common::speech::{Part, Speech, Then};
use quick_xml::Writer;
use quick_xml::events::BytesText;

type Page = Writer<Vec<u8>>;

/// `next_url` is where the pressed digit goes, and the news that none was pressed.
pub(super) fn write(speech: &Speech, next_url: &str) -> String {
    let mut page = Writer::new(br#"<?xml version="1.0" encoding="UTF-8"?>"#.to_vec());
    page.create_element("Response")
        .write_inner_content(|page| response(page, speech, next_url))
        .expect("writing to memory does not fail");
    String::from_utf8(page.into_inner()).expect("the writer was given strings only")
}

fn response(page: &mut Page, speech: &Speech, next_url: &str) -> io::Result<()> {
    match speech.then {
        Then::Listen { timeout_s } => {
            page.create_element("Gather")
                .with_attribute(("input", "dtmf"))
                .with_attribute(("numDigits", "1"))
                .with_attribute(("timeout", timeout_s.to_string().as_str()))
                .with_attribute(("action", next_url))
                .with_attribute(("method", "POST"))
                .with_attribute(("actionOnEmptyResult", "true"))
                .write_inner_content(|page| parts(page, speech))?;
        }
        Then::HangUp => parts(page, speech)?,
    }
    page.create_element("Hangup").write_empty()?;
    Ok(())
}

fn parts(page: &mut Page, speech: &Speech) -> io::Result<()> {
    for part in &speech.parts {
        match part {
            Part::Say(words) => {
                page.create_element("Say")
                    .with_attribute(("language", language(speech.locale)))
                    .with_attribute(("voice", voice(speech.locale)))
                    .write_text_content(BytesText::new(&speakable(words)))?;
            }
            Part::PauseMs(ms) => {
                // Whole seconds are all that `Pause` knows.
                let seconds = ms.div_ceil(1_000).max(1).to_string();
                page.create_element("Pause").with_attribute(("length", seconds.as_str())).write_empty()?;
            }
        }
    }
    Ok(())
}

const fn language(locale: Locale) -> &'static str {
    match locale {
        Locale::Ja => "ja-JP",
        Locale::En => "en-US",
    }
}

/// Named, because the vendor's default voice, `man`, speaks no Japanese. Both are standard voices of one maker, which the
/// vendor's SDK lists (`scripts/oracles` looks).
const fn voice(locale: Locale) -> &'static str {
    match locale {
        Locale::Ja => "Polly.Mizuki",
        Locale::En => "Polly.Joanna",
    }
}

/// XML 1.0 cannot hold most control characters, not even escaped; spoken, each is a space.
fn speakable(words: &str) -> String {
    words.replace(|letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}'), " ")
}
