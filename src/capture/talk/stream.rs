//! TCP streams: segments in the order of their sequence numbers, holes, and how much of it may be held.

use crate::capture::{
    Bounds, Gap, Part, Side, Sink,
    decode::Stamp,
    describe::socket,
    entry::{End, Entry, NONE, Spoken, seen},
};

use super::found::Found;
use super::listen::{Heard, Listener};
use super::order::{earlier, is_before, later};

/// Holes of one direction that are remembered; beyond that the oldest is taken as lost.
const HOLES_MAX: usize = 64;

/// Who speaks, when, and which bytes of its stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct Speaker {
    pub(in crate::capture) from: End,
    pub(in crate::capture) stamp: Stamp,
    /// Sequence number of the first byte.
    pub(in crate::capture) first: u32,
    /// Bytes that went by; fewer may have been kept.
    pub(in crate::capture) length: u32,
}

/// The streams of the connections that need looking at.
pub(in crate::capture) struct Talks {
    open: Vec<Option<Box<Talk>>>,
    free: Vec<u32>,
    /// Bytes of segments held, all streams together.
    held: usize,
    limits: Limits,
    skipped: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    all: usize,
    window: usize,
    pub(super) heads: usize,
    pub(super) head_bytes: usize,
    /// Bytes of each direction that somebody wants to see.
    depth: u64,
}

#[derive(Default)]
struct Talk {
    streams: [Stream; 2],
    found: Found,
}

/// One direction.
#[derive(Default)]
struct Stream {
    /// Sequence number of the next byte in order.
    next: u32,
    /// How many bytes were passed on or skipped.
    offset: u64,
    begun: bool,
    waiting: Vec<Waiting>,
    /// Bytes not seen yet, from and up to a sequence number.
    holes: Vec<(u32, u32)>,
    listener: Listener,
}

struct Waiting {
    speaker: Speaker,
    bytes: Box<[u8]>,
}

impl Talks {
    pub(in crate::capture) fn new(bounds: &Bounds, depth: u64) -> Self {
        Self {
            open: Vec::new(),
            free: Vec::new(),
            held: 0,
            limits: Limits {
                all: bounds.stream_bytes,
                window: bounds.stream_window,
                heads: bounds.heads,
                head_bytes: bounds.head_bytes,
                depth,
            },
            skipped: 0,
        }
    }

    /// Bytes that were counted but not looked into, because too much waited.
    pub(in crate::capture) const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes up to `until` were not captured, though their receiver has them.
    pub(in crate::capture) fn hole(&mut self, entry: &mut Entry, end: End, until: u32) {
        let Some(next) = entry.next.get_mut(end) else { return };
        let from = std::mem::replace(next, until);
        let talk = self.talk(entry);
        if let Some(stream) = talk.streams.get_mut(end) {
            let lost = stream.add_hole(from, until);
            note(&mut talk.found, end, lost);
        }
    }

    /// A connection that spoke in clear begins TLS.
    pub(in crate::capture) fn upgrade(&mut self, entry: &mut Entry, speaker: Speaker) {
        entry.seen &= !(seen::DONE | seen::DONE << 1);
        entry.spoken = Spoken::Upgraded;
        let next = entry.next;
        let talk = self.talk(entry);
        let others =
            talk.streams.iter_mut().zip(next).filter(|(stream, _)| !stream.listener.is_tls());
        for (stream, next) in others {
            let offset = stream.offset;
            *stream = Stream { next, offset, begun: true, ..Stream::default() };
            stream.listener = Listener::for_tls();
        }
        if let Some(stream) = talk.streams.get_mut(speaker.from) {
            stream.next = speaker.first;
        }
    }

    /// Takes the payload of a segment: counts what is new of it and passes on what is in order.
    pub(in crate::capture) fn take(
        &mut self,
        entry: &mut Entry,
        speaker: Speaker,
        payload: &[u8],
        sink: &mut dyn Sink,
    ) {
        let (limits, held) = (self.limits, self.held);
        let done = entry.has(seen::DONE, speaker.from);
        let from = speaker.from;
        let next = entry.next.get(from).copied().unwrap_or(speaker.first);
        let talk = self.talk(entry);
        let Some(stream) = talk.streams.get_mut(from) else { return };
        if !stream.begun {
            (stream.begun, stream.next) = (true, next);
        }
        let (fresh, lost) = stream.count(next, &speaker);
        note(&mut talk.found, from, lost);
        if let Some(bytes) = entry.bytes.get_mut(from) {
            *bytes += u64::from(fresh);
        }
        let end = speaker.first.wrapping_add(speaker.length);
        if let Some(next) = entry.next.get_mut(from).filter(|next| is_before(**next, end)) {
            *next = end;
        }
        if done {
            stream.next = later(stream.next, end);
        } else {
            let mut hearing = Hearing { limits, entry, found: &mut talk.found, sink };
            let (grown, skipped) = stream.accept(speaker, payload, held, &mut hearing);
            self.held = grown;
            self.skipped += skipped;
        }
        self.settle(entry);
    }

