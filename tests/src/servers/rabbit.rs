//! A RabbitMQ for a test: one that is there, or a private one, or one that is installed for it.
//!
//! `rabbit` looks at `OTODOKE_TEST_AMQP_URL` (a URL, or the word `private`), then at localhost, then starts a broker of its
//! own. What it hands out has a namespace that no other test has, and takes its queues away when it is dropped.
//! `private_rabbit` is for faults: its broker belongs to the test alone and may be killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use otodoke_common::clock::Clock;
use otodoke_common::config::Secret;
use otodoke_common::dice::Dice;
use otodoke_common::rabbit::{self, Rabbit, RabbitSettings};

use super::certificates::ServerCertificate;
use super::free_ports;

const LOCAL_URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
/// Debian's; the ones on the path change the user, these do not.
const BINARIES: &str = "/usr/lib/rabbitmq/bin";
/// On a busy machine a node takes half a minute.
const START_MS_MAX: u64 = 120_000;
const POLL_MS: u64 = 200;
const UNTIL_MS_MAX: u64 = 30_000;

/// A broker, and a namespace on it. Wants a runtime of several threads.
pub struct TestRabbit {
    settings: RabbitSettings,
    connected: Mutex<Vec<(RabbitSettings, Arc<Rabbit>)>>,
    _private: Option<PrivateRabbit>,
}

/// Shared where one is running, private otherwise.
pub async fn rabbit() -> TestRabbit {
    match running().await {
        Some(url) => TestRabbit::new(settings(&url), None),
        None => {
            let private = private_rabbit().await;
            TestRabbit::new(private.settings(), Some(private))
        }
    }
}

impl TestRabbit {
    fn new(settings: RabbitSettings, private: Option<PrivateRabbit>) -> Self {
        Self { settings, connected: Mutex::default(), _private: private }
    }

    /// The same namespace every time.
    pub fn settings(&self) -> RabbitSettings {
        self.settings.clone()
    }

    /// Closed with this, before the queues go.
    pub fn connect(&self, settings: &RabbitSettings) -> Arc<Rabbit> {
        let rabbit = connect(settings);
        self.connected
            .lock()
            .expect("no test panics while it holds them")
            .push((settings.clone(), Arc::clone(&rabbit)));
        rabbit
    }
}

impl Drop for TestRabbit {
    fn drop(&mut self) {
        let connected = std::mem::take(&mut *self.connected.lock().expect("no test panics while it holds them"));
        let leave = async {
            for (_, rabbit) in &connected {
                rabbit.close().await;
            }
            // Some were connected with more shards than others, and some through a proxy that is gone by now.
            for (settings, _) in connected {
                let direct = RabbitSettings { urls: self.settings.urls.clone(), ..settings };
                rabbit::topology_erase(&direct).await?;
            }
            rabbit::topology_erase(&self.settings).await
        };
        let left = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(leave));
        assert!(left.is_ok() || std::thread::panicking(), "the test's queues must go: {left:?}");
    }
}

/// With the machine's clock and dice.
pub fn connect(settings: &RabbitSettings) -> Arc<Rabbit> {
    Rabbit::connect(settings, Clock::system(), Arc::new(Dice::system())).expect("these settings are right")
}

/// Polls, within bounds, until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_millis(UNTIL_MS_MAX), waiting).await;
    assert!(reached.is_ok(), "not within {UNTIL_MS_MAX} ms: {what}");
}

