//! One request and its response while they travel: what both bodies and the judge share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock;
use super::connection::Connection;
use super::cut::Cut;
use super::upstream::UpstreamPeer;
use crate::flow::Flow;
use crate::verdict::Reason;

/// One exchange in flight. Registered with its connection from judgement until its last byte.
#[derive(Debug)]
pub(super) struct Stream {
    /// What it was allowed as, endpoint included; judged again when the law changes.
    pub(super) flow: RefCell<Flow>,
    /// Who the upstream is.
    pub(super) peer: Option<Arc<UpstreamPeer>>,
    /// Ends it.
    pub(super) cut: Cut,
    /// Whether the request's body has ended, or there is none.
    pub(super) is_sent: Cell<bool>,
    progress: Cell<Instant>,
    /// It was cut already when it was last looked at.
    was_cut: Cell<bool>,
}

impl Stream {
    pub(super) fn new(flow: Flow, peer: Option<Arc<UpstreamPeer>>) -> Self {
        let progress = Cell::new(clock::woken());
        Self {
            flow: RefCell::new(flow),
            peer,
            cut: Cut::default(),
            is_sent: Cell::new(false),
            progress,
            was_cut: Cell::new(false),
        }
    }

    /// Something moved, in either direction; gives the moment.
    pub(super) fn moved(&self) -> Instant {
        let now = clock::woken();
        self.progress.set(now);
        now
    }

    /// When something last moved.
    pub(super) fn progress(&self) -> Instant {
        self.progress.get()
    }

    /// Cuts it where nothing has moved for `patience`: a peer that does not read is not waited for for ever.
    pub(super) fn cut_if_stalled(&self, now: Instant, patience: Duration) {
        if now.duration_since(self.progress()) > patience {
            self.cut.throw(Reason::Timeout);
        }
    }

    /// Why it was cut, where it is still there although it was cut when this was last asked: bytes are held for a
    /// client that takes none, and nothing else is looked at before they are gone.
    pub(super) fn stuck(&self) -> Option<Reason> {
        let reason = self.cut.reason()?;
        self.was_cut.replace(true).then_some(reason)
    }
}

/// Keeps a stream registered with its connection.
#[derive(Debug)]
pub(super) struct Registered {
    connection: Rc<Connection>,
    stream: Rc<Stream>,
}

impl Registered {
    pub(super) fn new(
        connection: &Rc<Connection>,
        flow: Flow,
        peer: Option<Arc<UpstreamPeer>>,
    ) -> Self {
        let stream = Rc::new(Stream::new(flow, peer));
        if let Some(reason) = connection.cut.reason() {
            stream.cut.throw(reason);
        }
        connection.streams.borrow_mut().push(Rc::clone(&stream));
        connection.worker.begin_exchange();
        Self { connection: Rc::clone(connection), stream }
    }

    pub(super) fn stream(&self) -> &Rc<Stream> {
        &self.stream
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connection.touch();
        self.connection.worker.end_exchange();
        // A request body that is still on its way has nobody left who watches it.
        self.stream.cut.throw(Reason::UpstreamFailed);
        let mut streams = self.connection.streams.borrow_mut();
        if let Some(index) = streams.iter().position(|stream| Rc::ptr_eq(stream, &self.stream)) {
            streams.swap_remove(index);
        }
    }
}
