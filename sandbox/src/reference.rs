//! The ids carriers give out, in the shape each vendor gives them.

use ring::rand::{SecureRandom, SystemRandom};

/// 32 lower-case hex digits, as SMSLINK's `delivery_id` and Infobip's `bulkId` stand for.
pub(crate) fn random() -> String {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    data_encoding::HEXLOWER.encode(&bytes)
}

/// `SM` or `CA` and 32 hex digits, as Twilio writes them.
pub(crate) fn sid(prefix: &str) -> String {
    format!("{prefix}{}", random())
}
