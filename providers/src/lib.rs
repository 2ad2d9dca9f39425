//! The vendors. One vendor, one file: request, answer table, asking, webhook reading and reply.
//!
//! `build` turns a provider's settings into the seam `common::provider::Provider`; `assemble` does so for all of them and
//! makes the parts that door and worker stand on. Everything above this crate sees classes and scopes, never a vendor's
//! codes. Who is called when is decided elsewhere.

mod assemble;
mod http;
mod infobip;
mod report;
mod settings;
mod smslink;
mod stamp;
mod twilio;

#[cfg(test)]
mod vendor;

use std::sync::Arc;

use otodoke_common::config::ProviderKind;
use otodoke_common::provider::Provider;
use otodoke_common::seal::Vault;

pub use crate::assemble::{Assembled, Backends, assemble};
pub use crate::settings::{ProviderError, ProviderSettings};

/// Makes the provider that `settings.kind` names. Nothing is sent yet.
pub fn build(settings: &ProviderSettings, vault: Arc<Vault>) -> Result<Arc<dyn Provider>, ProviderError> {
    settings.check()?;
    Ok(match settings.kind {
        ProviderKind::Smslink => Arc::new(smslink::Smslink::new(settings)?),
        ProviderKind::Infobip => Arc::new(infobip::Infobip::new(settings, vault)?),
        ProviderKind::Twilio => Arc::new(twilio::messages::Messages::new(settings, vault)?),
        ProviderKind::TwilioVoice => Arc::new(twilio::calls::Calls::new(settings, vault)?),
    })
}
