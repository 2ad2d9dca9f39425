//! The person who answers: listens to the announcement and finds the digit it asks for, as anybody would, from the words.

/// The digit an announcement asks to press; `None` when it asks for nothing.
///
/// Numbers that are only mentioned, such as an amount, are no reason to press: what counts stands right before 押す or right
/// after "press".
pub(super) fn announced_digit(heard: &str) -> Option<char> {
    let heard = heard.replace(['、', ',', '「', '」', '"', '\''], " ");
    let before_push = heard.split('押').next().filter(|before| before.len() < heard.len());
    if let Some(digit) = before_push.and_then(last_digit) {
        return Some(digit);
    }
    let lower = heard.to_lowercase();
    let after_press = lower.split_once("press")?.1;
    after_press.split(|letter: char| !letter.is_alphanumeric()).take(WORDS_TO_DIGIT_MAX).find_map(digit_word)
}

/// "press the number seven": the digit follows within a few words.
const WORDS_TO_DIGIT_MAX: usize = 6;
const KANJI: [char; 10] = ['〇', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
const ENGLISH: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

fn last_digit(before: &str) -> Option<char> {
    before.chars().rev().find_map(plain_digit)
}

fn digit_word(word: &str) -> Option<char> {
    let mut letters = word.chars();
    match (letters.next().and_then(plain_digit), letters.next()) {
        (Some(digit), None) => Some(digit),
        (Some(_) | None, _) => ENGLISH.iter().position(|name| *name == word).and_then(digit),
    }
}

fn plain_digit(letter: char) -> Option<char> {
    match letter {
        '0'..='9' => Some(letter),
        '０'..='９' => digit(u32::from(letter).checked_sub(u32::from('０'))? as usize),
        other => KANJI.iter().position(|kanji| *kanji == other).and_then(digit),
    }
}

fn digit(value: usize) -> Option<char> {
    char::from_digit(u32::try_from(value).ok()?, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_finds_the_digit_in_either_language() {
        for (heard, digit) in [
            ("認証コードをお知らせします。お聞きになるには、7を押してください。", Some('7')),
            ("12,000円のお支払いです。数字の「３」を押してください。", Some('3')),
            ("確認コードは、五、を押すと流れます", Some('5')),
            ("To hear your code, press 8 now.", Some('8')),
            ("A payment of JPY 12,000 to YAMADA. Please press the number nine.", Some('9')),
            ("Press \"2\"", Some('2')),
            ("Your code is 1, 2, 3, 4, 5, 6.", None),
            ("さようなら", None),
            ("", None),
        ] {
            assert_eq!(announced_digit(heard), digit, "{heard}");
        }
    }
}