    /// The findings of a connection that ends; what still waits is passed on behind its hole.
    pub(in crate::capture) fn end(&mut self, entry: &mut Entry, sink: &mut dyn Sink) -> Found {
        let Some(mut talk) = self.remove(entry) else { return Found::default() };
        for end in [0, 1] {
            let Some(stream) = talk.streams.get_mut(end) else { continue };
            let mut hearing = Hearing { limits: self.limits, entry, found: &mut talk.found, sink };
            self.held = self.held.saturating_sub(stream.flush(&mut hearing));
            let lost = stream.holes.drain(..).fold(Gap::default(), Gap::and);
            note(&mut talk.found, end, lost);
        }
        talk.found
    }

    /// The streams of an entry, made where it has none yet.
    fn talk(&mut self, entry: &mut Entry) -> &mut Talk {
        if entry.talk == NONE {
            entry.talk = self.free.pop().unwrap_or_else(|| {
                self.open.push(None);
                u32::try_from(self.open.len() - 1).unwrap_or(NONE)
            });
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "an entry's place is never freed while the entry has it"
        )]
        self.open[entry.talk as usize].get_or_insert_default()
    }

    /// Frees the streams that have nothing to say and nothing to wait for.
    fn settle(&mut self, entry: &mut Entry) {
        let Some(Some(talk)) = self.open.get(entry.talk as usize) else { return };
        let idle = (0..2).all(|end| {
            let quiet =
                talk.streams.get(end).is_none_or(|s| s.waiting.is_empty() && s.holes.is_empty());
            let heard =
                talk.streams.get(end).is_none_or(|s| !s.begun) || entry.has(seen::DONE, end);
            quiet && heard
        });
        if idle && talk.found.is_empty() && self.limits.depth == 0 {
            self.remove(entry);
        }
    }

    fn remove(&mut self, entry: &mut Entry) -> Option<Box<Talk>> {
        let talk = self.open.get_mut(entry.talk as usize)?.take();
        self.free.push(entry.talk);
        entry.talk = NONE;
        talk
    }
}

/// Everything a stream needs to pass bytes on.
pub(super) struct Hearing<'h> {
    pub(super) limits: Limits,
    pub(super) entry: &'h mut Entry,
    pub(super) found: &'h mut Found,
    sink: &'h mut dyn Sink,
}

impl Stream {
    /// How many bytes of a segment were not seen before, and what is given up as lost; `next` is behind all seen.
    fn count(&mut self, next: u32, speaker: &Speaker) -> (u32, Gap) {
        let end = speaker.first.wrapping_add(speaker.length);
        let ahead = speaker.first.wrapping_sub(next).cast_signed();
        if ahead >= 0 {
            let lost = if ahead > 0 { self.add_hole(next, speaker.first) } else { Gap::default() };
            return (speaker.length, lost);
        }
        let beyond = end.wrapping_sub(next).cast_signed().max(0).cast_unsigned();
        (beyond + self.fill(speaker.first, end), Gap::default())
    }

    /// Takes a range out of the holes; says how many bytes were in them.
    fn fill(&mut self, first: u32, end: u32) -> u32 {
        let mut filled = 0;
        let mut left = Vec::new();
        for (from, until) in self.holes.drain(..) {
            let (low, high) = (later(from, first), earlier(until, end));
            if !is_before(low, high) {
                left.push((from, until));
                continue;
            }
            filled += high.wrapping_sub(low);
            left.extend(
                [(from, low), (high, until)].into_iter().filter(|(a, b)| is_before(*a, *b)),
            );
        }
        self.holes = left;
        filled
    }

    /// Remembers a hole; what is given up for it is lost.
    fn add_hole(&mut self, from: u32, until: u32) -> Gap {
        let lost = if self.holes.len() >= HOLES_MAX {
            Gap::default().and(self.holes.remove(0))
        } else {
            Gap::default()
        };
        self.holes.push((from, until));
        lost
    }

