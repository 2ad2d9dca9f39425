//! CPU time and memory of processes, and the time the host took from this machine, as Linux counts them below `/proc`.
//! Where it cannot be read, as for servers on other machines, the figure is 0.

use std::collections::BTreeSet;
use std::fs;

use crate::figures::{float, ratio};

/// Linux counts for programs in hundredths of a second, whatever its kernel does inside.
const TICK_US: u64 = 10_000;
const KIB: f64 = 1_024.0;
const US_PER_S_AND_PERCENT: f64 = 10_000.0;
/// A socket that waits for connections, in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Whose CPU time is told apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    pub(crate) doors: Vec<u32>,
    pub(crate) workers: Vec<u32>,
    pub(crate) carriers: Vec<u32>,
    pub(crate) broker: Option<u32>,
    /// The server's first process; all others are its children.
    pub(crate) database: Option<u32>,
}

/// Microseconds, since the processes started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) door: u64,
    pub(crate) workers: u64,
    pub(crate) carriers: u64,
    pub(crate) load: u64,
    pub(crate) broker: u64,
    pub(crate) database: u64,
    /// Of all processors: in use, and taken by the host.
    pub(crate) busy: u64,
    pub(crate) stolen: u64,
}

impl Watched {
    pub(crate) fn look(&self) -> Cpu {
        let sum = |pids: &[u32]| pids.iter().map(|pid| Stat::of(*pid).map_or(0, |stat| stat.own_us)).sum();
        let (busy, stolen) = machine();
        Cpu {
            door: sum(&self.doors),
            workers: sum(&self.workers),
            carriers: sum(&self.carriers),
            load: Stat::of(std::process::id()).map_or(0, |stat| stat.own_us),
            broker: sum(self.broker.as_slice()),
            database: self.database.map_or(0, family_us),
            busy,
            stolen,
        }
    }
}

impl Cpu {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            door: self.door.saturating_sub(before.door),
            workers: self.workers.saturating_sub(before.workers),
            carriers: self.carriers.saturating_sub(before.carriers),
            load: self.load.saturating_sub(before.load),
            broker: self.broker.saturating_sub(before.broker),
            database: self.database.saturating_sub(before.database),
            busy: self.busy.saturating_sub(before.busy),
            stolen: self.stolen.saturating_sub(before.stolen),
        }
    }

    pub(crate) fn per(self, messages: u64) -> CpuPerMessage {
        let each = |us: u64| ratio(float(us), float(messages));
        CpuPerMessage {
            door_us: each(self.door),
            workers_us: each(self.workers),
            program_us: each(self.door + self.workers),
            carrier_us: each(self.carriers),
            load_us: each(self.load),
            broker_us: each(self.broker),
            database_us: each(self.database),
            machine_us: each(self.busy),
        }
    }
}

/// Microseconds of CPU time for each finished message.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct CpuPerMessage {
    pub(crate) door_us: f64,
    pub(crate) workers_us: f64,
    /// Door and workers.
    pub(crate) program_us: f64,
    pub(crate) carrier_us: f64,
    /// Of this process: the load, or the client of a floor.
    pub(crate) load_us: f64,
    pub(crate) broker_us: f64,
    pub(crate) database_us: f64,
    /// Everything that ran on this machine, whoever's it was.
    pub(crate) machine_us: f64,
}

/// How much of all processors' time this was.
pub(crate) fn percent_of_machine(us: u64, seconds: f64) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    ratio(float(us), seconds * US_PER_S_AND_PERCENT * float(processors as u64))
}

struct Stat {
    parent: u32,
    own_us: u64,
    /// Of children that ended and were waited for.
    ended_children_us: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in brackets and may hold anything, so counting begins after the last bracket.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_us: (ticks(11)? + ticks(12)?) * TICK_US,
            ended_children_us: (ticks(13)? + ticks(14)?) * TICK_US,
        })
    }
}

/// A server that makes a process per connection: all that it has, and what those that ended had used.
fn family_us(first: u32) -> u64 {
    let Some(parent) = Stat::of(first) else { return 0 };
    let children = pids().into_iter().filter_map(Stat::of).filter(|stat| stat.parent == first);
    parent.own_us + parent.ended_children_us + children.map(|stat| stat.own_us).sum::<u64>()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    Stat::of(pid).map(|stat| stat.parent)
}

/// Whether this is the process of a program of that name.
pub(crate) fn is_called(pid: u32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|called| called.trim_end() == name)
}

fn machine() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    read_machine(text.lines().next().unwrap_or_default())
}

/// user, nice, system, idle, iowait, irq, softirq, steal.
fn read_machine(line: &str) -> (u64, u64) {
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    let of = |index: usize| ticks.get(index).copied().unwrap_or(0) * TICK_US;
    ([0, 1, 2, 5, 6].into_iter().map(of).sum(), of(7))
}

/// The most resident memory that it held at any time, MiB.
pub(crate) fn most_resident_mib(pid: u32) -> f64 {
    read_mib(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmHWM:")
}

fn read_mib(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    f64::from(kib.unwrap_or(0)) / KIB
}

/// The process that listens on this port of this machine; only root is told of other users' processes.
pub(crate) fn listener_on(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inodes: BTreeSet<String> = tables.iter().flat_map(|table| listening_inodes(table, port)).collect();
    let holds = |pid: &u32| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .any(|link| link.to_str().is_some_and(|link| inodes.contains(link)))
    };
    pids().into_iter().find(holds)
}

/// As file descriptors name them.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let ending = format!(":{port:04X}");
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        (local.ends_with(&ending) && *state == LISTENING).then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_after_a_name_that_looks_like_fields() {
        let stat = Stat::read("42 (a) 1 (b) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 20 10 20 0 9 0 1").expect("a line");
        assert_eq!((stat.parent, stat.own_us, stat.ended_children_us), (7, 2_000_000, 300_000));
        assert!(Stat::read("42 (cut").is_none());
    }

    #[test]
    fn a_part_of_the_machine_is_one_of_all_its_processors() {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let percent = percent_of_machine(20_000_000, 10.0);
        assert!((percent * float(processors as u64) - 200.0).abs() < 1e-6, "{percent}");
    }

    #[test]
    fn stolen_time_is_not_busy_time() {
        let (busy, stolen) = read_machine("cpu  100 1 50 9000 30 0 4 7 0 0");
        assert_eq!((busy, stolen), (155 * TICK_US, 7 * TICK_US));
    }

    #[test]
    fn a_listener_is_told_from_its_connections() {
        let table = "sl local rem st tx tr ret uid timeout inode\n\
                     0: 0100007F:1628 00000000:0000 0A 0 0 0 0 0 777 1\n\
                     1: 0100007F:1628 0100007F:9999 01 0 0 0 0 0 778 1";
        assert_eq!(listening_inodes(table, 5_672), ["socket:[777]"]);
        assert!(listening_inodes(table, 5_673).is_empty());
    }

    #[test]
    fn this_process_uses_memory_and_time_and_can_be_found() {
        assert!(most_resident_mib(std::process::id()) > 1.0);
        assert!(!is_called(std::process::id(), "postgres") && !is_called(0, ""));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        assert_eq!(listener_on(port), Some(std::process::id()));
        assert!((read_mib("VmHWM:\t4096 kB\nVmRSS:\t  2048 kB\n", "VmRSS:") - 2.0).abs() < f64::EPSILON);
    }
}
