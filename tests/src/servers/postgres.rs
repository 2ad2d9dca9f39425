//! A PostgreSQL for a test: one that is there, or a private one, or one that is installed for it.
//!
//! `postgres` looks at `OTODOKE_TEST_POSTGRES_URL` (a URL, or the word `private`), then at localhost, then starts a server of
//! its own. What it hands out makes databases that no other test has, and drops them when it is dropped. Private ones are
//! for faults: such a server belongs to the test alone and may be stopped. All talk to the server with its own `psql`.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use otodoke_common::config::Secret;
use otodoke_common::postgres::PostgresSettings;

use super::certificates::ServerCertificate;

const LOCAL_URLS: [&str; 2] =
    ["postgres://postgres@localhost:5432/postgres", "postgres://root@localhost:5432/postgres"];
/// Debian keeps the server's programs off the path, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What `ulimit -f` of a POSIX shell counts in.
const LIMIT_BLOCK_BYTES: u64 = 512;
const START_MS_MAX: u64 = 60_000;
const POLL_MS: u64 = 50;

/// A server, and the databases of one test on it.
pub struct TestPostgres {
    admin_url: String,
    made: Mutex<Vec<String>>,
    _private: Option<PrivatePostgres>,
}

/// Shared where one is running, private otherwise.
pub async fn postgres() -> TestPostgres {
    match running() {
        Some(url) => TestPostgres::new(url, None),
        None => {
            let private = private_postgres().await;
            TestPostgres::new(private.url("postgres"), Some(private))
        }
    }
}

impl TestPostgres {
    fn new(admin_url: String, private: Option<PrivatePostgres>) -> Self {
        Self { admin_url, made: Mutex::default(), _private: private }
    }

    /// The url of a new, empty database.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("otodoke_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Left by a test that was killed under the same number.
        psql(&self.admin_url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        psql(&self.admin_url, &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.made.lock().expect("no test panics while it holds them").push(name.clone());
        with_database(&self.admin_url, &name)
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        for name in self.made.lock().expect("no test panics while it holds them").drain(..) {
            let dropped = try_psql(&self.admin_url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            assert!(dropped.is_ok() || std::thread::panicking(), "the test's database must go: {dropped:?}");
        }
    }
}

/// Defaults, on this database.
pub fn settings(url: &str) -> PostgresSettings {
    PostgresSettings::new(Secret::new(url))
}

/// The url with another database in it.
pub fn with_database(url: &str, name: &str) -> String {
    let (place, parameters) = url.split_once('?').map_or((url, ""), |(place, parameters)| (place, parameters));
    let (server, _) = place.rsplit_once('/').expect("a url names a database after its server");
    let mut changed = format!("{server}/{name}");
    if !parameters.is_empty() {
        write!(changed, "?{parameters}").expect("a string takes text");
    }
    changed
}

/// What the statements say, unaligned, without headings.
pub fn psql(url: &str, sql: &str) -> String {
    try_psql(url, sql).unwrap_or_else(|why| panic!("{sql}: {why}"))
}

fn try_psql(url: &str, sql: &str) -> Result<String, String> {
    let output = session(url).args(["-c", sql]).output().map_err(|error| error.to_string())?;
    said(&output)
}

/// `psql`, on this database, for a test that wants to hold a session open.
pub fn session(url: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]).env("PGCONNECT_TIMEOUT", "5");
    command
}

fn said(output: &Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[expect(clippy::disallowed_methods, reason = "which server a test uses is no setting of the product")]
fn running() -> Option<String> {
    match std::env::var("OTODOKE_TEST_POSTGRES_URL") {
        Ok(word) if word == super::PRIVATE => return None,
        Ok(url) => {
            // Elsewhere, perhaps; here its `psql` is needed all the same.
            if Command::new(program("psql")).arg("--version").output().is_err() {
                install();
            }
            return Some(url);
        }
        Err(_) => {}
    }
    let may_create = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user";
    LOCAL_URLS.into_iter().find(|url| try_psql(url, may_create).as_deref() == Ok("t")).map(str::to_owned)
}

/// A server that belongs to one test: its own directory and port, on the loopback, ended with the test.
pub struct PrivatePostgres {
    directory: tempfile::TempDir,
    port: u16,
    /// Settings of the server, as its command line takes them.
    options: Vec<String>,
    file_bytes_max: Option<u64>,
    server: Option<Child>,
}

pub async fn private_postgres() -> PrivatePostgres {
    let mut postgres = new_cluster(&[]);
    postgres.start().await;
    postgres
}

/// Nobody gets in without TLS; `sealed` not without its password either.
pub async fn private_postgres_with_tls(certificate: &ServerCertificate) -> PrivatePostgres {
    let mut postgres = new_cluster(&[]);
    let files = certificate.write(postgres.directory.path());
    for file in &files {
        // The server takes no key that others could read.
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).expect("the file is ours");
        std::os::unix::fs::chown(file, owner(), None).expect("it may be given away");
    }
    let [certificate, key] = files.map(|file| file.display().to_string());
    postgres.options = vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
        "password_encryption=scram-sha-256".to_owned(),
    ];
    let rules = "hostssl all sealed 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 trust\n";
    std::fs::write(postgres.data().join("pg_hba.conf"), rules).expect("the file is there");
    postgres.start().await;
    psql(&postgres.url("postgres"), "CREATE ROLE sealed SUPERUSER LOGIN PASSWORD 'opened'");
    postgres
}

