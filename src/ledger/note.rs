//! Signed notes (C2SP `signed-note`) with Ed25519, their keys, and the text of a checkpoint (C2SP
//! `tlog-checkpoint`). What is signed when, and where notes and keys are kept, is not known here; no file, no clock.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::tree::Hash;

/// The signature type of Ed25519 in a key.
const TYPE: u8 = 1;
/// What an encoded signing key begins with; it is never shown.
const PRIVATE: &str = "PRIVATE+KEY+";
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// More signatures than this make a note malformed; the specification asks for 16 at least.
const SIGNATURES_MAX: usize = 100;

/// Why a note, a key or a checkpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteError {
    /// It is no note, no key or no checkpoint by its form.
    Malformed,
    /// It is signed, but not by this key.
    Foreign,
    /// It names this key, and the signature is wrong.
    Forged,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not of the form that the specification asks for",
            Self::Foreign => "it is not signed by this key",
            Self::Forged => "its signature is wrong",
        })
    }
}

impl std::error::Error for NoteError {}

/// The public half: what is needed to verify. Its text is `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    public: [u8; 32],
}

impl VerifierKey {
    /// From a name and the 32 bytes of an Ed25519 public key (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`NoteError::Malformed`]: the name is empty or has a space or a plus in it.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, &public), public })
    }

    /// From the text `name+hash+base64`.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], also where the hash is not that of this name and key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, hash, bytes) = parts(text).ok_or(NoteError::Malformed)?;
        let [TYPE, public @ ..] = bytes.as_slice() else { return Err(NoteError::Malformed) };
        let public = public.try_into().map_err(|_other_length| NoteError::Malformed)?;
        let key = Self::new(name, public)?;
        if hash == format!("{:08x}", key.id) { Ok(key) } else { Err(NoteError::Malformed) }
    }

    /// The key's name; a log's is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of `note` where this key signed it (C2SP `signed-note`): with its last line break, without the
    /// signatures. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = divide(note).ok_or(NoteError::Malformed)?;
        let mut found = Err(NoteError::Foreign);
        for (name, signature) in signatures {
            let (id, signature) = signature.split_first_chunk().ok_or(NoteError::Malformed)?;
            if name == self.name && u32::from_be_bytes(*id) == self.id {
                let key = UnparsedPublicKey::new(&ED25519, self.public);
                let verified = key.verify(text.as_bytes(), signature);
                verified.map_err(|_unspecified| NoteError::Forged)?;
                found = Ok(text);
            }
        }
        found
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = encode(&[&[TYPE], self.public.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

/// The half that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    verifier: VerifierKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.verifier)
    }
}

impl SigningKey {
    /// A new key from the system's source of randomness.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]: the name is empty or has a space or a plus in it, or there is no randomness.
    pub fn generate(name: &str) -> Result<Self, NoteError> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_unspecified| NoteError::Malformed)?;
        Self::of(name, seed)
    }

    fn of(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_rejected| NoteError::Malformed)?;
        let public = pair.public_key().as_ref().try_into();
        let verifier = VerifierKey::new(name, public.map_err(|_length| NoteError::Malformed)?)?;
        Ok(Self { pair, seed, verifier })
    }

    /// From what [`SigningKey::encode`] wrote.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let text = text.strip_prefix(PRIVATE).ok_or(NoteError::Malformed)?;
        let (name, hash, bytes) = parts(text).ok_or(NoteError::Malformed)?;
        let bytes = Zeroizing::new(bytes);
        let [TYPE, seed @ ..] = bytes.as_slice() else { return Err(NoteError::Malformed) };
        let seed = seed.try_into().map_err(|_other_length| NoteError::Malformed)?;
        let key = Self::of(name, Zeroizing::new(seed))?;
        if hash == format!("{:08x}", key.verifier.id) { Ok(key) } else { Err(NoteError::Malformed) }
    }

    /// The secret as text, `PRIVATE+KEY+name+hash+base64`: for the key's file and nothing else.
    pub fn encode(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new([&[TYPE], self.seed.as_slice()].concat());
        let VerifierKey { name, id, public: _ } = &self.verifier;
        Zeroizing::new(format!("{PRIVATE}{name}+{id:08x}+{}", *Zeroizing::new(encode(&secret))))
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The note of `text`, which ends with a line break: the text, an empty line, the signature.
    pub fn sign(&self, text: &str) -> String {
        let mut signed = self.verifier.id.to_be_bytes().to_vec();
        signed.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{DASH}{} {}\n", self.verifier.name, encode(&signed))
    }
}

