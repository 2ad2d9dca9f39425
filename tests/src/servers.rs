//! Real servers for tests: found on the machine, started for the test, or installed; nothing of them stays behind.

pub mod certificates;
pub mod postgres;
pub mod proxy;
pub mod rabbit;

/// Free now; another process may take one before the server does, which then does not start and says so.
pub fn free_ports<const PORTS: usize>() -> [u16; PORTS] {
    let listeners = [(); PORTS].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
