//! The table for people.

use std::fmt::{self, Write};

use super::Report;
use crate::embedded::Embedded;
use crate::figures::{Percentiles, Spread};
use crate::growth::{Growth, Point};
use crate::intake::Intake;
use crate::latency::Latency;
use crate::pairs::Pairs;
use crate::queued::Queued;
use crate::slow::Slow;
use crate::spike::Spike;
use crate::window::Measured;

pub(super) fn of(report: &Report) -> String {
    let mut text = format!("Otodoke on this machine, {}", report.terms.sentences());
    write(report, &mut text).expect("a string takes text");
    text
}

fn write(report: &Report, text: &mut String) -> fmt::Result {
    report.pairs.iter().try_for_each(|each| pairs(text, each))?;
    report.intake.iter().try_for_each(|each| intake(text, each))?;
    report.latency.iter().try_for_each(|each| latency(text, each))?;
    report.spike.iter().try_for_each(|each| spike(text, each))?;
    report.growth.iter().try_for_each(|each| growth(text, each))?;
    report.slow.iter().try_for_each(|each| slow(text, each))?;
    report.embedded.iter().try_for_each(|each| embedded(text, each))?;
    report.queued.iter().try_for_each(|each| queued(text, each))?;
    writeln!(text, "\n{:<50} {:>9}   {:<10} {:<10}", "figure", "measured", "reach", "aim")?;
    report.verdicts().iter().for_each(|verdict| text.push_str(&verdict.row()));
    Ok(())
}

fn pairs(text: &mut String, pairs: &Pairs) -> fmt::Result {
    heads(text, "pairs")?;
    windows(text, "(a)  raw chain of three hops", &pairs.floor)?;
    windows(text, "(a') the same with our rows, bare", &pairs.floor_rows)?;
    windows(text, "(b)  the whole pipeline", &pairs.pipeline)?;
    if !pairs.gathered.is_empty() {
        windows(text, "(b') with receipts gathered", &pairs.gathered)?;
    }
    let Pairs { accepted, refused, delivered_rows, row_bytes, body_bytes, door_mib, worker_mib, .. } = pairs;
    writeln!(text, "(b)/(a) {}, (b)/(a') {}", spread(&pairs.ratio), spread(&pairs.ratio_rows))?;
    if !pairs.gathered.is_empty() {
        let (gathered, rows) = (spread(&pairs.gathered_ratio), spread(&pairs.gathered_ratio_rows));
        let together = pairs.receipts_per_request.median;
        writeln!(text, "(b')/(a) {gathered}, (b')/(a') {rows}; {together:.0} receipts a request")?;
    }
    writeln!(text, "{accepted} accepted, {refused} refused, {delivered_rows} rows say delivered")?;
    let of = |value: fn(&Measured) -> f64| Spread::of(pairs.pipeline.iter().map(value)).median;
    writeln!(
        text,
        "door {:.0} us and {door_mib:.0} MiB, worker {:.0} us and {worker_mib:.0} MiB; row {row_bytes} bytes, floor's bodies \
         {body_bytes} bytes",
        of(|each| each.cpu.door_us),
        of(|each| each.cpu.workers_us)
    )
}

fn heads(text: &mut String, part: &str) -> fmt::Result {
    writeln!(text, "\n{part:<35} {:>7} {:>15}   CPU, microseconds per message", "per s", "range")?;
    writeln!(
        text,
        "{:<35} {:>7} {:>15} {:>8} {:>7} {:>9} {:>6} {:>8} {:>6} {:>7} {:>8} {:>9}",
        "", "median", "", "program", "broker", "database", "load", "carrier", "busy", "stolen", "commits", "WAL bytes"
    )
}

fn windows(text: &mut String, name: &str, all: &[Measured]) -> fmt::Result {
    let of = |value: fn(&Measured) -> f64| Spread::of(all.iter().map(value));
    let (rate, median) = (of(|each| each.per_s), |value| of(value).median);
    writeln!(
        text,
        "{name:<35} {:>7.0} {:>15} {:>8.0} {:>7.0} {:>9.0} {:>6.0} {:>8.0} {:>5.0}% {:>6.1}% {:>8.2} {:>9.0}",
        rate.median,
        format!("{:.0}-{:.0}", rate.least, rate.most),
        median(|each| each.cpu.program_us),
        median(|each| each.cpu.broker_us),
        median(|each| each.cpu.database_us),
        median(|each| each.cpu.load_us),
        median(|each| each.cpu.carrier_us),
        median(|each| each.busy_percent),
        median(|each| each.stolen_percent),
        median(|each| each.transactions),
        median(|each| each.wal_bytes),
    )
}

