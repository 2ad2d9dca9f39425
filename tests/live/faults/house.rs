//! One house: private servers, and the processes of the production form on them. Everything of it ends with the test.

use std::path::PathBuf;
use std::time::Duration;

use otodoke_tests::servers::free_ports;
use otodoke_tests::servers::postgres::{PrivatePostgres, private_postgres, psql};
use otodoke_tests::servers::proxy::Proxy;
use otodoke_tests::servers::rabbit::{PrivateRabbit, private_cluster, private_rabbit};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::caller::Caller;
use crate::process::{Process, program};
use crate::settings::{self, Ports, TENANT};
use crate::stand::Stand;
use crate::toll::Toll;

const DATABASE: &str = "postgres";
const READY_MS_MAX: u64 = 60_000;
const LOOK_MS: u64 = 50;
/// Lines of the logs that are shown when a test fails.
const WARNINGS_MAX: usize = 60;
const WORKERS: usize = 2;
/// What is added up over processes, those that ended too.
const COUNTED: [&str; 2] = ["otp_duplicates_possible_total", "otp_repeats_total"];

/// Houses at a time: while one waits for what is overdue, or for its servers, another one works.
const HOUSES_MAX: usize = 2;
static HOUSES: Semaphore = Semaphore::const_new(HOUSES_MAX);

/// What a house is for.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) log_filter: &'static str,
    /// Policy, plan and routes of the settings.
    pub(crate) journey: &'static str,
    /// Of each worker.
    pub(crate) roles: [&'static str; WORKERS],
}

impl Default for Plan {
    fn default() -> Self {
        Self { log_filter: "info", journey: settings::TEXTS, roles: ["deliver,status,sweep"; WORKERS] }
    }
}

pub(crate) struct House {
    door: Option<Process>,
    workers: Vec<Process>,
    _sandbox: Process,
    /// Between our processes and the broker.
    pub(crate) link: Proxy,
    pub(crate) rabbit: PrivateRabbit,
    /// Of the same cluster; none, usually.
    pub(crate) other_nodes: Vec<PrivateRabbit>,
    pub(crate) postgres: PrivatePostgres,
    /// Where the carriers listen, whatever stands before them.
    carriers: [u16; 4],
    settings: PathBuf,
    directory: TempDir,
    plan: Plan,
    door_url: String,
    key: String,
    /// The handsets, and where they are looked at.
    pub(crate) phones: Caller,
    page: String,
    /// What ended processes had counted.
    counted: u64,
    _place: SemaphorePermit<'static>,
}

impl House {
    /// With its door open and no worker yet.
    pub(crate) async fn open() -> Self {
        Self::open_with_log("info").await
    }

    pub(crate) async fn open_with_log(log_filter: &'static str) -> Self {
        Self::open_as(Plan { log_filter, ..Plan::default() }).await
    }

    pub(crate) async fn open_as(plan: Plan) -> Self {
        Self::open_on(async || (private_rabbit().await, vec![]), plan).await
    }

    pub(crate) async fn open_on_cluster() -> Self {
        let cluster = async || {
            let [one, two, three] = private_cluster().await;
            (one, vec![two, three])
        };
        Self::open_on(cluster, Plan::default()).await
    }

    async fn open_on(broker: impl AsyncFnOnce() -> (PrivateRabbit, Vec<PrivateRabbit>), plan: Plan) -> Self {
        let place = HOUSES.acquire().await.expect("nobody closes the semaphore");
        let ((rabbit, other_nodes), postgres) = tokio::join!(broker(), private_postgres());
        let link = Proxy::start(([127, 0, 0, 1], rabbit.port()).into()).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [door, sakura, fuji, atlas, kodama] = free_ports();
        let ports = Ports { door, carriers: [sakura, fuji, atlas, kodama] };
        let others = other_nodes.iter().map(|node| node.url_through(node.port()));
        let amqp_urls: Vec<String> = std::iter::once(rabbit.url_through(link.address().port())).chain(others).collect();
        let urls = (&*amqp_urls.join("\n"), &*postgres.url(DATABASE));
        let settings = settings::write(directory.path(), &ports, urls, plan.journey);
        let file = settings.display().to_string();
        let book = directory.path().display().to_string();
        let arguments = ["sandbox", "--config", &file, "--data", &book, "--listen", "127.0.0.1:0"];
        let sandbox = Process::start("otodoke", &arguments, (&directory.path().join("otodoke.log"), plan.log_filter));
        let page = sandbox.welcome["sandbox"].as_str().expect("a URL").trim_end_matches("/sandbox").to_owned();
        let mut house = Self {
            door: None,
            workers: Vec::new(),
            _sandbox: sandbox,
            link,
            rabbit,
            other_nodes,
            postgres,
            carriers: ports.carriers,
            settings,
            directory,
            plan,
            door_url: format!("http://127.0.0.1:{door}"),
            key: String::new(),
            phones: Caller::new(&page, ""),
            page,
            counted: 0,
            _place: place,
        };
        house.key = house.make_key();
        house.start_door().await;
        house
    }

