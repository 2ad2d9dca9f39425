//! Values that must not be seen, and the files they come from. Whatever reads them holds them as `Secret` or `Root`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use crate::seal::ROOT_BYTES_MIN;

/// Of files with secrets: readable and writable by their owner alone.
const PRIVATE_MODE: u32 = 0o600;

/// A password or token of a provider. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text of a file, without the newline that editors leave at its end.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            format!("{} cannot be read: {error}; name a file this process may read", path.display())
        })?;
        let value = text.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            return Err(format!("{} is empty; it must hold the secret", path.display()));
        }
        Ok(Self::new(value))
    }
}

impl Secret {
    /// Writes a new file that only this user may read; a file that is there already is an error. Whole or not at all: a
    /// process that ends in the middle leaves a draft that nobody reads, never a file that holds half a secret.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let draft = path.with_extension(format!("{}.draft", std::process::id()));
        let written = self.write_draft(&draft).and_then(|()| std::fs::hard_link(&draft, path));
        // Whether there is one to remove depends on how far it came.
        drop(std::fs::remove_file(&draft));
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    fn write_draft(&self, draft: &Path) -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(PRIVATE_MODE).open(draft)?;
        writeln!(file, "{}", self.0)?;
        file.sync_all()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The bytes that codes are derived from, or rows are sealed with.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct Root(Vec<u8>);

impl Root {
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() < ROOT_BYTES_MIN {
            return Err(format!(
                "a root of {} bytes is too short; {ROOT_BYTES_MIN} random bytes are right",
                bytes.len()
            ));
        }
        Ok(Self(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A file of base64, as `openssl rand -base64 32` writes it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = Secret::read(path)?;
        let bytes = data_encoding::BASE64.decode(text.expose().as_bytes()).map_err(|_| {
            format!("{} does not hold base64; `openssl rand -base64 32` writes a right one", path.display())
        })?;
        Self::new(bytes).map_err(|problem| format!("{}: {problem}", path.display()))
    }
}

impl Root {
    /// Reads the file; on the first call makes it, with fresh random bytes, for this user's eyes only.
    pub fn read_or_create(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            let mut bytes = [0; ROOT_BYTES_MIN];
            let filled = SystemRandom::new().fill(&mut bytes);
            filled.map_err(|_| "the operating system gives no random bytes; nothing can be kept secret".to_owned())?;
            Secret::new(data_encoding::BASE64.encode(&bytes)).write(path)?;
        }
        Self::read(path)
    }
}

impl TryFrom<PathBuf> for Root {
    type Error = String;
    fn try_from(path: PathBuf) -> Result<Self, String> {
        Self::read(&path)
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Root({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), content).expect("written");
        file
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::read(file("hunter2\n").path()).expect("readable");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn a_root_is_at_least_32_bytes_of_base64() {
        let good = file("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
        assert_eq!(Root::read(good.path()).expect("32 bytes").bytes().len(), 32);
        for bad in ["AAEC", "not base64!", ""] {
            assert!(Root::read(file(bad).path()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_written_whole_and_never_over_another() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("key");
        Secret::new("first").write(&path).expect("written");
        let said = Secret::new("second").write(&path).expect_err("it is there already");
        assert!(said.contains("cannot be written"), "{said}");
        assert_eq!(Secret::read(&path).expect("readable").expose(), "first");
        let files = std::fs::read_dir(directory.path()).expect("readable").count();
        assert_eq!(files, 1, "no draft is left behind");
    }

    #[test]
    fn a_root_is_made_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("root");
        let made = Root::read_or_create(&path).expect("made");
        assert!(made == Root::read_or_create(&path).expect("read"), "the second call reads");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(made != Root::read_or_create(&directory.path().join("other")).expect("made"));
    }
}
