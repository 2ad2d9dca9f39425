//! The phones of a world: what arrived at each number, texts and calls, in order.

use std::collections::BTreeMap;
use std::sync::Mutex;

use otodoke_common::leg::ProviderId;

#[derive(Debug, Default)]
pub struct Phones(Mutex<BTreeMap<String, Phone>>);

#[derive(Clone, Debug, Default)]
pub struct Phone {
    pub texts: Vec<Text>,
    pub calls: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub provider: ProviderId,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub heard: Vec<String>,
}

impl Phones {
    pub fn receive(&self, number: &str, provider: &ProviderId, text: &str) {
        let text = Text { provider: provider.clone(), text: text.to_owned() };
        self.lock().entry(number.to_owned()).or_default().texts.push(text);
    }

    pub fn ring(&self, number: &str) -> usize {
        let mut phones = self.lock();
        let calls = &mut phones.entry(number.to_owned()).or_default().calls;
        calls.push(Call::default());
        calls.len() - 1
    }

    pub fn hear(&self, number: &str, call: usize, words: String) {
        self.lock().entry(number.to_owned()).or_default().calls[call].heard.push(words);
    }

    pub fn of(&self, number: &str) -> Phone {
        self.lock().get(number).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Phone>> {
        self.0.lock().expect("no code panics while it holds the phones")
    }
}

impl Text {
    pub fn code(&self) -> Option<String> {
        long_digits(&self.text)
    }
}

impl Phone {
    /// The code in a text, or spoken in a call: the only run of six digits or more, spoken ones joined. The last text
    /// comes first.
    pub fn code(&self) -> Option<String> {
        let texts = self.texts.iter().rev().map(|text| text.text.clone());
        let calls = self.calls.iter().rev().flat_map(|call| call.heard.iter().rev().map(|words| spoken_digits(words)));
        texts.chain(calls).find_map(|words| long_digits(&words))
    }
}

fn long_digits(words: &str) -> Option<String> {
    words.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() >= 6).map(str::to_owned)
}

/// What a call says before it says the code once more.
const ONCE_MORE: [&str; 2] = ["繰り返します", "Once more"];

/// Digits that were spoken one by one stand next to each other once all else is gone.
fn spoken_digits(words: &str) -> String {
    let once = ONCE_MORE.iter().find_map(|again| words.split_once(again)).map_or(words, |(once, _)| once);
    once.chars().filter(char::is_ascii_digit).collect()
}