    /// Whoever starts from here on reaches the carriers by way of a toll for this phone.
    pub(crate) async fn put_toll(&mut self, phone: &str) -> Toll {
        let (toll, instead) = Toll::start(phone, self.carriers).await;
        let mut text = std::fs::read_to_string(&self.settings).expect("the settings are ours");
        for (carrier, instead) in self.carriers.into_iter().zip(instead) {
            text = text.replace(&settings::base_url(carrier), &settings::base_url(instead));
        }
        self.settings = self.directory.path().join("by-way-of-a-toll.toml");
        std::fs::write(&self.settings, text).expect("a new file");
        toll
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

    fn make_key(&self) -> String {
        let made: serde_json::Value =
            serde_json::from_str(&self.type_in(&["keys", "create", "--tenant", TENANT])).expect("an answer in JSON");
        made["api_key"].as_str().expect("a key").to_owned()
    }

    /// A customer of the door, whether it is open or not.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.door_url, &self.key)
    }

    /// For claims that hold in every house.
    pub(crate) fn stand(&self) -> Stand {
        Stand {
            caller: Caller::looking_at(&self.page, &self.door_url, &self.key),
            url: self.door_url.clone(),
            seal_root: self.directory.path().join("seal-root"),
            kodama: settings::secret_of("kodama"),
        }
    }

    pub(crate) async fn start_door(&mut self) {
        let door = self.start("otodoke-producer", &["serve"]);
        self.ready(&door).await;
        self.door = Some(door);
    }

    pub(crate) async fn start_workers(&mut self) {
        while self.workers.len() < WORKERS {
            let roles = self.plan.roles[self.workers.len()];
            let worker = self.start("otodoke-worker", &["run", "--listen", "127.0.0.1:0", "--roles", roles]);
            self.ready(&worker).await;
            self.workers.push(worker);
        }
    }

    fn start(&self, name: &'static str, arguments: &[&str]) -> Process {
        let file = self.settings.display().to_string();
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--config", &file]).collect();
        Process::start(name, &arguments, (&self.log(name), self.plan.log_filter))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.log"))
    }

    /// Of everything that ran here, but for the carriers: they may know what they carry.
    pub(crate) fn logs(&self) -> [PathBuf; 2] {
        ["otodoke-producer", "otodoke-worker"].map(|name| self.log(name))
    }

    /// Where the carriers remember what the handsets got.
    pub(crate) fn book(&self) -> PathBuf {
        self.directory.path().join("sandbox")
    }

    async fn ready(&self, process: &Process) {
        let probe = probe(process);
        let ready = async {
            while probe
                .try_ask(reqwest::Method::GET, "/readyz", "", &[])
                .await
                .is_none_or(|answer| answer.status != 200)
            {
                tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
            }
        };
        let became = tokio::time::timeout(Duration::from_millis(READY_MS_MAX), ready).await;
        assert!(became.is_ok(), "not ready within {READY_MS_MAX} ms: {}", probe.get("/readyz").await.text);
    }

    /// The door, to be killed or stopped; what it had counted is kept.
    pub(crate) async fn take_door(&mut self) -> Process {
        let door = self.door.take().expect("the door is open");
        self.counted += counted(&metrics(&door).await);
        door
    }

    /// All of them, as `kill -9` does.
    pub(crate) async fn kill_workers(&mut self) {
        let mut workers = Vec::new();
        while !self.workers.is_empty() {
            workers.push(self.take_worker().await);
        }
        workers.into_iter().for_each(Process::kill);
    }

    pub(crate) async fn take_worker(&mut self) -> Process {
        let worker = self.workers.pop().expect("a worker runs");
        self.counted += counted(&metrics(&worker).await);
        worker
    }

    /// Extra texts that were announced: `otp_duplicates_possible_total` and repeats, over all processes there were.
    pub(crate) async fn counted(&self) -> u64 {
        self.counted + self.metrics().await.iter().map(|metrics| counted(metrics)).sum::<u64>()
    }

    /// Of every process that runs.
    pub(crate) async fn metrics(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for process in self.workers.iter().chain(&self.door) {
            texts.push(metrics(process).await);
        }
        texts
    }

    /// The last of what door and workers warned of.
    fn warnings(&self) -> String {
        let text = self.logs().map(|log| std::fs::read_to_string(log).unwrap_or_default()).concat();
        let warnings: Vec<&str> =
            text.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect();
        warnings[warnings.len().saturating_sub(WARNINGS_MAX)..].join("\n")
    }

    /// What the database says, one row a line.
    pub(crate) fn query(&self, sql: &str) -> String {
        psql(&self.postgres.url(DATABASE), sql)
    }
}

/// For whoever reads why a test failed.
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("door and workers warned of this at last:\n{}", self.warnings());
        }
    }
}

fn probe(process: &Process) -> Caller {
    Caller::new(process.welcome["url"].as_str().expect("a URL"), "")
}

async fn metrics(process: &Process) -> String {
    probe(process).get("/metrics").await.text
}

fn counted(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| COUNTED.iter().any(|family| line.starts_with(family)));
    lines.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")).sum()
}