/// Defaults, on this broker, in a namespace of their own.
fn settings(url: &str) -> RabbitSettings {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let namespace = format!("test-{}-{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    RabbitSettings { namespace, ..RabbitSettings::new(vec![Secret::new(url)]) }
}

#[expect(clippy::disallowed_methods, reason = "which server a test uses is no setting of the product")]
async fn running() -> Option<String> {
    match std::env::var("OTODOKE_TEST_AMQP_URL") {
        Ok(word) if word == super::PRIVATE => return None,
        Ok(url) => return Some(url),
        Err(_) => {}
    }
    usable(LOCAL_URL).await.then(|| LOCAL_URL.to_owned())
}

async fn usable(url: &str) -> bool {
    rabbit::topology_check(&settings(url)).await.is_ok()
}

/// A broker that belongs to one test: its own node, ports and directories, on the loopback, ended with the test.
pub struct PrivateRabbit {
    directory: tempfile::TempDir,
    node: String,
    port: u16,
    distribution_port: u16,
    management_port: u16,
    /// One for all nodes of a cluster.
    names: Arc<Names>,
    server: Option<Child>,
}

/// Beside its usual port it has one where it speaks TLS; returns that as well.
pub async fn private_rabbit_with_tls(certificate: &ServerCertificate) -> (PrivateRabbit, u16) {
    let [mut rabbit] = nodes();
    let [tls_port] = free_ports();
    let [certificate, key] = certificate.write(rabbit.directory.path()).map(|file| file.display().to_string());
    let config = rabbit.directory.path().join("rabbitmq.conf");
    let usual = std::fs::read_to_string(&config).expect("it was just written");
    let more = format!(
        "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {certificate}\n\
         ssl_options.keyfile = {key}\nssl_options.verify = verify_none\n"
    );
    std::fs::write(config, usual + &more).expect("the file is there");
    rabbit.start().await;
    (rabbit, tls_port)
}

pub async fn private_rabbit() -> PrivateRabbit {
    let [mut rabbit] = nodes();
    rabbit.start().await;
    rabbit
}

/// One cluster of three, which bears the loss of any.
pub async fn private_cluster() -> [PrivateRabbit; 3] {
    let mut nodes = nodes();
    let [one, two, three] = &mut nodes;
    tokio::join!(one.start(), two.start(), three.start());
    let running = || one.control(&["eval", "length(rabbit_nodes:all_running())."]);
    let together = async {
        while running().trim() != "3" {
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
    };
    let joined = tokio::time::timeout(Duration::from_millis(START_MS_MAX), together).await;
    assert!(joined.is_ok(), "no cluster within {START_MS_MAX} ms: {} run together", running());
    nodes
}

/// Not started yet. Several find each other when they start.
fn nodes<const NODES: usize>() -> [PrivateRabbit; NODES] {
    install();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = || format!("otodoke-{}-{}@localhost", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let nodes = [(); NODES].map(|()| name());
    let numbered = (1..).zip(&nodes);
    let peers: String =
        numbered.map(|(n, node)| format!("cluster_formation.classic_config.nodes.{n} = {node}\n")).collect();
    let names = Arc::new(Names::start());
    nodes.map(|node| {
        let [port, distribution_port, management_port] = free_ports();
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("plugins"), "[rabbitmq_management].\n").expect("a file in it");
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\ndisk_free_limit.absolute = 10MB\nlog.console = false\n\
             management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management_port}\n\
             cluster_formation.peer_discovery_backend = classic_config\n{peers}"
        );
        std::fs::write(directory.path().join("rabbitmq.conf"), config).expect("a file in it");
        // Nodes of one cluster know each other by it; Erlang wants it to be its owner's alone.
        let cookie = Secret::new(format!("otodoke-{}", std::process::id()));
        cookie.write(&directory.path().join(".erlang.cookie")).expect("a new file");
        let names = Arc::clone(&names);
        PrivateRabbit { directory, node, port, distribution_port, management_port, names, server: None }
    })
}

/// Erlang's name server: private as well, or else a node would start one that outlives the test.
struct Names {
    server: Child,
    port: u16,
}

impl Names {
    fn start() -> Self {
        let [port] = free_ports();
        let server = Command::new("epmd")
            .args(["-address", "127.0.0.1", "-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Erlang comes with a name server");
        Self { server, port }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl PrivateRabbit {
    pub fn settings(&self) -> RabbitSettings {
        self.settings_through(self.port)
    }

    /// By way of a proxy on this port.
    pub fn settings_through(&self, port: u16) -> RabbitSettings {
        settings(&self.url_through(port))
    }

    /// For a process of its own, by way of a proxy on this port or of the broker's own.
    pub fn url_through(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn management_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.management_port)
    }

    /// What its cluster calls it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Where it keeps all that it has, and its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns once the broker takes connections. It keeps what it had.
    pub async fn start(&mut self) {
        assert!(self.server.is_none(), "the broker runs already");
        let output = std::fs::File::create(self.directory.path().join("output")).expect("a file for its output");
        let mut command = self.command("rabbitmq-server");
        // A group of its own, so that the script and the node it starts end together.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let again = output.try_clone().expect("a second handle");
        self.server = Some(command.stdin(Stdio::null()).stdout(output).stderr(again).spawn().expect("a broker"));
        let url = self.url_through(self.port);
        let ready = async {
            while !usable(&url).await {
                tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
            }
        };
        let started = tokio::time::timeout(Duration::from_millis(START_MS_MAX), ready).await;
        let said = || std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
        assert!(started.is_ok(), "RabbitMQ does not start within {START_MS_MAX} ms; it said: {}", said());
    }

    /// As `kill -9` does: nothing is written, nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let group = format!("-{}", server.id());
            let killed = Command::new("kill").args(["-9", "--", &group]).status();
            assert!(killed.is_ok_and(|status| status.success()), "its process group is ours");
            server.wait().expect("a killed process ends");
        }
    }

    /// `rabbitmqctl`, on this node.
    pub fn control(&self, arguments: &[&str]) -> String {
        let output = self.command("rabbitmqctl").arg("-q").args(arguments).output().expect("rabbitmqctl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    fn command(&self, program: &str) -> Command {
        let path = |name: &str| self.directory.path().join(name);
        let mut command = Command::new(Path::new(BINARIES).join(program));
        command
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("ERL_EPMD_PORT", self.names.port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", path("none"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"));
        command
    }
}

impl Drop for PrivateRabbit {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian's package, where the binaries are missing and this process may install it.
fn install() {
    let found = || Path::new(BINARIES).join("rabbitmq-server").exists();
    super::install(
        "rabbitmq-server",
        found,
        "set OTODOKE_TEST_AMQP_URL, start one on localhost, or install it yourself",
    );
}
