//! `X-Twilio-Signature`: HMAC-SHA1 with the account's token over the URL and the sorted form fields.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use ring::hmac;

/// `url` exactly as the caller configured it, query included; a fragment is never sent and never signed.
pub(crate) fn sign(auth_token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut fields: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        fields.entry(name).or_default().insert(value);
    }
    let mut signed = url.split('#').next().unwrap_or_default().to_owned();
    for (name, values) in fields {
        for value in values {
            signed.push_str(name);
            signed.push_str(value);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    data_encoding::BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_checked_with_the_vendors_sdk_holds() {
        let form = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675310"),
            ("Digits", "1234"),
            ("From", "+14158675310"),
            ("To", "+18005551212"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign("12345", url, &form), "GvWf1cFY/Q7PnoempGyD5oXAezc=");
        assert_eq!(sign("12345", &format!("{url}#rc=2"), &form), "GvWf1cFY/Q7PnoempGyD5oXAezc=");
        assert_ne!(sign("12346", url, &form), "GvWf1cFY/Q7PnoempGyD5oXAezc=");
    }
}
