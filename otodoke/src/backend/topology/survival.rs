//! What is accepted survives any process that is killed. Whether it survives the loss of a machine as well is up to how
//! RabbitMQ and PostgreSQL are set up.

use anyhow::Context;
use otodoke_common::config::Secret;
use otodoke_common::postgres::{Lasting, Postgres, PostgresSettings};
use otodoke_common::rabbit::{RabbitSettings, whereabouts};
use serde::Serialize;
use tokio::time::{Duration, timeout};

use super::members::{Management, Members};
use crate::backend::REACH_MS_MAX;

/// Of fewer no majority is left when one is lost.
const MEMBERS_MIN: usize = 3;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Survival {
    what: &'static str,
    /// The loss of a machine; left out where that could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    a_machine: Option<bool>,
    why: String,
}

impl Survival {
    pub(super) fn sentence(&self) -> String {
        let Self { what, a_machine, why } = self;
        match a_machine {
            Some(true) => format!("{what} survive the loss of a machine: {why}.\n"),
            Some(false) => format!("{what} survive processes, but not the loss of a machine: {why}.\n"),
            None => format!("{what}: whether they survive the loss of a machine is not known: {why}.\n"),
        }
    }
}

pub(super) async fn of_queues(amqp: &RabbitSettings, management_url: Option<&Secret>) -> Survival {
    let what = "Queues";
    let Some(url) = management_url else {
        let why = "AMQP does not tell on how many nodes a queue is; --management-url asks who does".to_owned();
        return Survival { what, a_machine: None, why };
    };
    match members(amqp, url).await {
        Ok(found) => queues(what, &found),
        Err(error) => Survival { what, a_machine: None, why: format!("{error:#}") },
    }
}

async fn members(amqp: &RabbitSettings, url: &Secret) -> anyhow::Result<Vec<(String, Members)>> {
    let (management, place) = (Management::at(url, amqp.ca_file.as_deref())?, whereabouts(amqp)?);
    let mut found = Vec::with_capacity(place.queues.len());
    for queue in place.queues {
        let members = management.members(&place.vhost, &queue).await?;
        found.push((queue, members));
    }
    Ok(found)
}

fn queues(what: &'static str, found: &[(String, Members)]) -> Survival {
    let lacks = |(queue, members): &(String, Members)| match members {
        Members { all, .. } if *all < MEMBERS_MIN => Some(format!("{queue} has {all} of {MEMBERS_MIN} members")),
        // Without one more, those that are there must still be the majority.
        Members { all, online } if online.saturating_sub(1) * 2 <= *all => {
            Some(format!("of {queue}'s {all} members {online} are there"))
        }
        Members { .. } => None,
    };
    let lacking: Vec<String> = found.iter().filter_map(lacks).collect();
    let why = if lacking.is_empty() {
        "a majority of the members of each is left, if each is on a machine of its own".to_owned()
    } else {
        lacking.join(", ")
    };
    Survival { what, a_machine: Some(lacking.is_empty()), why }
}

pub(super) async fn of_rows(settings: &PostgresSettings) -> Survival {
    let looking = timeout(Duration::from_millis(REACH_MS_MAX), lasting(settings)).await;
    let late = || format!("PostgreSQL did not answer within {REACH_MS_MAX} ms");
    match looking.with_context(late).and_then(|looked| looked) {
        Ok(lasting) => rows(&lasting),
        Err(error) => Survival { what: "Rows", a_machine: None, why: format!("{error:#}") },
    }
}

async fn lasting(settings: &PostgresSettings) -> anyhow::Result<Lasting> {
    Ok(Postgres::connect(settings).await?.lasting().await?)
}

/// Storage that is replicated below PostgreSQL, as vendors have it, is nothing that PostgreSQL knows of.
fn rows(lasting: &Lasting) -> Survival {
    let what = "Rows";
    let Lasting { fsync, full_page_writes, synchronous_standby } = lasting;
    let off = [(fsync, "fsync is off"), (full_page_writes, "full_page_writes is off")];
    let off: Vec<&str> = off.into_iter().filter_map(|(is_on, words)| (!is_on).then_some(words)).collect();
    match (off.is_empty(), synchronous_standby) {
        (false, _) => Survival { what, a_machine: Some(false), why: off.join(", ") },
        (true, true) => {
            Survival { what, a_machine: Some(true), why: "a synchronous standby has each commit".to_owned() }
        }
        (true, false) => {
            let why = "synchronous_standby_names is empty, so only storage that is replicated below PostgreSQL would";
            Survival { what, a_machine: None, why: why.to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_need_three_members_and_one_to_spare() {
        let members = |all, online| Members { all, online };
        for (found, survives, words) in [
            ([members(3, 3), members(5, 5)], true, "a majority of the members of each"),
            ([members(5, 4), members(3, 3)], true, "a majority of the members of each"),
            ([members(3, 3), members(1, 1)], false, "normal has 1 of 3 members"),
            ([members(3, 2), members(3, 3)], false, "of critical's 3 members 2 are there"),
            ([members(5, 3), members(3, 3)], false, "of critical's 5 members 3 are there"),
        ] {
            let [critical, normal] = found;
            let said = queues("Queues", &[("critical".to_owned(), critical), ("normal".to_owned(), normal)]);
            assert!(said.a_machine == Some(survives) && said.why.contains(words), "{said:?}");
        }
    }

    #[test]
    fn rows_need_a_standby_and_a_disk_that_is_waited_for() {
        let good = Lasting { fsync: true, full_page_writes: true, synchronous_standby: true };
        assert_eq!(rows(&good).a_machine, Some(true));
        for (bad, survives, words) in [
            (Lasting { fsync: false, ..good }, Some(false), "fsync is off"),
            (Lasting { full_page_writes: false, ..good }, Some(false), "full_page_writes is off"),
            (Lasting { synchronous_standby: false, ..good }, None, "synchronous_standby_names is empty"),
        ] {
            let said = rows(&bad);
            assert!(said.a_machine == survives && said.why.starts_with(words), "{said:?}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_asked_is_named_and_the_rest_is_told_all_the_same() {
        // As the command's start does.
        drop(rustls::crypto::ring::default_provider().install_default());
        let amqp = RabbitSettings::new(vec![Secret::new("amqp://guest:guest@127.0.0.1:9/%2f")]);
        let said = of_queues(&amqp, Some(&Secret::new("http://guest:hunter2@127.0.0.1:9"))).await;
        assert_eq!(said.a_machine, None);
        assert!(said.why.contains("http://127.0.0.1:9") && !said.why.contains("hunter2"), "{said:?}");
    }
}
