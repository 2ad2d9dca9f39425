//! The settings of a house: one file for all its processes, secrets in files beside it, carriers that do not exist.

use std::path::{Path, PathBuf};

use otodoke_common::config::{Root, Secret};

pub(crate) const TENANT: &str = "faults";

/// Where everything listens.
pub(crate) struct Ports {
    pub(crate) door: u16,
    /// Of sakura, fuji, atlas and kodama.
    pub(crate) carriers: [u16; 4],
}

/// Writes the file and what it names; returns its path.
pub(crate) fn write(directory: &Path, ports: &Ports, urls: (&str, &str), journey: &str) -> PathBuf {
    let (amqp_url, postgres_url) = urls;
    let secret = |name: &str, value: &str| {
        let path = directory.join(name);
        Secret::new(value).write(&path).expect("a new file");
        path.display().to_string()
    };
    for root in ["code-root", "seal-root"] {
        Root::read_or_create(&directory.join(root)).expect("a new root");
    }
    let place = directory.display();
    let mut text = format!(
        "public_url = \"http://127.0.0.1:{door}\"\nlisten = \"127.0.0.1:{door}\"\n\
         [amqp]\nurl_file = \"{amqp}\"\n[postgres]\nurl_file = \"{postgres}\"\n\
         [codes]\nactive = \"1\"\nroots = {{ 1 = \"{place}/code-root\" }}\n[seal]\nroot_file = \"{place}/seal-root\"\n\
         [tenant.{TENANT}]\n{journey}",
        door = ports.door,
        amqp = secret("amqp-url", amqp_url),
        postgres = secret("postgres-url", postgres_url),
    );
    for ((name, kind, account), port) in CARRIERS.into_iter().zip(ports.carriers) {
        let secret = secret(name, &secret_of(name));
        text += &format!(
            "[[provider]]\nid = \"{name}\"\nkind = \"{kind}\"\n{account}secret_file = \"{secret}\"\n\
             base_url = \"{url}\"\nrate_per_s = 1000\nconcurrency = 64\ntimeout_ms = 3500\n",
            url = base_url(port),
        );
    }
    let path = directory.join("otodoke.toml");
    std::fs::write(&path, text).expect("a new file");
    path
}

/// What a carrier must be shown.
pub(crate) fn secret_of(carrier: &str) -> String {
    format!("secret-of-{carrier}")
}

/// Of a carrier, as the settings write it.
pub(crate) fn base_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The name, the vendor's protocol and, where the vendor has one, its name for us.
const CARRIERS: [(&str, &str, &str); 4] = [
    ("sakura", "smslink", ""),
    ("fuji", "infobip", ""),
    ("atlas", "twilio", "account = \"AC00000000000000000000000000000001\"\n"),
    ("kodama", "twilio_voice", "account = \"AC00000000000000000000000000000002\"\n"),
];

/// Texts only, by two ways. The waits after a fault are short enough to watch; a receipt may be late on a busy machine.
pub(crate) const TEXTS: &str = r#"
[policy]
unknown_grace_ms = 1500
unknown_ask_after_ms = 500
ask_unasked_after_ms = 4000
crash_gap_ms = 11000
retry_first_ms = 200
retry_last_ms = 2000

[plan.JP]
international = "never"
voice = false

[[route]]
id = "jp-sakura"
provider = "sakura"
country = "JP"
class = "domestic"
channel = "sms"
rank = 1
sender = "Otodoke"
receipt = "handset"
usual_s = 1
overdue_after_s = 10

[[route]]
id = "jp-fuji"
provider = "fuji"
country = "JP"
class = "domestic"
channel = "sms"
rank = 2
sender = "Otodoke"
receipt = "handset"
usual_s = 1
overdue_after_s = 10
"#;

/// All that the sandbox has, with waits as short as its own.
pub(crate) const EVERYTHING: &str = r#"
[policy]
unknown_grace_ms = 1500
unknown_ask_after_ms = 500
ask_unasked_after_ms = 1000
late_voice_after_ms = 3000
call_overdue_after_ms = 15000
crash_gap_ms = 11000
retry_first_ms = 200
retry_last_ms = 2000
resend_cooldown_ms = [2000, 4000, 8000]
messages_per_10_minutes = 100
messages_per_day = 1000
calls_per_hour = 1000

[plan.JP]
international = "last"
voice = true

[[route]]
id = "jp-sakura"
provider = "sakura"
country = "JP"
class = "domestic"
channel = "sms"
rank = 1
sender = "Otodoke"
receipt = "handset"
usual_s = 1
overdue_after_s = 3
origin_line = true

[[route]]
id = "jp-fuji"
provider = "fuji"
country = "JP"
class = "domestic"
channel = "sms"
rank = 2
sender = "Otodoke"
receipt = "handset"
usual_s = 1
overdue_after_s = 3
origin_line = true

[[route]]
id = "jp-atlas"
provider = "atlas"
country = "JP"
class = "international"
channel = "sms"
rank = 3
sender = "+12025550100"
receipt = "handset"
usual_s = 1
overdue_after_s = 3
origin_line = true

[[route]]
id = "jp-kodama"
provider = "kodama"
country = "JP"
class = "domestic"
channel = "voice"
rank = 1
sender = "+81312340000"
receipt = "handset"
usual_s = 1
overdue_after_s = 3
"#;