fn intake(text: &mut String, intake: &Intake) -> fmt::Result {
    writeln!(text)?;
    for point in &intake.points {
        let cpu = point.door.cpu;
        writeln!(
            text,
            "intake, {} connections: {:.0} per s of {:.0} bare ({} bytes); accept {}; program {:.0}, broker {:.0}, database {:.0} us; \
             {} refused",
            point.connections,
            point.door.per_s,
            point.raw.per_s,
            point.body_bytes,
            percentiles(&point.accept),
            cpu.program_us,
            cpu.broker_us,
            cpu.database_us,
            point.refused
        )?;
    }
    if intake.idle_connections > 0 {
        writeln!(text, "door with {} connections: {:.0} MiB", intake.idle_connections, intake.door_mib)?;
    }
    Ok(())
}

fn latency(text: &mut String, latency: &Latency) -> fmt::Result {
    writeln!(text)?;
    for point in &latency.points {
        writeln!(
            text,
            "at {:.0} % ({:.0} per s): accept {}; accept to submit {}; {:.0} % busy; {} refused, {} missing",
            point.share * 100.0,
            point.per_s,
            percentiles(&point.accept),
            percentiles(&point.submit),
            point.busy_percent,
            point.refused,
            point.missing
        )?;
    }
    Ok(())
}

fn spike(text: &mut String, spike: &Spike) -> fmt::Result {
    writeln!(
        text,
        "\nspike: {} people pressed {} times, {} refused at once; the provider bears {} per s and got {} calls ({} too \
         many), {} of them brought somebody the code in time; {} accepted in vain; backlog gone {:.0} s after the spike",
        spike.people,
        spike.presses,
        spike.refused,
        spike.capacity_per_s,
        spike.permits,
        spike.throttled,
        spike.good,
        spike.accepted_in_vain,
        spike.backlog_gone_s
    )?;
    writeln!(
        text,
        "payments: calm {}; in the spike {}; in it and after {}; {} refused, {} accepted in vain, {} calls too many",
        percentiles(&spike.critical_calm),
        percentiles(&spike.critical_rush),
        percentiles(&spike.critical_spike),
        spike.critical_refused,
        spike.critical_in_vain,
        spike.critical_throttled
    )
}

fn growth(text: &mut String, growth: &Growth) -> fmt::Result {
    writeln!(
        text,
        "\n{:<20} {:>24} {:>8} {:>7} {:>9} {:>9} {:>11} {:>9}",
        "growth", "per s", "program", "broker", "database", "door MiB", "worker MiB", "sweep lag"
    )?;
    points(text, "stored", &growth.stored)?;
    points(text, "workers", &growth.workers)?;
    points(text, "shards", &growth.shards)?;
    let beside = |point: &Point| writeln!(text, "{} stored / none, in turn: {}", point.size, spread(&point.ratio));
    growth.stored.iter().try_for_each(beside)
}

fn points(text: &mut String, what: &str, all: &[Point]) -> fmt::Result {
    for point in all {
        let range = format!("{:.0} ({:.0}-{:.0})", point.per_s.median, point.per_s.least, point.per_s.most);
        writeln!(
            text,
            "{:<20} {range:>24} {:>8.0} {:>7.0} {:>9.0} {:>9.0} {:>11.0} {:>7.1} s",
            format!("{} {what}", point.size),
            point.program_us,
            point.broker_us,
            point.database_us,
            point.door_mib,
            point.worker_mib,
            point.sweep_lag_s
        )?;
    }
    Ok(())
}

fn slow(text: &mut String, slow: &Slow) -> fmt::Result {
    heads(text, "a slow provider")?;
    windows(text, "a fast one alone", &slow.alone)?;
    windows(text, "beside the slow one", &slow.beside)?;
    writeln!(text, "beside / alone before and after it {}", spread(&slow.ratio))
}

fn embedded(text: &mut String, embedded: &Embedded) -> fmt::Result {
    let Spread { median, least, most } = embedded.per_s;
    let cpu = Spread::of(embedded.windows.iter().map(|each| each.cpu.door_us)).median;
    writeln!(
        text,
        "\nembedded: {median:.0} per s ({least:.0}-{most:.0}), {cpu:.0} us per message, carriers in the same process; accept \
         {}; {} refused; {:.0} MiB; first 202 after {:.2} s",
        percentiles(&embedded.accept),
        embedded.refused,
        embedded.resident_mib,
        embedded.first_accepted_s.median
    )
}

fn queued(text: &mut String, queued: &Queued) -> fmt::Result {
    let Queued { queued, listens_s, resident_mib, worked_off_per_s } = queued;
    writeln!(
        text,
        "\nembedded with {queued} queued: {resident_mib:.0} MiB at most; listens after {listens_s:.2} s, works off \
         {worked_off_per_s:.0} per s"
    )
}

fn spread(spread: &Spread) -> String {
    format!("{:.2} ({:.2}-{:.2})", spread.median, spread.least, spread.most)
}

fn percentiles(percentiles: &Percentiles) -> String {
    let Percentiles { p50_ms, p99_ms, p999_ms, .. } = percentiles;
    format!("p50 {p50_ms:.1} p99 {p99_ms:.1} p99.9 {p999_ms:.1} ms")
}
