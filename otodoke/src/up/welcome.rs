//! What `up` prints once it can accept: one JSON line for programs, the way on for people.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Welcome {
    pub(super) url: String,
    pub(super) api_key: String,
    /// The page with the handsets.
    pub(super) sandbox: String,
}

impl Welcome {
    pub(super) fn sentences(&self) -> String {
        let Self { url, api_key, sandbox } = self;
        format!(
            "
  Otodoke is up. Nothing leaves this machine: the carriers and the phones are part of it.

    Watch the phones   {sandbox}
    Door               {url}
    API key            {api_key}

  Ask for a code, for a phone that refuses texts:

    curl -s {url}/v1/verifications \\
      -H 'Authorization: Bearer {api_key}' \\
      -H 'Content-Type: application/json' \\
      -d '{{\"to\": \"+819012340002\", \"purpose\": \"login\"}}'

  Or with this program:

    export OTODOKE_URL={url} OTODOKE_API_KEY={api_key}
    otodoke send +819012340002 --purpose login

  Ctrl-C stops it; what is in hand is finished first.
"
        )
    }
}
