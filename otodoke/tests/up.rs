//! The program as a newcomer meets it: `otodoke up` in an empty directory, then the commands against it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BINARY: &str = env!("CARGO_BIN_EXE_otodoke");
/// Far longer than anything here takes.
const WAIT_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Up {
    process: Child,
    welcome: Value,
    directory: tempfile::TempDir,
}

impl Up {
    fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    fn start_at(listen: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"), listen)
    }

    fn start_in(directory: tempfile::TempDir, listen: &str) -> Self {
        Self::start_with(directory, listen, &[])
    }

    fn start_with(directory: tempfile::TempDir, listen: &str, more: &[&str]) -> Self {
        let mut process = Command::new(BINARY)
            .args(["up", "--json", "--listen", listen, "--data"])
            .arg(directory.path().join("data"))
            .args(more)
            .env_remove("OTODOKE_CONFIG")
            .env("OTODOKE_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("the first line");
        Self { process, welcome: serde_json::from_str(&line).expect("one line of JSON"), directory }
    }

    fn url(&self) -> &str {
        self.welcome["url"].as_str().expect("a URL")
    }

    /// Another `otodoke`, as the same person would type it.
    fn type_in(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program runs")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(words)
            .env("OTODOKE_URL", self.url())
            .env("OTODOKE_API_KEY", self.welcome["api_key"].as_str().expect("a key"))
            .env("OTODOKE_DATA", self.directory.path().join("data"));
        command
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.type_in(&[words, &["--json"]].concat());
        read(&output.stdout)
    }

    /// The first text on a handset, once it is there.
    async fn text(&self, number: &str) -> String {
        let text = |handset: &Value| handset["messages"][0]["text"].as_str().map(str::to_owned);
        self.look(&format!("/sandbox/handsets/{number}"), text).await
    }

    /// Waits until what is there holds what is wanted.
    async fn look<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = wanted(&self.get(path).await) {
                    return found;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, looking).await.expect("it comes in time")
    }