/// The head of a tree (C2SP `tlog-checkpoint`): whose, how many leaves, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root hash of so many leaves.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint in `note`, where `key` signed it and its origin is the key's name.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(key.open(note)?)?;
        if checkpoint.origin == key.name { Ok(checkpoint) } else { Err(NoteError::Foreign) }
    }

    /// The checkpoint in a note's text, by whomever it was signed. Extension lines are passed over.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        Self::lines(text).ok_or(NoteError::Malformed)
    }

    fn lines(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let plain = size == "0" || !size.starts_with('0');
        let digits = size.bytes().all(|byte| byte.is_ascii_digit());
        if origin.is_empty() || !plain || !digits || lines.any(str::is_empty) {
            return None;
        }
        let root = Hash(decode(root)?.try_into().ok()?);
        Some(Self { origin: origin.to_owned(), size: size.parse().ok()?, root })
    }

    /// The signed note of it.
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(&self.to_string())
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, encode(&self.root.0))
    }
}

/// A hash as base64, as a checkpoint has it.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Back from [`encode`]; `None` where it is not the one form that the specification allows.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// `name`, `hash`, and what the base64 stands for.
fn parts(text: &str) -> Option<(&str, &str, Vec<u8>)> {
    let (name, rest) = text.split_once('+')?;
    let (hash, key) = rest.split_once('+')?;
    Some((name, hash, decode(key)?))
}

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    let named = [name.as_bytes(), &[b'\n', TYPE], public.as_slice()].concat();
    let hash = digest(&SHA256, &named);
    hash.as_ref().first_chunk().map_or(0, |start| u32::from_be_bytes(*start))
}

type Signatures<'a> = Vec<(&'a str, Vec<u8>)>;

/// The text with its last line break, and the signatures with their names.
fn divide(note: &str) -> Option<(&str, Signatures<'_>)> {
    if note.contains(|c: char| c < ' ' && c != '\n') {
        return None;
    }
    let (text, _) = note.rsplit_once("\n\n")?;
    let (text, signatures) = note.split_at_checked(text.len() + 1)?;
    let lines = signatures.strip_prefix('\n')?.strip_suffix('\n')?.split('\n');
    let signatures: Option<Signatures<'_>> =
        lines.take(SIGNATURES_MAX + 1).map(signature).collect();
    let signatures = signatures.filter(|found| found.len() <= SIGNATURES_MAX)?;
    Some((text, signatures))
}

