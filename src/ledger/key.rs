//! The ledger's files in the state directory: the signing key, its public half, a copy of a recent checkpoint.

use std::io;
use std::path::{Path, PathBuf};

use super::file;
use super::note::{Checkpoint, NoteError, SigningKey, VerifierKey};
use super::settings::{LedgerError, Settings};

/// Secret.
pub(super) const SECRET: &str = "ledger.key";
/// For everybody.
pub(super) const PUBLIC: &str = "ledger.pub";
/// A copy of a recent checkpoint. It lies apart from the ledger, so that an old copy of the whole ledger directory
/// is not taken for the newest state.
pub(super) const HEAD: &str = "ledger.head";

/// The public half of the key in the state directory `state`: what an auditor needs besides the ledger.
///
/// # Errors
/// [`LedgerError::Io`] where it cannot be read, also where no key was made yet; [`LedgerError::Key`] where it is none.
pub fn verifier(state: &Path) -> Result<VerifierKey, LedgerError> {
    let path = state.join(PUBLIC);
    let text = std::fs::read_to_string(&path).map_err(LedgerError::io("read", &path))?;
    VerifierKey::parse(text.trim_end()).map_err(LedgerError::key(&path))
}

/// The key of earlier starts; `None` before the first.
pub(super) fn load(state: &Path) -> Result<Option<SigningKey>, LedgerError> {
    let path = state.join(SECRET);
    let text = file::read(&path).map_err(LedgerError::io("read", &path))?;
    let key = text.map(|text| SigningKey::parse(text.trim_end()));
    key.transpose().map_err(LedgerError::key(&path))
}

/// Makes the key of a new ledger. The copy of the old one's head goes before it: a head of another key says nothing.
pub(super) fn make(settings: &Settings) -> Result<SigningKey, LedgerError> {
    let state = &settings.state;
    file::make_directory(state).map_err(LedgerError::io("make", state))?;
    let path = state.join(SECRET);
    let key = SigningKey::generate(&origin(settings)).map_err(LedgerError::key(&path))?;
    forget_head(state)?;
    let public = format!("{}\n", key.verifier());
    write(state.join(PUBLIC), 0o644, public.as_bytes())?;
    write(path, 0o600, format!("{}\n", *key.encode()).as_bytes())?;
    Ok(key)
}

/// A new ledger has a new name, so that no two trees are ever signed under one: the box, and the moment it begins.
fn origin(settings: &Settings) -> String {
    let digits = |c: &char| !matches!(c, '-' | ':');
    let moment: String = settings.started.to_string().chars().filter(digits).take(15).collect();
    format!("{}/ledger-{moment}Z", settings.appliance)
}

fn write(path: PathBuf, mode: u32, content: &[u8]) -> Result<(), LedgerError> {
    file::replace(&path, mode, content).map_err(LedgerError::io("write", path))
}

fn forget_head(state: &Path) -> Result<(), LedgerError> {
    let path = state.join(HEAD);
    match std::fs::remove_file(&path).and_then(|()| file::sync_parent(&path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::io("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Keeps a copy of the newest checkpoint.
pub(super) fn keep_head(state: &Path, note: &str) -> io::Result<()> {
    file::replace(&state.join(HEAD), 0o640, note.as_bytes())
}

/// The copy that was kept, with its text; `None` where there is none. One that this key has not signed says nothing.
pub(super) fn head(
    state: &Path,
    key: &VerifierKey,
) -> Result<Option<(Checkpoint, String)>, LedgerError> {
    let path = state.join(HEAD);
    let Some(note) = file::read(&path).map_err(LedgerError::io("read", &path))? else {
        return Ok(None);
    };
    match Checkpoint::open(&note, key) {
        Ok(checkpoint) => Ok(Some((checkpoint, note))),
        Err(error @ (NoteError::Malformed | NoteError::Foreign | NoteError::Forged)) => {
            tracing::warn!(file = %path.display(), %error, "the copy of the ledger's head says nothing");
            Ok(None)
        }
    }
}
