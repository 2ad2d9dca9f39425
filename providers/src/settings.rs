//! The settings of one provider and everything that can be wrong with them, found before anything is sent.
//!
//! Reading them from a file is `common::config`; which vendor they become is `build`.

use std::time::Duration;

use hyper::Uri;
use otodoke_common::config::{ProviderKind, Secret};
use otodoke_common::leg::ProviderId;
use otodoke_common::loopback::is_loopback;
use url::{Host, Url};

/// Shorter than this no vendor answers; longer than this a leg is better called unknown.
const TIMEOUT_MS_MIN: u64 = 100;
const TIMEOUT_MS_MAX: u64 = 60_000;

#[derive(Clone, Debug)]
pub struct ProviderSettings {
    pub id: ProviderId,
    pub kind: ProviderKind,
    /// Where the vendor's API is: scheme, host, and a path in front of the vendor's own where there is one.
    pub base_url: String,
    /// Where vendors reach us.
    pub public_url: String,
    /// The vendor's account name; Twilio's `AccountSid`.
    pub account: Option<String>,
    /// The vendor's token or key.
    pub secret: Secret,
    /// The longest that one request may take, connecting included.
    pub timeout_ms: u64,
}

/// For the operator: which key of which provider, its value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("provider {provider}: {key} = {value:?}: {remedy}")]
pub struct ProviderError {
    pub provider: ProviderId,
    pub key: &'static str,
    /// `(hidden)` for secrets.
    pub value: String,
    pub remedy: &'static str,
}

impl ProviderSettings {
    pub(crate) fn error(&self, key: &'static str, value: &str, remedy: &'static str) -> ProviderError {
        ProviderError { provider: self.id.clone(), key, value: value.to_owned(), remedy }
    }

    /// What every vendor needs alike.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        self.base()?;
        self.public()?;
        let secret = self.secret.expose();
        let visible = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible {
            let remedy = "set the vendor's token or key: visible ASCII, without spaces or line ends";
            return Err(self.error("secret", "(hidden)", remedy));
        }
        if !(TIMEOUT_MS_MIN..=TIMEOUT_MS_MAX).contains(&self.timeout_ms) {
            return Err(self.error("timeout_ms", &self.timeout_ms.to_string(), "use 100 to 60000"));
        }
        Ok(())
    }

    pub(crate) fn base(&self) -> Result<Url, ProviderError> {
        self.url("base_url", &self.base_url, is_loopback)
    }

    /// Our own URL without a slash at its end, ready for a path.
    pub(crate) fn public(&self) -> Result<String, ProviderError> {
        self.url("public_url", &self.public_url, |url| is_loopback(url) || self.is_called_from_here(url))?;
        Ok(self.public_url.trim_end_matches('/').to_owned())
    }

    /// Whether the vendor is on this machine and calls us by an address instead of a name, as the carriers of `otodoke up`
    /// do where it listens at an address of this machine. What they send then never leaves it.
    fn is_called_from_here(&self, public: &Url) -> bool {
        let is_address = matches!(public.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
        is_address && Url::parse(&self.base_url).is_ok_and(|base| is_loopback(&base))
    }

    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// For vendors whose key alone names the account.
    pub(crate) fn no_account(&self) -> Result<(), ProviderError> {
        match &self.account {
            None => Ok(()),
            Some(account) => Err(self.error("account", account, "this kind has no account: remove the key")),
        }
    }

    /// A URL that may be asked: by https, or by plain http where `may_be_plain` says so.
    fn url(&self, key: &'static str, raw: &str, may_be_plain: impl Fn(&Url) -> bool) -> Result<Url, ProviderError> {
        let remedy = "use an https:// URL with a host and without user name, query or fragment";
        let url = Url::parse(raw).map_err(|_| self.error(key, raw, remedy))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.error(key, "(hidden)", remedy));
        }
        // Not every host that a URL may have is one that HTTP can be asked for.
        let askable = url.has_host() && url.as_str().parse::<Uri>().is_ok();
        if !askable || url.query().is_some() || url.fragment().is_some() {
            return Err(self.error(key, raw, remedy));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if may_be_plain(&url) => Ok(url),
            "http" => Err(self.error(key, raw, "use https://; plain http:// is for loopback hosts only")),
            _ => Err(self.error(key, raw, remedy)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::{settings, vault};

    fn refused(change: impl FnOnce(&mut ProviderSettings)) -> ProviderError {
        let mut settings = settings(ProviderKind::Infobip, "https://api.example.com");
        change(&mut settings);
        crate::build(&settings, vault()).err().expect("these settings are wrong")
    }

    #[test]
    fn a_wrong_setting_names_its_key_its_value_and_what_would_be_right() {
        let cases: [(ProviderError, &str, &str); 9] = [
            (refused(|s| s.base_url = "api.example.com".into()), "base_url", "api.example.com"),
            (
                refused(|s| s.base_url = "https://{account}.example.com".into()),
                "base_url",
                "https://{account}.example.com",
            ),
            (refused(|s| s.base_url = "http://api.example.com".into()), "base_url", "http://api.example.com"),
            (refused(|s| s.base_url = "ftp://api.example.com".into()), "base_url", "ftp://api.example.com"),
            (refused(|s| s.public_url = "https://a.example/?b=c".into()), "public_url", "https://a.example/?b=c"),
            (refused(|s| s.public_url = "http://10.0.0.1".into()), "public_url", "http://10.0.0.1"),
            (refused(|s| s.timeout_ms = 5), "timeout_ms", "5"),
            (refused(|s| s.account = Some("acme".into())), "account", "acme"),
            (refused(|s| s.kind = ProviderKind::Twilio), "account", ""),
        ];
        for (error, key, value) in cases {
            assert_eq!((error.key, error.value.as_str()), (key, value));
            assert!(!error.remedy.is_empty());
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let error = refused(|s| s.secret = Secret::new("two words"));
        assert!(!error.to_string().contains("two words"), "{error}");
        let error = refused(|s| s.base_url = "https://name:password@api.example.com".into());
        assert!(!error.to_string().contains("password@"), "{error}");
        let settings = settings(ProviderKind::Infobip, "https://api.example.com");
        assert!(!format!("{settings:?}").contains(settings.secret.expose()));
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for base in ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"] {
            assert!(crate::build(&settings(ProviderKind::Infobip, base), vault()).is_ok(), "{base}");
        }
        let error = refused(|s| s.base_url = "http://127.0.0.1:80@evil.example".into());
        assert_eq!((error.key, error.value.as_str()), ("base_url", "(hidden)"));
    }

    #[test]
    fn a_vendor_on_this_machine_may_call_one_of_its_addresses_by_plain_http() {
        let near = |public_url: &str| {
            let settings = settings(ProviderKind::Infobip, "http://127.0.0.1:9");
            crate::build(&ProviderSettings { public_url: public_url.to_owned(), ..settings }, vault()).is_ok()
        };
        assert!(near("http://192.0.2.7:8080") && near("http://[2001:db8::7]:8080"));
        assert!(!near("http://otp.example.com"), "a name may be that of any machine");
    }
}