    /// Passes a segment on, or holds it until what lies before it comes. Says how many bytes are held in all
    /// after it, and how many were not looked into.
    fn accept(
        &mut self,
        speaker: Speaker,
        payload: &[u8],
        held: usize,
        hearing: &mut Hearing<'_>,
    ) -> (usize, u64) {
        if is_before(self.next, speaker.first) {
            let own: usize = self.waiting.iter().map(|each| each.bytes.len()).sum();
            let room = hearing.limits.all.saturating_sub(held) >= payload.len();
            if room && own + payload.len() <= hearing.limits.window && self.waiting.len() < 1024 {
                self.wait(speaker, payload);
                return (held + payload.len(), 0);
            }
            let freed = self.flush(hearing);
            self.skip_to(speaker.first, hearing);
            self.pass(&speaker, payload, hearing);
            return (held - freed.min(held), if room { 0 } else { u64::from(speaker.length) });
        }
        self.pass(&speaker, payload, hearing);
        (held - self.pass_waiting(hearing).min(held), 0)
    }

    fn wait(&mut self, speaker: Speaker, payload: &[u8]) {
        let place =
            self.waiting.partition_point(|each| !is_before(speaker.first, each.speaker.first));
        self.waiting.insert(place, Waiting { speaker, bytes: Box::from(payload) });
    }

    /// Passes on what waited and is in order now; says how many bytes that frees.
    fn pass_waiting(&mut self, hearing: &mut Hearing<'_>) -> usize {
        let mut freed = 0;
        while self.waiting.first().is_some_and(|each| !is_before(self.next, each.speaker.first)) {
            let Waiting { speaker, bytes } = self.waiting.remove(0);
            freed += bytes.len();
            self.pass(&speaker, &bytes, hearing);
        }
        freed
    }

    /// Passes on all that waits, over every hole; says how many bytes that frees.
    fn flush(&mut self, hearing: &mut Hearing<'_>) -> usize {
        let mut freed = 0;
        for Waiting { speaker, bytes } in std::mem::take(&mut self.waiting) {
            freed += bytes.len();
            if is_before(self.next, speaker.first) {
                self.skip_to(speaker.first, hearing);
            }
            self.pass(&speaker, &bytes, hearing);
        }
        freed
    }

    /// Passes on what is new of a segment that begins at or before the place in order.
    fn pass(&mut self, speaker: &Speaker, payload: &[u8], hearing: &mut Hearing<'_>) {
        let known = self.next.wrapping_sub(speaker.first);
        let Some(fresh) = speaker.length.checked_sub(known).filter(|fresh| *fresh > 0) else {
            return;
        };
        let bytes = payload.get(known as usize..).unwrap_or_default();
        self.next = self.next.wrapping_add(fresh);
        let heard = self.listener.hear(bytes, speaker, hearing);
        hearing.show(speaker, self.offset, bytes);
        self.offset += bytes.len() as u64;
        let cut = fresh.saturating_sub(u32::try_from(bytes.len()).unwrap_or(fresh));
        if cut > 0 {
            self.listener.miss(u64::from(cut), hearing);
            self.offset += u64::from(cut);
        }
        if heard == Heard::Enough && (self.offset >= hearing.limits.depth || hearing.is_secret()) {
            hearing.entry.mark(seen::DONE, speaker.from);
        }
    }

    fn skip_to(&mut self, first: u32, hearing: &mut Hearing<'_>) {
        let missing = u64::from(first.wrapping_sub(self.next));
        self.listener.miss(missing, hearing);
        self.offset += missing;
        self.next = first;
    }
}

impl Hearing<'_> {
    /// What is TLS by now is not shown.
    const fn is_secret(&self) -> bool {
        matches!(self.entry.spoken, Spoken::Tls | Spoken::Upgraded)
    }

    fn show(&mut self, speaker: &Speaker, offset: u64, bytes: &[u8]) {
        let wanted = self.limits.depth.saturating_sub(offset);
        let part = bytes.get(..usize::try_from(wanted).unwrap_or(usize::MAX)).unwrap_or(bytes);
        if part.is_empty() || self.is_secret() {
            return;
        }
        let (initiator, _) = self.entry.initiator();
        let Some(inspect) = self.sink.inspect() else { return };
        inspect.part(&Part {
            connection: self.entry.number,
            side: if initiator == speaker.from { Side::Initiator } else { Side::Responder },
            sender: socket(self.entry, speaker.from),
            receiver: socket(self.entry, 1 - speaker.from),
            offset,
            packet: speaker.stamp.number,
            bytes: part,
        });
    }
}

impl Gap {
    /// This and one more hole.
    fn and(self, (from, until): (u32, u32)) -> Self {
        Self { holes: self.holes + 1, bytes: self.bytes + u64::from(until.wrapping_sub(from)) }
    }
}

fn note(found: &mut Found, end: End, lost: Gap) {
    if let Some(gap) = found.gaps.get_mut(end) {
        gap.holes += lost.holes;
        gap.bytes += lost.bytes;
    }
}
