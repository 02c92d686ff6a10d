//! The rows over real sockets that leave law and servers as they are: what passes, and what is refused.

use http::Method;
use tokio::io::AsyncReadExt;
use tokio::time::{Duration, timeout};

use super::Error;
use super::cast::{CHUKAN, CHUKEI, RELAYED};
use super::row::{Found, Shown, Wish};
use super::scene::Scene;
use crate::standin::{Answer, Ask, Broken, Content, Pattern, Speak};
use crate::verdict::Reason;

/// What is carried both ways over HTTP, in bytes.
const CARRIED: u64 = 8 << 20;
/// What the terminal says before it says that this was all, in bytes.
const SAID: u64 = 256 << 10;
/// How long a closed door may take to be seen as one.
const PATIENCE: Duration = Duration::from_secs(5);

impl Scene {
    /// 8 MiB up; the upstream's own digest comes back.
    pub(super) async fn upload(&self, mark: u64, speak: Speak) -> Result<Found, Error> {
        let content = Content::Pattern(Pattern::new(CARRIED));
        let ask = Ask::new(Method::POST, CHUKAN, "/exchange/upload").with(content);
        let answer = self.ask(Shown::Kizon, speak, ask).await?;
        let due = format!("{{\"bytes\":{CARRIED},\"sha256\":\"{}\"}}\n", Pattern::sha256(CARRIED));
        let whole = answer.is_ok_and(|answer| answer.status == 200 && answer.text == due);
        self.allowed(mark, "request", whole).await
    }

    /// 8 MiB down.
    pub(super) async fn download(&self, mark: u64, speak: Speak) -> Result<Found, Error> {
        let target = format!("/exchange/download?bytes={CARRIED}");
        let ask = Ask::new(Method::GET, CHUKAN, &target);
        let answer = self.ask(Shown::Kizon, speak, ask).await?;
        let whole = answer.is_ok_and(|answer| is_pattern(&answer, CARRIED));
        self.allowed(mark, "request", whole).await
    }

    /// The client's end comes long before the other's bytes.
    pub(super) async fn passage(&self, mark: u64) -> Result<Found, Error> {
        let before = self.center.relay.witness().received();
        let raw = self.terminal()?.open_raw(self.listener(), Some(CHUKEI)).await?;
        let whole = raw.exchange(SAID).await.is_ok_and(|back| {
            back.whole && back.bytes == RELAYED && back.sha256 == Pattern::sha256(RELAYED)
        });
        let heard = self.center.relay.witness().received() - before;
        self.allowed(mark, "dialled", whole && heard == SAID).await
    }

    /// A connection that must be closed before a byte of TLS.
    pub(super) async fn arrive(
        &self,
        mark: u64,
        reason: Reason,
        (from, to): ((u8, u8), (u8, u8)),
    ) -> Result<Found, Error> {
        let client = self.papers.client(self.ground.address(from.0, from.1), None)?;
        let mut stream = client.open_tcp(self.ground.socket(to.0, to.1)).await?;
        let mut byte = [0; 1];
        let answer = match timeout(PATIENCE, stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => Ok(()),
            Ok(Ok(_)) => Err("a byte came back".to_owned()),
            Err(_late) => Err("left open".to_owned()),
        };
        self.denied(mark, reason, answer).await
    }

    /// A request that is answered with a refusal.
    pub(super) async fn forbidden(
        &self,
        mark: u64,
        reason: Reason,
        (shown, wish): (Shown, Wish),
    ) -> Result<Found, Error> {
        let answer = self.ask(shown, Speak::Http11, wish.ask()).await?;
        self.denied(mark, reason, told(answer, reason)).await
    }

    /// One request on a connection of its own, of the existing system.
    pub(super) async fn ask(
        &self,
        shown: Shown,
        speak: Speak,
        ask: Ask,
    ) -> Result<Result<Answer, Broken>, Error> {
        let client = self.existing(shown)?;
        let mut connection = client.open(self.listener(), Some(CHUKAN), speak).await?;
        Ok(connection.ask(ask).await)
    }
}

impl Wish {
    fn ask(self) -> Ask {
        let body = || Content::Text(bytes::Bytes::from_static(b"what must not get through"));
        match self {
            Self::Permitted => Ask::new(Method::POST, CHUKAN, "/exchange/upload").with(body()),
            Self::Delete => Ask::new(Method::DELETE, CHUKAN, "/exchange/upload"),
            Self::ElsewherePath => Ask::new(Method::POST, CHUKAN, "/private/upload").with(body()),
            Self::OtherHost => Ask::new(Method::POST, CHUKEI, "/exchange/upload").with(body()),
        }
    }
}

/// Whether the body is that many bytes of the pattern.
pub(super) fn is_pattern(answer: &Answer, bytes: u64) -> bool {
    answer.status == 200 && answer.bytes == bytes && answer.sha256 == Pattern::sha256(bytes)
}

/// Whether a client was refused for `reason` and told so, else what it was told.
pub(super) fn told(answer: Result<Answer, Broken>, reason: Reason) -> Result<(), String> {
    match answer {
        Ok(answer) => match answer.reason.as_deref() {
            Some(code) if code == reason.code() && answer.status == reason.status() => Ok(()),
            Some(code) => Err(format!("{} {code}", answer.status)),
            None => Err(format!("status {}", answer.status)),
        },
        Err(_broken) => Err("broken off".to_owned()),
    }
}