/// As if its disk had room for so much in each file, until `give_room`.
pub async fn private_postgres_on_small_disk(file_bytes_max: u64) -> PrivatePostgres {
    let mut postgres = new_cluster(&["--wal-segsize=1"]);
    postgres.file_bytes_max = Some(file_bytes_max);
    postgres.start().await;
    postgres
}

fn new_cluster(more: &[&str]) -> PrivatePostgres {
    let postgres = place();
    let usual = ["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "-D"];
    let made = postgres.command("initdb").args(usual).arg(postgres.data()).args(more).output();
    said(&made.expect("initdb runs")).expect("a new cluster");
    postgres
}

/// A directory and a port, with nothing there yet.
fn place() -> PrivatePostgres {
    install();
    let directory = tempfile::tempdir().expect("a temporary directory");
    if let Some(owner) = owner() {
        std::os::unix::fs::chown(directory.path(), Some(owner), None).expect("root may give it away");
    }
    let [port] = super::free_ports();
    PrivatePostgres { directory, port, options: Vec::new(), file_bytes_max: None, server: None }
}

impl PrivatePostgres {
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    /// By way of a proxy on this port.
    pub fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{database}")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps all that it has, and its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns once the server takes connections. It keeps what it had.
    pub async fn start(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        let output = std::fs::File::create(self.directory.path().join("output")).expect("a file for its output");
        let again = output.try_clone().expect("a second handle");
        let mut command = self.server_command();
        command.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-k", ""]);
        command.args(self.options.iter().flat_map(|option| ["-c", option]));
        self.server = Some(command.stdin(Stdio::null()).stdout(output).stderr(again).spawn().expect("a server"));
        let url = self.url("postgres");
        let ready = async {
            while try_psql(&url, "SELECT").is_err() {
                tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
            }
        };
        let started = tokio::time::timeout(Duration::from_millis(START_MS_MAX), ready).await;
        let said = || std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
        assert!(started.is_ok(), "PostgreSQL does not start within {START_MS_MAX} ms; it said: {}", said());
    }

    /// An immediate stop: nothing is written, nobody is told, and the next start recovers.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let told = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
            assert!(told.is_ok_and(|status| status.success()), "the server is ours");
            server.wait().expect("a stopped server ends");
        }
    }

    /// A server that follows this one, and takes no writes.
    pub async fn standby(&self) -> Self {
        let mut standby = place();
        let source = self.url("postgres");
        let copied = standby
            .command("pg_basebackup")
            .args(["-R", "-X", "stream", "-c", "fast", "-d", &source, "-D"])
            .arg(standby.data())
            .output();
        said(&copied.expect("pg_basebackup runs")).expect("a copy of the cluster");
        standby.start().await;
        standby
    }

    /// Nobody has to start it again for that, but here it takes a restart.
    pub async fn give_room(&mut self) {
        self.stop();
        self.file_bytes_max = None;
        self.start().await;
    }

    /// A file that grows beyond the limit is written as far as the limit, as on a disk that is full.
    fn server_command(&self) -> Command {
        let Some(bytes) = self.file_bytes_max else { return self.command("postgres") };
        let mut command = Command::new("sh");
        let blocks = bytes / LIMIT_BLOCK_BYTES;
        command.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(program("postgres"));
        self.ours(command)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The server refuses to run as root.
    fn command(&self, name: &str) -> Command {
        self.ours(Command::new(program(name)))
    }

    fn ours(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path());
        if let Some(owner) = owner() {
            command.uid(owner);
        }
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whom the server runs as, where this process is root.
fn owner() -> Option<u32> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    (number(&["-u"]) == Some(0)).then(|| number(&["-u", "postgres"]).expect("the package made its user"))
}

/// Of the newest version that is installed, else whatever the path has.
fn program(name: &str) -> PathBuf {
    installed(name).unwrap_or_else(|| PathBuf::from(name))
}

fn installed(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = versions.filter_map(|version| version.parse::<u32>().ok()).max()?;
    let path = Path::new(VERSIONS).join(newest.to_string()).join("bin").join(name);
    path.exists().then_some(path)
}

/// Debian's package, where the programs are missing and this process may install it.
fn install() {
    let found = || installed("initdb").is_some();
    super::install(
        "postgresql",
        found,
        "set OTODOKE_TEST_POSTGRES_URL, start one on localhost, or install it yourself",
    );
}
