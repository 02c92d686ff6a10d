//! The service's side of the control socket: made safely, bounded in every direction.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{interval, timeout};

use super::wire::{Answer, Outcome, Request};
use crate::service::pulse::Pulse;
use crate::service::task::Guests;
use crate::service::{Reloaded, Report, SelfTested};

/// Calls at a time; a `reload` holds its place until the outcome is known.
const CALLS_MAX: usize = 16;
/// The longest request, in bytes.
const REQUEST_MAX: u64 = 4096;
/// For the request to arrive, and again for the answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the loop shows that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// What can be asked of the running service.
pub(in crate::service) trait Callee: 'static {
    /// What it says of itself.
    fn report(&self) -> Report;
    /// Puts the law on disk in force; `None` where the service is draining.
    fn reload(&self) -> impl Future<Output = Option<Reloaded>>;
    /// Tries the guardrails; why it could not, where it could not.
    fn selftest(&self) -> impl Future<Output = Result<SelfTested, String>>;
    /// Records the call.
    fn record(
        &self,
        caller: Caller,
        call: &'static str,
        outcome: Outcome,
    ) -> impl Future<Output = ()>;
}

/// Who calls, as far as the kernel tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::service) struct Caller {
    /// The user.
    pub(in crate::service) uid: Option<u32>,
    /// The process.
    pub(in crate::service) pid: Option<i32>,
}

/// The bound socket; its file goes with it.
#[derive(Debug)]
pub(in crate::service) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of our file: what lies there later may be somebody else's.
    file: (u64, u64),
}

