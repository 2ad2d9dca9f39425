//! One house: private servers, the processes of the production form on them, and three users of the broker that are other
//! people's programs. Everything of it ends with the test.

use std::path::PathBuf;
use std::time::Duration;

use otodoke_tests::servers::free_ports;
use otodoke_tests::servers::postgres::{PrivatePostgres, private_postgres, psql};
use otodoke_tests::servers::rabbit::{PrivateRabbit, private_rabbit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::caller::Caller;
use crate::process::{Process, program};
use crate::publisher::{EXCHANGE, Publisher};
use crate::python;
use crate::settings::{self, Ports};
use crate::until::until;

/// Two of the tenants have a user of the broker; the third user is nobody's.
pub(crate) const USERS: [&str; 3] = ["acme-app", "beta-app", "mallory"];
const TENANTS: &str = "\n[tenant.acme]\namqp_users = [\"acme-app\"]\namqp_clear = true\n\
    [tenant.beta]\namqp_users = [\"beta-app\"]\namqp_clear = true\n";
const READY_MS_MAX: u64 = 60_000;
const LOOK_MS: u64 = 50;

/// Two houses at a time would slow each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(crate) struct House {
    _processes: [Process; 3],
    pub(crate) rabbit: PrivateRabbit,
    postgres: PrivatePostgres,
    settings: PathBuf,
    directory: TempDir,
    door_url: String,
    python: PathBuf,
    /// The handsets.
    pub(crate) phones: Caller,
    _alone: MutexGuard<'static, ()>,
}

impl House {
    pub(crate) async fn open() -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let python = tokio::task::spawn_blocking(python::with_pika).await.expect("python is found");
        let (rabbit, postgres) = tokio::join!(private_rabbit(), private_postgres());
        for user in USERS {
            rabbit.control(&["add_user", user, "secret"]);
            // Nothing to configure and nothing to read: whoever sends needs to write to one exchange.
            let write = format!("^{}$", EXCHANGE.replace('.', "\\."));
            rabbit.control(&["set_permissions", user, "^$", &write, "^$"]);
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [door, sakura, fuji, atlas, kodama] = free_ports();
        let ports = Ports { door, carriers: [sakura, fuji, atlas, kodama] };
        let amqp_url = rabbit.url_through(rabbit.port());
        let settings =
            settings::write(directory.path(), &ports, (&amqp_url, &postgres.url("postgres")), settings::TEXTS);
        let text = std::fs::read_to_string(&settings).expect("it was just written") + TENANTS;
        std::fs::write(&settings, text).expect("it can be written again");
        let file = settings.display().to_string();
        let book = directory.path().display().to_string();
        let start = |name: &'static str, arguments: &[&str]| {
            let arguments: Vec<&str> = arguments.iter().copied().chain(["--config", &file]).collect();
            Process::start(name, &arguments, (&directory.path().join(format!("{name}.log")), "info"))
        };
        let sandbox = start("otodoke", &["sandbox", "--data", &book, "--listen", "127.0.0.1:0"]);
        let page = sandbox.welcome["sandbox"].as_str().expect("a URL").trim_end_matches("/sandbox").to_owned();
        let door = start("otodoke-producer", &["serve"]);
        let worker = start("otodoke-worker", &["run", "--listen", "127.0.0.1:0"]);
        ready(&door).await;
        ready(&worker).await;
        let door_url = door.welcome["url"].as_str().expect("a URL").to_owned();
        Self {
            _processes: [sandbox, door, worker],
            rabbit,
            postgres,
            settings,
            directory,
            door_url,
            python,
            phones: Caller::new(&page, ""),
            _alone: alone,
        }
    }

    /// A program that is logged in at the broker as this user.
    pub(crate) fn publisher(&self, user: &'static str) -> Publisher {
        let secret = if user == "guest" { "guest" } else { "secret" };
        let url = format!("amqp://{user}:{secret}@127.0.0.1:{}/%2f", self.rabbit.port());
        Publisher { python: self.python.clone(), user, url }
    }

    /// A customer of the door, of this tenant.
    pub(crate) fn caller(&self, tenant: &str) -> Caller {
        let made: Value =
            serde_json::from_str(&self.type_in(&["keys", "create", "--tenant", tenant])).expect("an answer in JSON");
        Caller::new(&self.door_url, made["api_key"].as_str().expect("a key"))
    }

    /// `otodoke`, typed by whoever runs the house; what it answers.
    pub(crate) fn type_in(&self, words: &[&str]) -> String {
        let mut command = program("otodoke");
        command.args(words).arg("--json").arg("--config").arg(&self.settings);
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What `config check` says of the house's settings without this route.
    pub(crate) fn check_without(&self, route: &str) -> Value {
        let text = std::fs::read_to_string(&self.settings).expect("the settings of the house");
        let kept: Vec<&str> = text.split("[[").filter(|part| !part.contains(&format!("id = \"{route}\""))).collect();
        let file = self.settings.with_extension("without.toml");
        std::fs::write(&file, kept.join("[[")).expect("a file beside it");
        let mut command = program("otodoke");
        let output = command.args(["config", "check", "--json", "--config"]).arg(&file).output();
        serde_json::from_slice(&output.expect("the program runs").stdout).expect("an answer in JSON")
    }

    pub(crate) fn parked(&self) -> Vec<Value> {
        serde_json::from_str(&self.type_in(&["parked", "list"])).expect("a list")
    }

    /// Waits until something is parked for such a reason.
    pub(crate) async fn until_parked(&self, reason: &str) -> Value {
        let says = |parked: &Value| parked["reason"].as_str().is_some_and(|said| said.contains(reason));
        let look = async || self.parked().into_iter().find(says);
        until(&format!("something is parked: {reason}"), look, async || format!("{:?}", self.parked())).await
    }

    /// What the database says, one row a line.
    pub(crate) fn query(&self, sql: &str) -> String {
        psql(&self.postgres.url("postgres"), sql)
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(format!("{name}.log"))).expect("it logs")
    }
}

async fn ready(process: &Process) {
    let probe = Caller::new(process.welcome["url"].as_str().expect("a URL"), "");
    let ready = async {
        while probe.try_ask(reqwest::Method::GET, "/readyz", "", &[]).await.is_none_or(|answer| answer.status != 200) {
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
    };
    let became = tokio::time::timeout(Duration::from_millis(READY_MS_MAX), ready).await;
    assert!(became.is_ok(), "not ready within {READY_MS_MAX} ms: {}", probe.get("/readyz").await.text);
}
