//! Real servers for tests: found on the machine, started for the test, or installed; nothing of them stays behind.

pub mod certificates;
pub mod postgres;
pub mod proxy;
pub mod rabbit;

use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Instead of a URL: a server that is there already is not looked for.
const PRIVATE: &str = "private";
const PORTS_TO_GIVE: Range<u16> = 10_000..32_000;
/// How far apart processes that were started one after the other begin to look.
const PORTS_APART: u32 = 509;

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

/// Ports, none of them twice in one process, that were free a moment ago.
///
/// They are below those that systems give to outgoing connections (RFC 6335: from 49152; Linux: from 32768, `ip(7)`), or one
/// of these would now and then have the port when its server starts.
pub fn free_ports<const PORTS: usize>() -> [u16; PORTS] {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_APART);
    [(); PORTS].map(|()| {
        let one_after_the_other = std::iter::repeat_with(|| first.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)));
        let mut ports = one_after_the_other.take(PORTS_TO_GIVE.len()).map(|n| {
            let places = u32::from(PORTS_TO_GIVE.end - PORTS_TO_GIVE.start);
            PORTS_TO_GIVE.start + u16::try_from(n % places).expect("there are fewer than 65536")
        });
        let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        ports.find(free).expect("a free port")
    })
}