impl Door {
    /// Makes the socket, for its user and group only. One that a dead process left is replaced, one that answers
    /// is not.
    ///
    /// # Errors
    /// What the operating system says; `AddrInUse` where another service answers or the file is no socket.
    pub(in crate::service) fn make(path: &Path) -> io::Result<Self> {
        if is_taken(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Bound under another name and given its mode first: nobody finds it with a wider one.
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        drop(fs::remove_file(&fresh));
        let listener = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o660))?;
        fs::rename(&fresh, path)?;
        let file = identity(path)?;
        Ok(Self { listener, path: path.to_owned(), file })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Whether there is something at `path` that must not be replaced.
fn is_taken(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(Probe::connect(path).is_ok()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Answers calls for ever.
pub(in crate::service) async fn serve<C: Callee>(door: Rc<Door>, callee: Rc<C>, pulse: Pulse) {
    let mut guests = Guests::new(CALLS_MAX);
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            _ = beat.tick() => pulse.beat(),
            accepted = door.listener.accept() => match accepted {
                Ok((stream, _)) => admit(&mut guests, stream, Rc::clone(&callee)),
                Err(error) => {
                    tracing::warn!(%error, "a call on the control socket could not be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// A call that finds no room is closed unanswered, which its caller reads as not reachable.
fn admit<C: Callee>(guests: &mut Guests, stream: UnixStream, callee: Rc<C>) {
    if !guests.admit(async move { converse(stream, &*callee).await }) {
        tracing::warn!(
            max = CALLS_MAX,
            "too many calls on the control socket; one was turned away"
        );
    }
}

async fn converse<C: Callee>(mut stream: UnixStream, callee: &C) {
    let from = caller(&stream);
    let request = timeout(PATIENCE, read(&mut stream)).await;
    let (call, answer) = match request {
        Ok(Ok(request)) => perform(request, callee).await,
        Ok(Err(message)) => ("unknown", Answer::error(message)),
        Err(_) => ("unknown", Answer::error("the request did not come in time")),
    };
    callee.record(from, call, answer.outcome).await;
    // A caller that does not wait for its answer has lost nothing but the answer.
    let _gone = timeout(PATIENCE, write(&mut stream, &answer)).await;
}

fn caller(stream: &UnixStream) -> Caller {
    stream.peer_cred().map_or_else(
        |_| Caller::default(),
        |peer| Caller { uid: Some(peer.uid()), pid: peer.pid() },
    )
}

async fn read(stream: &mut UnixStream) -> Result<Request, &'static str> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(REQUEST_MAX));
    reader.read_until(b'\n', &mut line).await.map_err(|_broken| "the request broke off")?;
    if line.last() != Some(&b'\n') {
        return Err("the request is not one line of at most 4096 bytes");
    }
    serde_json::from_slice(&line)
        .map_err(|_odd| "the request is not of the form `{\"call\":\"status\"}`")
}

async fn perform<C: Callee>(request: Request, callee: &C) -> (&'static str, Answer) {
    match request.call.as_str() {
        "status" => ("status", Answer::status(callee.report())),
        "reload" => ("reload", reload(callee).await),
        "selftest" => ("selftest", selftest(callee).await),
        _ => {
            ("unknown", Answer::error("no such call; there are `status`, `reload` and `selftest`"))
        }
    }
}

async fn reload<C: Callee>(callee: &C) -> Answer {
    match callee.reload().await {
        Some(reloaded) => Answer::reload(reloaded),
        None => Answer::error("the service is draining and takes no law any more"),
    }
}

async fn selftest<C: Callee>(callee: &C) -> Answer {
    match callee.selftest().await {
        Ok(tested) => Answer::selftest(tested),
        Err(why) => Answer::error(&why),
    }
}

async fn write(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener as Listener, UnixStream as Stream};
    use std::path::{Path, PathBuf};
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::task::{LocalSet, spawn_blocking};

    use super::{Callee, Caller, Door, Outcome, serve};
    use crate::service::control::{Answer, call};
    use crate::service::pulse::Pulses;
    use crate::service::{Reloaded, Report, SelfTested, testing};

    #[derive(Default)]
    struct Fake {
        draining: bool,
        recorded: RefCell<Vec<(Caller, &'static str, Outcome)>>,
    }

    impl Callee for Fake {
        fn report(&self) -> Report {
            testing::report()
        }

        async fn reload(&self) -> Option<Reloaded> {
            (!self.draining).then(testing::refused)
        }

        async fn selftest(&self) -> Result<SelfTested, String> {
            if self.draining { Err("draining".to_owned()) } else { Ok(testing::selftested()) }
        }

        async fn record(&self, caller: Caller, call: &'static str, outcome: Outcome) {
            self.recorded.borrow_mut().push((caller, call, outcome));
        }
    }

    /// Runs `client` in a thread of its own against a service; gives back what it found and what was recorded.
    async fn against<T: Send + 'static>(
        fake: Fake,
        client: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> (T, Vec<(Caller, &'static str, Outcome)>) {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("control.sock");
        let door = Rc::new(Door::make(&path).unwrap());
        let fake = Rc::new(fake);
        let pulse = Pulses::default().of("control");
        let local = LocalSet::new();
        let server = serve(Rc::clone(&door), Rc::clone(&fake), pulse);
        let _server = local.spawn_local(server);
        let found = local.run_until(spawn_blocking(move || client(&path))).await.unwrap();
        let recorded = fake.recorded.borrow().clone();
        (found, recorded)
    }

    fn say(path: &Path, bytes: &[u8]) -> String {
        let mut stream = Stream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _cut_off = stream.write_all(bytes);
        let mut answer = Vec::new();
        // What was sent beyond the bound is never read: after the answer comes a reset.
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn status_and_reload_are_answered_and_recorded_with_the_caller() {
        let patience = Duration::from_secs(10);
        let (answers, recorded) = against(Fake::default(), move |path| {
            [call(path, "status", patience).unwrap(), call(path, "reload", patience).unwrap()]
        })
        .await;
        let [status, reload] = answers;
        assert_eq!((status.outcome, status.status), (Outcome::Ok, Some(testing::report())));
        assert_eq!((reload.outcome, reload.reload), (Outcome::Refused, Some(testing::refused())));
        let calls: Vec<_> = recorded.iter().map(|(_, call, outcome)| (*call, *outcome)).collect();
        assert_eq!(calls, [("status", Outcome::Ok), ("reload", Outcome::Refused)]);
        let us = Caller {
            uid: Some(rustix::process::getuid().as_raw()),
            pid: i32::try_from(std::process::id()).ok(),
        };
        assert!(recorded.iter().all(|(caller, ..)| *caller == us), "{recorded:?}");
    }

    #[tokio::test]
    async fn a_draining_service_takes_no_law() {
        let fake = Fake { draining: true, ..Fake::default() };
        let patience = Duration::from_secs(10);
        let (answer, _) = against(fake, move |path| call(path, "reload", patience).unwrap()).await;
        assert_eq!(answer.outcome, Outcome::Error);
        assert_eq!(
            answer.message.as_deref(),
            Some("the service is draining and takes no law any more")
        );
    }

    #[tokio::test]
    async fn a_self_test_that_fails_is_an_outcome_of_its_own_and_one_that_cannot_run_an_error() {
        let patience = Duration::from_secs(10);
        let ask = move |path: &Path| call(path, "selftest", patience).unwrap();
        let (answer, recorded) = against(Fake::default(), ask).await;
        assert_eq!(
            (answer.outcome, answer.selftest),
            (Outcome::Failed, Some(testing::selftested()))
        );
        assert_eq!((recorded[0].1, recorded[0].2), ("selftest", Outcome::Failed));
        let (answer, recorded) = against(Fake { draining: true, ..Fake::default() }, ask).await;
        assert_eq!((answer.outcome, answer.message.as_deref()), (Outcome::Error, Some("draining")));
        assert_eq!((recorded[0].1, recorded[0].2), ("selftest", Outcome::Error));
    }

    #[tokio::test]
    async fn what_is_no_call_gets_an_error_and_is_recorded_without_its_words() {
        let (answers, recorded) = against(Fake::default(), |path| {
            let odd: [&[u8]; 5] = [
                b"{\"call\":\"123456789018\"}\n",
                b"{\"call\":\"status\",\"more\":1}\n",
                b"nonsense\n",
                b"\xff\xfe\n",
                &[b'x'; 5000],
            ];
            odd.map(|bytes| say(path, bytes))
        })
        .await;
        for text in &answers {
            let answer: Answer = serde_json::from_str(text).unwrap();
            assert_eq!(answer.outcome, Outcome::Error, "{text}");
            assert!(!text.contains("123456789018"));
        }
        let calls: Vec<_> = recorded.iter().map(|(_, call, outcome)| (*call, *outcome)).collect();
        assert_eq!(calls, [("unknown", Outcome::Error); 5]);
    }

    #[tokio::test]
    async fn a_silent_caller_holds_up_nobody_else() {
        let patience = Duration::from_secs(3);
        let (answer, _) = against(Fake::default(), move |path| {
            let _silent = Stream::connect(path).unwrap();
            call(path, "status", patience).unwrap()
        })
        .await;
        assert_eq!(answer.outcome, Outcome::Ok);
    }

    #[tokio::test]
    async fn callers_beyond_the_bound_are_turned_away() {
        let patience = Duration::from_secs(3);
        let (turned_away, _) = against(Fake::default(), move |path| {
            let silent: Vec<_> =
                (0..super::CALLS_MAX).map(|_| Stream::connect(path).unwrap()).collect();
            let refused = call(path, "status", patience).is_err();
            drop(silent);
            refused
        })
        .await;
        assert!(turned_away);
    }

    #[tokio::test]
    async fn the_socket_is_for_user_and_group_and_goes_with_its_door() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/control.sock");
        let door = Door::make(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        drop(door);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path().join("run")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_a_living_one_and_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(Listener::bind(&path).unwrap());
        assert!(path.exists(), "its process died and left it");
        let door = Door::make(&path).unwrap();
        assert!(Door::make(&path).is_err(), "somebody answers there");
        assert!(path.exists());
        drop(door);
        fs::write(&path, "precious").unwrap();
        assert!(Door::make(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_door_does_not_take_away_what_came_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let first = Door::make(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = Door::make(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
