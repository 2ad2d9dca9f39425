//! What is accepted survives any process that is killed. Whether it survives the loss of a machine as well is up to how
//! RabbitMQ and PostgreSQL are set up.

use anyhow::Context;
use otodoke_common::postgres::{Lasting, Postgres, PostgresSettings};
use otodoke_common::rabbit::{RabbitSettings, whereabouts};
use reqwest::Url;
use serde::Serialize;
use tokio::time::{Duration, timeout};

use super::members::{Management, Members};
use crate::backend::REACH_MS_MAX;

/// Of three a majority is left when one is lost.
const MEMBERS_MIN: usize = 3;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Survival {
    what: &'static str,
    /// The loss of a machine; nothing where that could not be found out.
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

pub(super) async fn of_queues(amqp: &RabbitSettings, management_url: Option<&Url>) -> anyhow::Result<Survival> {
    let what = "Queues";
    let Some(url) = management_url else {
        let why = "AMQP does not tell on how many machines a queue is; --management-url asks who does".to_owned();
        return Ok(Survival { what, a_machine: None, why });
    };
    let (management, place) = (Management::at(url)?, whereabouts(amqp)?);
    let mut found = Vec::with_capacity(place.queues.len());
    for queue in &place.queues {
        found.push((queue.as_str(), management.members(&place.vhost, queue).await?));
    }
    Ok(queues(what, &found))
}

fn queues(what: &'static str, found: &[(&str, Members)]) -> Survival {
    let lacks = |(queue, members): &(&str, Members)| match members {
        Members { all, online } if *all < MEMBERS_MIN => Some(format!("{queue} has {all} of {MEMBERS_MIN} members")),
        Members { all, online } if online < all => Some(format!("of {queue}'s {all} members {online} are there")),
        Members { .. } => None,
    };
    let lacking: Vec<String> = found.iter().filter_map(lacks).collect();
    let why = if lacking.is_empty() {
        format!("each has {MEMBERS_MIN} members or more, all there")
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

fn rows(lasting: &Lasting) -> Survival {
    let Lasting { fsync, full_page_writes, synchronous_commit, synchronous_standby } = lasting;
    let lacks = [
        (!fsync, "fsync is off".to_owned()),
        (!full_page_writes, "full_page_writes is off".to_owned()),
        (synchronous_commit != "on", format!("synchronous_commit is {synchronous_commit}")),
        (!synchronous_standby, "synchronous_standby_names is empty".to_owned()),
    ];
    let lacking: Vec<String> = lacks.into_iter().filter_map(|(lacks, words)| lacks.then_some(words)).collect();
    let why = if lacking.is_empty() { "a synchronous standby has each commit".to_owned() } else { lacking.join(", ") };
    Survival { what: "Rows", a_machine: Some(lacking.is_empty()), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_need_three_members_that_are_there() {
        let members = |all, online| Members { all, online };
        for (found, survives, words) in [
            ([members(3, 3), members(5, 5)], true, "3 members or more"),
            ([members(3, 3), members(1, 1)], false, "normal has 1 of 3 members"),
            ([members(3, 2), members(3, 3)], false, "of critical's 3 members 2 are there"),
        ] {
            let [critical, normal] = found;
            let said = queues("Queues", &[("critical", critical), ("normal", normal)]);
            assert!(said.a_machine == Some(survives) && said.why.contains(words), "{said:?}");
        }
    }

    #[test]
    fn rows_need_a_standby_and_a_disk_that_is_waited_for() {
        let good = Lasting {
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            synchronous_standby: true,
        };
        assert_eq!(rows(&good).a_machine, Some(true));
        for (bad, words) in [
            (Lasting { fsync: false, ..good.clone() }, "fsync is off"),
            (Lasting { full_page_writes: false, ..good.clone() }, "full_page_writes is off"),
            (Lasting { synchronous_commit: "off".to_owned(), ..good.clone() }, "synchronous_commit is off"),
            (Lasting { synchronous_standby: false, ..good.clone() }, "synchronous_standby_names is empty"),
        ] {
            assert_eq!((rows(&bad).a_machine, &*rows(&bad).why), (Some(false), words));
        }
    }
}
