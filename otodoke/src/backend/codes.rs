//! `codes`: which kid is in use, which are known, and which are revoked for all processes.

use anyhow::Context;
use otodoke_common::code::{revoke, revoked};
use otodoke_common::message::Kid;
use otodoke_common::store::Store;
use serde::Serialize;

use super::with_store;
use crate::cli::{Codes, CodesVerb};
use crate::output::{Outcome, Output};

#[derive(Serialize)]
struct Revoked {
    revoked: Vec<String>,
}

pub(crate) async fn codes(command: &Codes, output: &Output) -> anyhow::Result<Outcome> {
    match &command.verb {
        CodesVerb::Revoked { place } => with_store(place, async |store| list(store, output).await).await,
        CodesVerb::Revoke { kid, place } => {
            let kid = Kid::parse(kid).map_err(anyhow::Error::msg).context("KID")?;
            with_store(place, async |store| {
                revoke(store, &kid).await?;
                let told = Revoked { revoked: vec![String::from(kid.clone())] };
                output.answer(&told, || {
                    format!("Kid {} is revoked: within seconds its codes are worth nothing anywhere.", kid.as_str())
                })?;
                Ok(Outcome::Done)
            })
            .await
        }
    }
}

async fn list(store: &dyn Store, output: &Output) -> anyhow::Result<Outcome> {
    let revoked: Vec<String> = revoked(store).await?.into_iter().map(String::from).collect();
    let sentence = if revoked.is_empty() { "No kid is revoked.".to_owned() } else { revoked.join("\n") };
    output.answer(&Revoked { revoked }, || sentence)?;
    Ok(Outcome::Done)
}
