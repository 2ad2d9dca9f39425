//! `codes`: which kids are revoked for all processes, and revoking one.

use std::collections::BTreeSet;

use anyhow::Context;
use otodoke_common::code::{revoke, revoked};
use otodoke_common::message::Kid;
use otodoke_common::store::Store;
use serde::Serialize;

use super::{settings_of, with_store};
use crate::cli::{Codes, CodesVerb, Place};
use crate::output::{Outcome, Output};

const STANDS_STILL: &str = "no door accepts a code until codes.active names another root and all processes were started \
                            with it";

#[derive(Serialize)]
struct Revoked {
    revoked: Vec<String>,
}

pub(crate) async fn codes(command: &Codes, output: &Output) -> anyhow::Result<Outcome> {
    match &command.verb {
        CodesVerb::Revoked { place } => with_store(place, async |store| list(store, output).await).await,
        CodesVerb::Revoke { kid, even_active, place } => {
            let (kid, is_active) = known(kid, place)?;
            anyhow::ensure!(
                *even_active || !is_active,
                "kid {kid} is the active one of these settings: once it is revoked, which cannot be undone, {STANDS_STILL}. \
                 Make another one active first, or say --even-active",
                kid = kid.as_str()
            );
            with_store(place, async |store| {
                revoke(store, &kid).await?;
                let told = Revoked { revoked: vec![kid.as_str().to_owned()] };
                output.answer(&told, || {
                    let kid = kid.as_str();
                    let stands_still = if is_active { format!("\nNow {STANDS_STILL}.") } else { String::new() };
                    format!("Kid {kid} is revoked: within seconds its codes are worth nothing anywhere.{stands_still}")
                })?;
                Ok(Outcome::Done)
            })
            .await
        }
    }
}

/// A mistyped kid would leave the leaked one as it is; and the directory of `up` has one root, which nothing could replace.
/// Returns whether it is the active one as well.
fn known(raw: &str, place: &Place) -> anyhow::Result<(Kid, bool)> {
    let kid = Kid::parse(raw).map_err(anyhow::Error::msg).context("KID")?;
    let settings = settings_of(place)?.context(
        "only settings have roots to change for one another: name them with --config; a directory of `otodoke up` whose \
         root leaked is deleted",
    )?;
    let roots: BTreeSet<&str> = settings.codes.roots.keys().map(Kid::as_str).collect();
    anyhow::ensure!(
        roots.contains(kid.as_str()),
        "kid {} is not among [codes] of these settings, which know {}",
        kid.as_str(),
        roots.into_iter().collect::<Vec<_>>().join(", ")
    );
    let is_active = settings.codes.active == kid;
    Ok((kid, is_active))
}

async fn list(store: &dyn Store, output: &Output) -> anyhow::Result<Outcome> {
    let revoked: Vec<String> = revoked(store).await?.into_iter().map(|kid| kid.as_str().to_owned()).collect();
    let sentence = if revoked.is_empty() { "No kid is revoked.".to_owned() } else { revoked.join("\n") };
    output.show(&Revoked { revoked }, || sentence)?;
    Ok(Outcome::Done)
}
