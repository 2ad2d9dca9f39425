//! What a call says, as parts that any voice vendor can speak. Words only; the vendor's form is in `providers`.
//!
//! A call first announces a digit to press, and speaks the code or the text only after it was pressed: voicemail never
//! hears it.

use crate::message::Locale;
use crate::transaction::Transaction;

/// How long a person has to press the digit.
pub const LISTEN_S: u8 = 8;

/// Twilio's voices speak 3,000 characters at once, and a text that is 4,500 bytes in a URL, where each kana or kanji takes
/// nine; what is longer is not spoken at all (error 13521 of its documents).
const SAID_CHARS_MAX: usize = 300;
const SENTENCE_ENDS: [char; 7] = ['。', '．', '！', '？', '\n', '!', '?'];

const DIGIT_PAUSE_MS: u32 = 400;
/// In the middle of a code, where people write it down in two halves.
const HALF_PAUSE_MS: u32 = 800;
const SENTENCE_PAUSE_MS: u32 = 700;

/// What one answer to the voice vendor says and does. `Debug` shows no words: they may hold the code.
#[derive(Clone, PartialEq, Eq)]
pub struct Speech {
    pub locale: Locale,
    pub parts: Vec<Part>,
    pub then: Then,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    Say(String),
    PauseMs(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Wait for one digit this long, then ask us again (with no digit when none was pressed).
    Listen {
        timeout_s: u8,
    },
    HangUp,
}

/// What a call is announced as.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    Code,
    Payment(&'a Transaction),
    Text,
}

/// What this call is about and which digit to press; of a payment also amount, currency and payee, before any code.
pub fn announce(locale: Locale, digit: u8, subject: Subject<'_>) -> Speech {
    let mut parts = Vec::new();
    let about = match subject {
        Subject::Code | Subject::Payment(_) => {
            say(locale, "確認コードをお知らせする電話です。", "This is a call with your confirmation code.")
        }
        Subject::Text => say(locale, "メッセージをお伝えする電話です。", "This is a call with a message for you."),
    };
    sentence(&mut parts, about);
    if let Subject::Payment(payment) = subject {
        sentence(&mut parts, payment_words(locale, payment));
    }
    let press = press_words(locale, digit, subject);
    sentence(&mut parts, press.clone());
    parts.push(Part::Say(press));
    Speech { locale, parts, then: Then::Listen { timeout_s: LISTEN_S } }
}

fn press_words(locale: Locale, digit: u8, subject: Subject<'_>) -> String {
    match (locale, subject) {
        (Locale::Ja, Subject::Code | Subject::Payment(_)) => format!("コードを聞くには、{digit}を押してください。"),
        (Locale::Ja, Subject::Text) => format!("メッセージを聞くには、{digit}を押してください。"),
        (Locale::En, Subject::Code | Subject::Payment(_)) => format!("To hear the code, press {digit}."),
        (Locale::En, Subject::Text) => format!("To hear the message, press {digit}."),
    }
}

/// The code digit by digit, the whole twice; of a payment also amount, currency and payee, before and after.
pub fn speak_code(locale: Locale, code: &str, payment: Option<&Transaction>) -> Speech {
    let payment = payment.map(|payment| payment_words(locale, payment));
    let mut parts = Vec::new();
    if let Some(words) = &payment {
        sentence(&mut parts, words.clone());
    }
    sentence(&mut parts, say(locale, "確認コードは、", "Your code is"));
    digits(&mut parts, code);
    sentence(&mut parts, say(locale, "繰り返します。", "Once more."));
    digits(&mut parts, code);
    if let Some(words) = payment {
        sentence(&mut parts, words);
    }
    parts.push(Part::Say(say(
        locale,
        "このコードは誰にも教えないでください。失礼します。",
        "Do not share this code with anyone. Goodbye.",
    )));
    Speech { locale, parts, then: Then::HangUp }
}

/// A text, twice, and that the call ends.
pub fn speak_text(locale: Locale, text: &str) -> Speech {
    let mut parts = Vec::new();
    text_parts(&mut parts, text);
    sentence(&mut parts, say(locale, "繰り返します。", "Once more."));
    text_parts(&mut parts, text);
    parts.push(Part::Say(say(locale, "失礼します。", "Goodbye.")));
    Speech { locale, parts, then: Then::HangUp }
}

/// For whoever pressed another digit: the call ends, and another one may be asked for where the first was.
pub fn wrong_digit(locale: Locale) -> Speech {
    let words = say(
        locale,
        "番号が違います。必要なときは、もう一度お電話をご依頼ください。失礼します。",
        "That was another digit. Ask for a new call if you need one. Goodbye.",
    );
    Speech { locale, parts: vec![Part::Say(words)], then: Then::HangUp }
}

/// For a call that has nothing to say any more, or that nobody asked to go on.
pub fn goodbye(locale: Locale) -> Speech {
    let words = say(locale, "お電話を終わります。失礼します。", "This call ends here. Goodbye.");
    Speech { locale, parts: vec![Part::Say(words)], then: Then::HangUp }
}

fn say(locale: Locale, ja: &str, en: &str) -> String {
    match locale {
        Locale::Ja => ja.to_owned(),
        Locale::En => en.to_owned(),
    }
}

fn sentence(parts: &mut Vec<Part>, words: String) {
    parts.push(Part::Say(words));
    parts.push(Part::PauseMs(SENTENCE_PAUSE_MS));
}

/// In pieces that a voice can take, each ending with a sentence where one ends in it, else with a word, else where it is full.
fn text_parts(parts: &mut Vec<Part>, text: &str) {
    let mut rest = text;
    while let Some((at, _)) = rest.char_indices().nth(SAID_CHARS_MAX) {
        let full = &rest[..at];
        let last = |is_end: fn(char) -> bool| full.rfind(is_end).map(|at| full.ceil_char_boundary(at + 1));
        let sentence = last(|letter| SENTENCE_ENDS.contains(&letter)).max(full.rfind(". ").map(|at| at + 2));
        let (piece, after) = rest.split_at(sentence.or_else(|| last(char::is_whitespace)).unwrap_or(at));
        parts.push(Part::Say(piece.to_owned()));
        rest = after;
    }
    sentence(parts, rest.to_owned());
}

/// One part for each digit, so that no voice reads the code as one large number.
fn digits(parts: &mut Vec<Part>, code: &str) {
    let half = code.chars().count().div_ceil(2);
    for (index, digit) in code.chars().enumerate() {
        parts.push(Part::Say(digit.to_string()));
        parts.push(Part::PauseMs(if index + 1 == half { HALF_PAUSE_MS } else { DIGIT_PAUSE_MS }));
    }
}

fn payment_words(locale: Locale, payment: &Transaction) -> String {
    let (amount, payee) = (spoken_amount(locale, payment), &payment.payee.name);
    match locale {
        Locale::Ja => format!("{payee}への、{amount}のお支払いの確認です。"),
        Locale::En => format!("This confirms a payment of {amount} to {payee}."),
    }
}

/// The currency by its name where a voice would stumble over three letters.
fn spoken_amount(locale: Locale, payment: &Transaction) -> String {
    let amount = payment.decimal_words();
    let currency = match (locale, payment.currency.as_str()) {
        (Locale::Ja, "JPY") => "円",
        (Locale::Ja, "USD") => "米ドル",
        (Locale::Ja, "EUR") => "ユーロ",
        (Locale::En, "JPY") => "yen",
        (Locale::En, "USD") => "US dollars",
        (Locale::En, "EUR") => "euros",
        (Locale::Ja | Locale::En, other) => other,
    };
    match locale {
        Locale::Ja => format!("{amount}{currency}"),
        Locale::En => format!("{amount} {currency}"),
    }
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech").field("locale", &self.locale).field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Say(words) => write!(f, "Say({} characters)", words.chars().count()),
            Self::PauseMs(ms) => write!(f, "PauseMs({ms})"),
        }
    }
}

#[cfg(test)]
mod tests;
