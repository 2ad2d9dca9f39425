//! Where a claim is tried: a house of ours that runs, whichever way it is built, and what whoever lives there knows.

use std::path::PathBuf;

use otodoke_common::config::Root;
use otodoke_common::seal::Vault;

use crate::caller::Caller;

pub(crate) struct Stand {
    /// A tenant's, who also looks at the phones.
    pub(crate) caller: Caller,
    /// The door, as providers are told where it is.
    pub(crate) url: String,
    pub(crate) seal_root: PathBuf,
    /// The secret that kodama signs with.
    pub(crate) kodama: String,
}

impl Stand {
    pub(crate) fn vault(&self) -> Vault {
        let root = Root::read(&self.seal_root).expect("the root of the house");
        Vault::new(root.bytes()).expect("a good root")
    }
}