    async fn get(&self, path: &str) -> Value {
        let address = self.url().trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let key = self.welcome["api_key"].as_str().expect("a key");
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n");
        let request = format!("{head}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let body = answer.split_once("\r\n\r\n").expect("a body").1;
        read(body.as_bytes())
    }

    /// As Ctrl-C or a supervisor would; returns what is left, and whether it ended well.
    async fn stop(mut self) -> (tempfile::TempDir, bool) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().expect("it is our child") {
                    return status;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let status = tokio::time::timeout(WAIT_MAX, ended).await.expect("it stops in time");
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().expect("a temporary directory"));
        (directory, status.success())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn read(json: &[u8]) -> Value {
    let value = serde_json::from_slice(json);
    assert!(value.is_ok(), "{} is no JSON", String::from_utf8_lossy(json));
    value.expect("just looked at")
}

/// The longest run of digits: codes have six.
fn code_in(text: &str) -> String {
    let runs = text.split(|c: char| !c.is_ascii_digit());
    runs.max_by_key(|run| run.len()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_code_is_sent_arrives_and_verifies_once() {
    let up = Up::start();
    let sent = up.json(&["send", "090-1234-5678", "--region", "JP", "--purpose", "login"]);
    let id = sent["id"].as_str().expect("an id");
    assert_eq!(sent["to"], "+81*******678");
    let code = code_in(&up.text("+819012345678").await);
    let wrong = if code == "000000" { "111111" } else { "000000" };

    let refused = up.type_in(&["check", id, wrong]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&refused.stdout).trim(), "Wrong code; 4 guesses are left.");
    assert_eq!(up.type_in(&["check", id, &code]).status.code(), Some(0));
    assert_eq!(up.type_in(&["check", id, &code]).status.code(), Some(1), "a code verifies once");

    let told = up.type_in(&["trace", id]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("Ended: verified.") && told.contains("jp-sakura"), "{told}");
    assert!(!told.contains(&code) && !told.contains("12345678"), "{told}");
    assert!(up.stop().await.1, "it ends well when it is told to");
}

/// A call is spoken only where the carrier reaches the door: it asks there what to say.
#[tokio::test]
async fn at_every_address_of_the_machine_texts_calls_and_receipts_find_the_door() {
    let mut places = vec![("0.0.0.0:0", "http://127.0.0.1:")];
    // Not every machine that builds speaks IPv6.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        places.push(("[::]:0", "http://[::1]:"));
    }
    for (listen, reached) in places {
        let up = Up::start_at(listen);
        assert!(up.url().starts_with(reached), "{}", up.url());
        assert_eq!(up.welcome["sandbox"].as_str(), Some(format!("{}/sandbox", up.url()).as_str()));
        let send = |number| up.json(&["send", number, "--purpose", "login"])["id"].as_str().expect("an id").to_owned();

        let texted = send("+819012340001");
        let code = code_in(&up.text("+819012340001").await);
        let delivered = |message: &Value| (message["status"] == "delivered").then_some(());
        up.look(&format!("/v1/verifications/{texted}"), delivered).await;
        assert_eq!(up.type_in(&["check", &texted, &code]).status.code(), Some(0));

        let called = send("+819012340002");
        let told = |handset: &Value| handset["calls"][0]["transcript"].as_str().map(|told| told.replace(' ', ""));
        let spoken = |handset: &Value| told(handset).map(|told| code_in(&told)).filter(|code| code.len() == 6);
        let code = up.look("/sandbox/handsets/+819012340002", spoken).await;
        assert_eq!(up.type_in(&["check", &called, &code]).status.code(), Some(0));
    }
}

#[tokio::test]
async fn a_file_is_sent_line_by_line_and_a_bad_line_is_named() {
    let up = Up::start();
    let file = up.directory.path().join("requests.jsonl");
    let too_long = [b' '; 65 * 1024];
    let lines: [&[u8]; 6] = [
        b"{\"to\": \"+819012340101\", \"purpose\": \"login\"}",
        b"",
        b"{\"to\": 5}",
        &too_long,
        b"{\"to\": \"\xff\"}",
        b"{\"to\": \"+819012340102\", \"text\": \"hello\"}",
    ];
    std::fs::write(&file, lines.join(b"\n".as_slice())).expect("written");
    let output = up.type_in(&["send", "--file", file.to_str().expect("Unicode")]);
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("5 requests: 2 accepted, 3 failed.") && out.contains("3  unreadable_line"), "{out}");
    let told =
        ["3 (unreadable_line): the line is no request", "4 (unreadable_line): the line is longer than 65536 bytes"];
    for line in told.into_iter().chain(["5 (unreadable_line): the line is not UTF-8"]) {
        assert!(err.contains(&format!("line {line}")), "{line:?} is missing in {err}");
    }
    let output = up.type_in(&["send", "--json", "--file", file.to_str().expect("Unicode")]);
    let answers: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect();
    let of = |line: u64| answers.iter().find(|answer| answer["line"] == line).expect("every line is answered");
    assert_eq!((of(1)["joined"].as_bool(), of(3)["code"].as_str()), (Some(true), Some("unreadable_line")));
}

#[tokio::test]
async fn a_file_waits_for_a_door_that_starts_anew_and_gives_up_one_that_is_gone() {
    let up = Up::start();
    let address = up.url().trim_start_matches("http://").to_owned();
    let file = up.directory.path().join("requests.jsonl");
    let line = |line| serde_json::json!({ "to": format!("+81901234{line}"), "purpose": "login" }).to_string();
    std::fs::write(&file, (3_000..3_040).map(line).collect::<Vec<_>>().join("\n")).expect("written");
    let send = |patience: &str| {
        let mut command = up.command(&["send", "--json", "--concurrency", "4", "--patience", patience, "--file"]);
        command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let (mut waiting, mut giving_up) = (send("30"), send("0"));
    let (directory, _) = up.stop().await;
    let given_up = giving_up.output().expect("the program runs");
    let told = String::from_utf8_lossy(&given_up.stderr);
    assert_eq!(given_up.status.code(), Some(1), "{told}");
    assert!(told.contains("were not sent") && told.contains("nobody takes connections there"), "{told}");
    let mut waiting = waiting.spawn().expect("the program runs");
    let mut told = String::new();
    BufReader::new(waiting.stderr.take().expect("a pipe")).read_line(&mut told).expect("it says that it waits");
    assert!(told.contains("it is tried again for up to 30 s"), "{told}");
    let again = Up::start_in(directory, &address);
    let output = waiting.wait_with_output().expect("it ends by itself");
    let summary = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned).unwrap_or_default();
    assert!(output.status.success() && summary.contains("\"accepted\":40"), "{summary}");
    again.stop().await;
}

/// As `otodoke send --file ... | head -n 1` does.
#[tokio::test]
async fn whoever_takes_no_more_answers_is_told_which_lines_were_not_sent() {
    const LINES: usize = 200;
    let up = Up::start();
    let file = up.directory.path().join("requests.jsonl");
    let number = |line: usize| format!("+81901234{:04}", 2_000 + line);
    let line = |line| serde_json::json!({ "to": number(line), "purpose": "login" }).to_string();
    std::fs::write(&file, (1..=LINES).map(line).collect::<Vec<_>>().join("\n")).expect("written");
    let mut command = up.command(&["send", "--json", "--concurrency", "2", "--file"]);
    let sending = command.arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut sending = sending.expect("the program runs");
    let mut first = String::new();
    BufReader::new(sending.stdout.take().expect("a pipe")).read_line(&mut first).expect("an answer");
    let output = sending.wait_with_output().expect("it ends by itself");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let last = err.split("the lines after line ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let last: usize = last.expect("a line is named");
    assert!(last < LINES && err.contains("were not sent") && err.contains("nobody takes the answers"), "{err}");
    for sent in 1..=last {
        up.text(&number(sent)).await;
    }
    let unsent = up.get(&format!("/sandbox/handsets/{}", number(last + 1))).await;
    assert_eq!(unsent["messages"], serde_json::json!([]), "{unsent}");
}

#[tokio::test]
async fn the_key_and_what_was_sent_survive_a_restart() {
    let up = Up::start();
    let (key, id) =
        (up.welcome["api_key"].clone(), up.json(&["send", "+819012340103", "--purpose", "login"])["id"].clone());
    let text = up.text("+819012340103").await;
    let (directory, _) = up.stop().await;
    let again = Up::start_in(directory, "127.0.0.1:0");
    assert_eq!(again.welcome["api_key"], key);
    assert_eq!(again.text("+819012340103").await, text);
    let id = id.as_str().expect("an id");
    assert_eq!(again.type_in(&["check", id, &code_in(&text)]).status.code(), Some(0), "the roots are the same");
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_while_nothing_runs() {
    let up = Up::start();
    let busy = up.type_in(&["keys", "list"]);
    assert_eq!(busy.status.code(), Some(1));
    let said = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(said.contains(&up.process.id().to_string()), "the refusal names the process that holds it: {said}");

    let (directory, _) = up.stop().await;
    let data = directory.path().join("data");
    let keys = |words: &[&str]| {
        let output = Command::new(BINARY).arg("keys").args(words).arg("--json").arg("--data").arg(&data).output();
        let output = output.expect("the program runs");
        read(&output.stdout)
    };
    let made = keys(&["create", "--tenant", "acme"]);
    assert!(made["api_key"].as_str().expect("a key").starts_with("otk_"));
    assert_eq!(keys(&["list", "--tenant", "acme"])[0]["key_id"], made["key_id"]);
    keys(&["revoke", "--tenant", "acme", made["key_id"].as_str().expect("an id")]);
    assert_eq!(keys(&["list", "--tenant", "acme"]), serde_json::json!([]));

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let create = ["keys", "create", "--tenant", "acme", "--data"];
    let unseen = Command::new(BINARY).args(create).arg(&data).stdout(writer).output().expect("the program runs");
    let left = keys(&["list", "--tenant", "acme"])[0]["key_id"].as_str().expect("an id").to_owned();
    let said = String::from_utf8_lossy(&unseen.stderr).into_owned();
    assert!(said.contains(&format!("keys revoke --tenant acme {left}`")), "{said}");
}

#[test]
fn up_refuses_to_start_beside_a_real_provider() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("root"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("written");
    let settings = format!(
        "public_url = \"https://otp.example.com\"\n[codes]\nactive = \"k1\"\nroots = {{ k1 = \"{root}\" }}\n\
         [seal]\nroot_file = \"{root}\"\n[[provider]]\nid = \"real\"\nkind = \"smslink\"\n\
         base_url = \"https://sms.example.com\"\nsecret = \"s\"\n[[route]]\nid = \"jp\"\nprovider = \"real\"\n\
         country = \"JP\"\nclass = \"domestic\"\nchannel = \"sms\"\nrank = 1\nsender = \"A\"\nreceipt = \"handset\"\n[plan.JP]\n",
        root = path("root")
    );
    std::fs::write(path("otodoke.toml"), settings).expect("written");
    let checked = Command::new(BINARY).args(["config", "check", "--config", &path("otodoke.toml")]).output();
    assert_eq!(checked.expect("the program runs").status.code(), Some(0));
    let refused =
        Command::new(BINARY).args(["up", "--data", &path("data"), "--config", &path("otodoke.toml")]).output();
    let refused = refused.expect("the program runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("the real provider real at https://sms.example.com"), "{said}");
    assert!(!directory.path().join("data").exists(), "nothing was begun");
}

#[test]
fn up_takes_tenants_and_templates_from_its_settings() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("own.toml");
    let words = "[tenant.sandbox]\nmessages_per_day = 1\n[template.shop]\nen = \"Shop: {code}\"\n";
    std::fs::write(&file, words).expect("written");
    let up = Up::start_with(directory, "127.0.0.1:0", &["--config", &file.display().to_string()]);
    let shop = ["send", "+819012340001", "--purpose", "login", "--template", "shop", "--locale", "en"];
    assert_eq!(up.type_in(&shop).status.code(), Some(0));
    let second = up.type_in(&["send", "+819012340001", "--purpose", "signup"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("too_many_messages"), "{second:?}");
}

#[test]
fn up_says_what_is_wrong_with_a_tenant_before_it_begins() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let begun = Command::new(BINARY)
        .args(["up", "--listen", "127.0.0.1:0", "--data", &data.display().to_string()])
        .env("OTODOKE_TENANT__SANDBOX__LOGIN_LANE", "bulk")
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&begun.stderr).into_owned();
    assert!(begun.status.code() == Some(1) && said.contains("tenant.sandbox.login_lane"), "{said}");
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn a_text_is_cancelled_as_a_code_is_and_a_failure_is_told_to_programs_too() {
    let up = Up::start();
    let text = up.json(&["send", "+819012340005", "--text", "Gate 7"]);
    let cancelled = up.json(&["cancel", text["id"].as_str().expect("an id")]);
    assert_eq!((&cancelled["id"], &cancelled["status"]), (&text["id"], &serde_json::json!("cancelled")));

    let code = up.json(&["send", "+819012340001", "--purpose", "login"]);
    let early = up.type_in(&["resend", code["id"].as_str().expect("an id"), "--json"]);
    let (told, said) = (read(&early.stdout), String::from_utf8_lossy(&early.stderr).into_owned());
    assert_eq!((early.status.code(), told["code"].as_str()), (Some(1), Some("too_soon")));
    assert!(told["retry_after_s"].as_u64() >= Some(1) && said.contains("too_soon"), "{told} {said}");
    let unknown = up.json(&["cancel", "0199c0de-0000-7000-8000-000000000000"]);
    assert_eq!(unknown["code"], "not_found");
}
