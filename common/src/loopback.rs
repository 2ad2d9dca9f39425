//! Whether a URL points to this machine, as those of the sandbox's carriers do: plain http is for those only.
//!
//! Settings and providers ask here alike. A name is never looked up: of names only `localhost` counts.

use url::{Host, Url};

/// What is asked is the host that the URL is read to have, whatever looks like one before it.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The same of a URL as it was written; what is no URL points nowhere.
pub(crate) fn is_loopback_text(raw: &str) -> bool {
    Url::parse(raw).is_ok_and(|url| is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for near in [
            "http://127.0.0.1:9000",
            "http://127.9.9.9/x",
            "http://[::1]:80",
            "http://localhost",
            "http://LOCALHOST:80/",
            "https://name:password@127.0.0.1/",
        ] {
            assert!(is_loopback_text(near), "{near}");
        }
        for far in [
            "https://api.twilio.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1:80@evil.example",
            "http://localhost@evil.example/",
            "http://[::1]@evil.example",
            "http://evil.example/?to=//127.0.0.1",
            "http://evil.example#@127.0.0.1",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "127.0.0.1:80",
            "localhost",
            "x",
            "",
        ] {
            assert!(!is_loopback_text(far), "{far}");
        }
    }
}
