//! Real servers for tests: found on the machine, started for the test, or installed; nothing of them stays behind.

pub mod certificates;
pub mod postgres;
pub mod proxy;
pub mod rabbit;

use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Instead of a URL: a server that is there already is not looked for.
const PRIVATE: &str = "private";

/// Installs this package of Debian's unless what it brings is found. Lists of packages may be missing or old.
fn install(package: &str, found: impl Fn() -> bool, otherwise: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if found() {
        return;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--yes", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let wanted = ["install", "--no-install-recommends", package];
    let done = apt(&wanted) || (apt(&["update"]) && apt(&wanted));
    assert!(done && found(), "there is no {package}: {otherwise}");
}

/// Free now; another process may take one before the server does, which then does not start and says so.
pub fn free_ports<const PORTS: usize>() -> [u16; PORTS] {
    let listeners = [(); PORTS].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