/// One signature line: the name, and the key's id with the signature.
fn signature(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
    let signature = decode(signature).filter(|bytes| is_name(name) && bytes.len() > 4)?;
    Some((name, signature))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Checkpoint, NoteError, SigningKey, VerifierKey, encode};
    use crate::ledger::tree::Hash;

    /// The vectors of the reference implementation.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const BY_PETER: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const BY_ENOCH: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
    /// The example of the checkpoint specification.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    fn peter() -> VerifierKey {
        VerifierKey::parse(PETER).unwrap()
    }

    fn opened(signatures: &str) -> Result<String, NoteError> {
        peter().open(&format!("{TEXT}\n{signatures}")).map(str::to_owned)
    }

    #[test]
    fn a_verifier_key_is_read_and_shown_alike() {
        for text in [PETER, ENOCH] {
            assert_eq!(VerifierKey::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(peter().name(), "PeterNeumann");
    }

    #[test]
    fn a_mangled_key_is_no_key() {
        let mangled = |text: &str| {
            assert_eq!(VerifierKey::parse(text), Err(NoteError::Malformed), "{text}");
        };
        for from in 0..PETER.len() {
            for to in from..=PETER.len() {
                if (from, to) != (0, PETER.len()) {
                    mangled(PETER.get(from..to).unwrap());
                }
            }
        }
        for index in 0..PETER.len() {
            let mut bytes = PETER.as_bytes().to_vec();
            bytes[index] += 1;
            mangled(std::str::from_utf8(&bytes).unwrap());
        }
        // Hashes that fit: a key of another length, and of an unknown type.
        mangled("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==");
        mangled("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    }

    #[test]
    fn a_signing_key_signs_as_the_reference_does() {
        let key = SigningKey::parse(SECRET).unwrap();
        assert_eq!(key.sign(TEXT), format!("{TEXT}\n{BY_PETER}"));
        assert_eq!(key.encode().as_str(), SECRET);
        assert_eq!(key.verifier(), &peter());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let key = SigningKey::parse(SECRET).unwrap();
        assert_eq!(format!("{key:?}"), format!("Secret({PETER})"));
    }

    #[test]
    fn a_key_that_was_made_is_read_back() {
        let key = SigningKey::generate("edge-1/ledger").unwrap();
        let again = SigningKey::parse(&key.encode()).unwrap();
        assert_eq!(again.verifier(), key.verifier());
        assert_ne!(SigningKey::generate("edge-1/ledger").unwrap().verifier(), key.verifier());
        assert_eq!(SigningKey::generate("a b").err(), Some(NoteError::Malformed));
    }

    #[test]
    fn a_note_is_opened_by_whoever_signed_it_and_by_nobody_else() {
        assert_eq!(opened(BY_PETER).as_deref(), Ok(TEXT));
        assert_eq!(opened(&format!("{BY_PETER}{BY_ENOCH}")).as_deref(), Ok(TEXT));
        assert_eq!(opened(&format!("{BY_ENOCH}{BY_PETER}")).as_deref(), Ok(TEXT));
        assert_eq!(opened(BY_ENOCH), Err(NoteError::Foreign));
        let renamed = BY_PETER.replace("PeterNeumann", "CarmenSandiego");
        assert_eq!(opened(&renamed), Err(NoteError::Foreign));
        assert_eq!(opened(&BY_PETER.replace("x08g", "xxxx")), Err(NoteError::Foreign));
    }

    #[test]
    fn a_note_that_names_the_key_and_is_not_signed_by_it_is_forged() {
        let (start, end) = BY_PETER.split_at(60);
        let longer = format!("{start}ABCD{end}");
        assert_eq!(opened(&longer), Err(NoteError::Forged));
        let other = format!("{TEXT}more\n\n{BY_PETER}");
        assert_eq!(peter().open(&other), Err(NoteError::Forged));
    }

    #[test]
    fn what_is_no_note_is_malformed() {
        let check =
            |note: &str| assert_eq!(peter().open(note), Err(NoteError::Malformed), "{note}");
        check(TEXT);
        check(&format!("{TEXT}\n"));
        check(&format!("{TEXT}\n{}", BY_PETER.trim_end()));
        check(&format!("\u{1}{TEXT}\n{BY_PETER}"));
        check(&format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad Name")));
        check(&format!("{TEXT}\n{BY_PETER}Unexpected line.\n"));
        check(&format!("{TEXT}\n{}", BY_PETER.repeat(101)));
        check(&format!("{TEXT}\n— PeterNeumann x08g\n"));
    }

    #[test]
    fn the_last_empty_line_divides_text_and_signatures() {
        let key = SigningKey::parse(SECRET).unwrap();
        let text = "one\n\ntwo\n\nthree\n";
        assert_eq!(peter().open(&key.sign(text)), Ok(text));
    }

    #[test]
    fn the_checkpoint_of_the_specification_is_read_and_shown_alike() {
        let text = EXAMPLE.split_inclusive('\n').take(3).collect::<String>();
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(encode(&checkpoint.root.0), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
        assert_eq!(checkpoint.to_string(), text);
        let origin = VerifierKey::new("example.com/behind-the-sofa", [7; 32]).unwrap();
        assert_eq!(Checkpoint::open(EXAMPLE, &origin), Err(NoteError::Foreign), "another key");
    }

    #[test]
    fn what_is_no_checkpoint_is_malformed() {
        let root = encode(&[9; 32]);
        let check = |text: &str| {
            assert_eq!(Checkpoint::parse(text), Err(NoteError::Malformed), "{text}");
        };
        check(&format!("\n1\n{root}\n"));
        check(&format!("a\n01\n{root}\n"));
        check(&format!("a\n+1\n{root}\n"));
        check(&format!("a\n\n{root}\n"));
        check(&format!("a\n18446744073709551616\n{root}\n"));
        check(&format!("a\n1\n{}\n", encode(&[9; 31])));
        check(&format!("a\n1\n{}\n", root.trim_end_matches('=')));
        check(&format!("a\n1\n{root}\n\n"));
        check("a\n1\n");
        assert!(Checkpoint::parse(&format!("a\n0\n{root}\nextension\n")).is_ok());
    }

    #[test]
    fn a_checkpoint_of_another_origin_is_foreign_though_the_key_signed_it() {
        let key = SigningKey::generate("edge-1").unwrap();
        let mut checkpoint = Checkpoint { origin: "edge-1".into(), size: 3, root: Hash([1; 32]) };
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, key.verifier()).as_ref(), Ok(&checkpoint));
        checkpoint.origin = "edge-2".into();
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::open(&note, key.verifier()), Err(NoteError::Foreign));
    }

    proptest! {
        #[test]
        fn a_checkpoint_with_any_change_is_not_believed(size: u64, root: [u8; 32], place: usize, by in 1_u8..128) {
            let key = SigningKey::parse(SECRET).unwrap();
            let checkpoint = Checkpoint { origin: "PeterNeumann".into(), size, root: Hash(root) };
            let mut bytes = checkpoint.sign(&key).into_bytes();
            prop_assert_eq!(Checkpoint::open(std::str::from_utf8(&bytes).unwrap(), &peter()), Ok(checkpoint));
            let place = place % bytes.len();
            bytes[place] ^= by;
            if let Ok(changed) = std::str::from_utf8(&bytes) {
                prop_assert!(Checkpoint::open(changed, &peter()).is_err());
            }
        }
    }
}
