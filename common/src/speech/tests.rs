//! What is heard when, and what never is.

use super::*;

const LOCALES: [Locale; 2] = [Locale::Ja, Locale::En];

fn transfer() -> Transaction {
    Transaction::parse("1200050", "USD", "YAMADA TARO", "1234567").expect("valid")
}

fn said(speech: &Speech) -> Vec<&str> {
    let mut said = Vec::new();
    for part in &speech.parts {
        match part {
            Part::Say(words) => said.push(words.as_str()),
            Part::PauseMs(_) => {}
        }
    }
    said
}

#[test]
fn an_announcement_asks_for_its_digit_and_listens() {
    for (locale, press) in [(Locale::Ja, "7を押して"), (Locale::En, "press 7")] {
        for subject in [Subject::Code, Subject::Payment(&transfer()), Subject::Text] {
            let speech = announce(locale, 7, subject);
            assert!(said(&speech).concat().contains(press), "{subject:?}");
            assert!(matches!(speech.then, Then::Listen { timeout_s: LISTEN_S }));
        }
    }
}

#[test]
fn a_call_with_a_text_promises_no_code() {
    for (locale, code, text) in [(Locale::Ja, "コード", "メッセージ"), (Locale::En, "code", "message")] {
        let of_a_text = [announce(locale, 7, Subject::Text), speak_text(locale, "9:00"), goodbye(locale)];
        assert!(!of_a_text.iter().flat_map(said).any(|words| words.contains(code)), "{locale:?}");
        assert!(said(&of_a_text[0]).concat().contains(text), "{locale:?}");
        assert!(said(&announce(locale, 7, Subject::Code)).concat().contains(code), "{locale:?}");
    }
}

#[test]
fn a_payment_is_named_before_the_digit_is_asked_for() {
    for (locale, amount, press) in
        [(Locale::Ja, "12,000.50米ドル", "押して"), (Locale::En, "12,000.50 US dollars", "press")]
    {
        let speech = announce(locale, 7, Subject::Payment(&transfer()));
        let all = said(&speech).concat();
        let at = |words: &str| all.find(words).unwrap_or_else(|| panic!("{words:?} is missing in {all:?}"));
        assert!(at(amount) < at(press) && at("YAMADA TARO") < at(press), "{all}");
    }
}

#[test]
fn a_code_is_spoken_digit_by_digit_and_twice() {
    for locale in LOCALES {
        let speech = speak_code(locale, "012345", None);
        let digits: String = said(&speech).into_iter().filter(|words| words.chars().count() == 1).collect();
        assert_eq!(digits, "012345012345");
        for pair in speech.parts.windows(2) {
            let both_said = matches!(pair, [Part::Say(_), Part::Say(_)]);
            assert!(!both_said, "a pause stands between any two things said");
        }
        assert_eq!(speech.then, Then::HangUp);
    }
}

#[test]
fn a_payment_is_named_before_and_after_its_code() {
    for (locale, amount) in [(Locale::Ja, "12,000.50米ドル"), (Locale::En, "12,000.50 US dollars")] {
        let speech = speak_code(locale, "987654", Some(&transfer()));
        let said = said(&speech);
        let named = |words: &&str| words.contains(amount) && words.contains("YAMADA TARO");
        let first_digit = said.iter().position(|words| *words == "9").expect("the code is spoken");
        let last_digit = said.iter().rposition(|words| *words == "4").expect("the code is spoken");
        assert!(said[..first_digit].iter().any(named) && said[last_digit..].iter().any(named), "{said:?}");
    }
}

#[test]
fn a_text_is_read_twice() {
    for locale in LOCALES {
        let speech = speak_text(locale, "The door opens at nine.");
        assert_eq!(said(&speech).iter().filter(|words| **words == "The door opens at nine.").count(), 2);
        assert!(said(&speech).last().is_some_and(|words| ["失礼します。", "Goodbye."].contains(words)));
        assert_eq!(speech.then, Then::HangUp);
    }
}

#[test]
fn nothing_but_the_code_itself_holds_a_digit() {
    for locale in LOCALES {
        assert!(!said(&goodbye(locale)).concat().chars().any(|c| c.is_ascii_digit()));
        for subject in [Subject::Code, Subject::Text] {
            let announced: String = said(&announce(locale, 7, subject)).concat();
            assert!(announced.chars().filter(char::is_ascii_digit).all(|c| c == '7'), "{announced}");
        }
    }
}

#[test]
fn what_is_spoken_is_never_printed() {
    for locale in LOCALES {
        let speech = speak_code(locale, "987654", Some(&transfer()));
        let printed = format!("{speech:?} {:?}", speech.parts);
        assert!(!printed.contains('9') && !printed.contains("YAMADA"), "{printed}");
    }
}

#[test]
fn a_long_text_is_spoken_in_pieces_of_which_nothing_is_lost() {
    for (text, pieces) in [
        ("短い。".to_owned(), 1),
        ("あ".repeat(SAID_CHARS_MAX), 1),
        ("あ".repeat(SAID_CHARS_MAX + 1), 2),
        ("明日は9時に開きます。".repeat(60), 3),
        ("It opens at 9 tomorrow! ".repeat(50), 5),
        ("It opens at 9.30 tomorrow. ".repeat(50), 5),
        ("word ".repeat(100), 2),
    ] {
        let speech = speak_text(Locale::Ja, &text);
        let all = said(&speech);
        assert_eq!(all.len(), 2 * pieces + 2, "twice, and two sentences of our own");
        assert_eq!(all[..pieces].concat(), text);
        assert!(all.iter().all(|words| words.chars().count() <= SAID_CHARS_MAX && !words.is_empty()), "{text}");
        let whole = |words: &&&str| words.ends_with(['。', '!', ' ']);
        assert!(text.starts_with('あ') || all[..pieces - 1].iter().filter(whole).count() == pieces - 1, "{all:?}");
        let torn = |words: &&str| words.contains(". ") && !words.ends_with(". ");
        assert!(!all[..pieces - 1].iter().any(torn), "{all:?}");
    }
}
