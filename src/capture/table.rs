//! The table of connections: which datagram belongs to which, who began, and when one is over.
//!
//! A connection is known by its two sockets and protocol. Tags and tunnels do not tell connections apart: the two
//! directions of one often differ in them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::decode::{Datagram, Outcome, Receive, Segment, Stack, Stamp};
use super::entry::{End, Entry, Key, NONE, Slab, Spoken, seen};
use super::sink::Sink;
use super::talk::{Speaker, Talks, begins_tls, quic_version};
use super::tally::{Layers, Tally};
use super::{Bounds, Coverage, FileCoverage, describe};

/// Distances between sequence numbers beyond this are not one stream (RFC 7323 §2.3: windows end at 2^30).
const WINDOW_MAX: u32 = 1 << 30;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Every open connection, and who is told of the finished ones.
pub(super) struct Table<'s> {
    sink: &'s mut dyn Sink,
    limit: usize,
    seed: [u64; 2],
    index: HashTable<u32>,
    slab: Slab,
    /// The place of the last datagram: the next one is often of the same connection.
    recent: u32,
    /// Where the search for connections that are over goes on.
    cursor: u32,
    number: u64,
    talks: Talks,
    layers: Layers,
    files: Vec<Tally>,
    coverage: Coverage,
}

impl Receive for Table<'_> {
    #[inline]
    fn datagram(&mut self, datagram: &Datagram<'_>, stack: &Stack, stamp: Stamp) {
        let (key, from) = Key::new(datagram);
        let place = self.place((key, from), datagram, stack, stamp);
        let Some(entry) = self.slab.get_mut(place) else { return };
        entry.packets += 1;
        entry.ended = entry.ended.max(stamp.at);
        entry.mark(seen::PACKET, from);
        if datagram.carrier {
            entry.seen |= seen::CARRIER;
        }
        match datagram.segment {
            Some(segment) => self.segment(place, from, (datagram, segment), stamp),
            None => plain(entry, from, datagram),
        }
    }

    #[inline]
    fn outcome(&mut self, file: u32, outcome: Outcome) {
        let Some(tally) = self.files.get_mut(file as usize) else { return };
        tally.add(outcome);
    }
}

impl<'s> Table<'s> {
    pub(super) fn new(names: Vec<Arc<str>>, bounds: &Bounds, sink: &'s mut dyn Sink) -> Self {
        let random = RandomState::new();
        let depth = sink.inspect().map_or(0, |inspect| inspect.depth());
        Self {
            sink,
            limit: bounds.connections.max(1),
            seed: [random.hash_one(0_u8), random.hash_one(1_u8)],
            index: HashTable::new(),
            slab: Slab::default(),
            recent: NONE,
            cursor: 0,
            number: 0,
            talks: Talks::new(bounds, depth),
            layers: Layers::default(),
            files: names.into_iter().map(Tally::new).collect(),
            coverage: Coverage::default(),
        }
    }

    /// Tells the sink how far the reading is.
    pub(super) fn progress(&mut self, bytes: u64, packets: u64) {
        self.sink.progress(bytes, packets);
    }

    /// Hands every open connection on, and says what was covered. `read` is what the files themselves know.
    pub(super) fn finish(mut self, read: Vec<(u32, FileCoverage)>) -> Coverage {
        for place in 0..self.slab.used() {
            self.hand_on(place, false);
        }
        self.coverage.skipped_bytes = self.talks.skipped();
        for (file, coverage) in read {
            if let Some(tally) = self.files.get_mut(file as usize) {
                self.coverage.files.push(tally.covered(coverage));
            }
        }
        self.coverage
    }

    /// The entry of a datagram, a new one where it begins a connection.
    #[inline]
    fn place(
        &mut self,
        (key, from): (Key, End),
        datagram: &Datagram<'_>,
        stack: &Stack,
        stamp: Stamp,
    ) -> u32 {
        let recent = self.recent;
        let same =
            self.slab.get(recent).is_some_and(|entry| entry.key == key && !entry.is_vacant());
        let found = if same { Some(recent) } else { self.find(&key) };
        if let Some(place) = found {
            let current = self
                .slab
                .get(place)
                .is_some_and(|entry| !begins_anew(entry, from, datagram, stamp));
            if current {
                self.recent = place;
                return place;
            }
            self.hand_on(place, false);
        }
        self.recent = self.begin(key, from, stack, stamp);
        self.recent
    }

    fn find(&self, key: &Key) -> Option<u32> {
        let hash = key.hash(self.seed);
        self.index
            .find(hash, |place| self.slab.get(*place).is_some_and(|entry| entry.key == *key))
            .copied()
    }

    fn begin(&mut self, key: Key, from: End, stack: &Stack, stamp: Stamp) -> u32 {
        self.sweep(stamp);
        if self.index.len() >= self.limit {
            self.make_room(stamp);
        }
        let layers = self.layers.place(stack);
        let place = self.slab.insert(Entry::new(key, self.number, from, stamp, layers));
        self.number += 1;
        let (slab, seed) = (&self.slab, self.seed);
        self.index.insert_unique(key.hash(seed), place, |place| {
            slab.get(*place).map_or(0, |entry| entry.key.hash(seed))
        });
        place
    }

    /// Looks at two places for each new connection, so that what is over goes as fast as new ones come.
    fn sweep(&mut self, stamp: Stamp) {
        for _ in 0..2 {
            let place = self.step();
            let over = self
                .slab
                .get(place)
                .is_some_and(|entry| !entry.is_vacant() && entry.is_over(stamp.at));
            if over {
                self.hand_on(place, false);
            }
        }
    }

    fn step(&mut self) -> u32 {
        self.cursor = if self.cursor + 1 < self.slab.used() { self.cursor + 1 } else { 0 };
        self.cursor
    }

    /// Hands on the connection that is silent for longest among some.
    #[cold]
    fn make_room(&mut self, stamp: Stamp) {
        let mut oldest = None;
        for _ in 0..64 {
            let place = self.step();
            let ended =
                self.slab.get(place).filter(|entry| !entry.is_vacant()).map(|entry| entry.ended);
            if ended.is_some_and(|ended| oldest.is_none_or(|(_, least)| ended < least)) {
                oldest = ended.map(|ended| (place, ended));
            }
        }
        // Vacant places are few in a full table; should only such have been met, the place used last is taken.
        let place = oldest.map_or(self.recent, |(place, _)| place);
        let over = self.slab.get(place).is_some_and(|entry| entry.is_over(stamp.at));
        self.hand_on(place, !over);
    }

    /// Takes a connection out of the table and tells the sink.
    fn hand_on(&mut self, place: u32, cut_short: bool) {
        let Some(mut entry) = self.slab.remove(place) else { return };
        let (slab, hash) = (&self.slab, entry.key.hash(self.seed));
        // Its place is vacant by now, so it is known by the place itself.
        debug_assert!(slab.get(place).is_some_and(Entry::is_vacant), "it was just removed");
        if let Ok(found) = self.index.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        let found = self.talks.end(&mut entry, self.sink);
        let file = self.files.get(entry.file as usize).map(|tally| Arc::clone(&tally.name));
        let mut connection = describe::connection(
            &entry,
            file.unwrap_or_default(),
            self.layers.text(entry.layers),
            found,
        );
        connection.cut_short = cut_short;
        self.coverage.connections += 1;
        self.coverage.cut_short += u64::from(cut_short);
        let gaps = [connection.gap_to_responder, connection.gap_to_initiator];
        self.coverage.gaps += gaps.iter().map(|gap| gap.holes).sum::<u64>();
        self.coverage.gap_bytes += gaps.iter().map(|gap| gap.bytes).sum::<u64>();
        self.sink.connection(connection);
    }

    /// One TCP segment.
    fn segment(
        &mut self,
        place: u32,
        from: End,
        (datagram, segment): (&Datagram<'_>, Segment),
        stamp: Stamp,
    ) {
        let Some(entry) = self.slab.get_mut(place) else { return };
        let opening = segment.flags & SYN != 0;
        let first = segment.sequence.wrapping_add(u32::from(opening));
        note_flags(entry, from, segment.flags);
        if segment.flags & RST != 0 {
            return;
        }
        if opening || !entry.has(seen::STARTED, from) {
            start(entry, from, first, opening);
        }
        let acknowledges = segment.flags & ACK != 0;
        let missed = acknowledges.then(|| missed(entry, 1 - from, segment.acknowledged)).flatten();
        if let Some(acknowledged) = missed {
            self.talks.hole(entry, 1 - from, acknowledged);
        }
        if datagram.length > 0 {
            let speaker = Speaker { from, stamp, first, length: datagram.length };
            data(entry, &mut self.talks, speaker, datagram.payload, self.sink);
        }
        if segment.flags & FIN != 0 {
            finish(entry, &mut self.talks, from, first.wrapping_add(datagram.length));
        }
    }
}

/// Whether a datagram with these sockets belongs to another connection than the one known.
#[inline]
fn begins_anew(entry: &Entry, from: End, datagram: &Datagram<'_>, stamp: Stamp) -> bool {
    let Some(segment) = datagram.segment else { return entry.is_over(stamp.at) };
    if segment.flags & (SYN | ACK | RST) != SYN {
        return false;
    }
    let ended = entry.both(seen::FIN) || entry.any(seen::RST);
    let again = entry.next.get(from) == Some(&segment.sequence.wrapping_add(1));
    let untouched = entry.bytes == [0, 0] && entry.has(seen::SYN, from);
    // A SYN that is merely repeated is no beginning; a late copy of one comes soon.
    ended || (!again && (untouched || !entry.has(seen::SYN, from) || entry.is_idle(stamp.at)))
}

/// A datagram of a protocol without streams.
fn plain(entry: &mut Entry, from: End, datagram: &Datagram<'_>) {
    if let Some(bytes) = entry.bytes.get_mut(from) {
        *bytes = bytes.saturating_add(u64::from(datagram.length));
    }
    if entry.spoken != Spoken::Silent || datagram.length == 0 {
        return;
    }
    // A time server answers from the port it is asked at; its packets say which they are (RFC 5905 §7.3).
    if let (17, [123, 123], Some(mode)) =
        (datagram.protocol, datagram.ports, datagram.payload.first())
    {
        entry.mark(seen::CLIENT, if mode & 7 == 4 { 1 - from } else { from });
    }
    entry.spoken = if datagram.protocol == 17 { Spoken::Other } else { Spoken::Unknown };
    if let Some(version) = quic_version(datagram.payload).filter(|_| datagram.protocol == 17) {
        entry.spoken = Spoken::Quic;
        entry.next = [version, 0];
    }
}

#[inline]
fn note_flags(entry: &mut Entry, from: End, flags: u8) {
    match flags & (SYN | ACK) {
        SYN => entry.mark(seen::SYN, from),
        both if both == SYN | ACK => entry.mark(seen::SYN_ACK, from),
        _ => {}
    }
    if flags & RST != 0 {
        entry.mark(seen::RST, from);
    }
    if flags & FIN != 0 {
        entry.mark(seen::FIN, from);
    }
}

/// The first segment of an end tells where its sequence numbers stand.
fn start(entry: &mut Entry, from: End, first: u32, opening: bool) {
    if entry.has(seen::STARTED, from) {
        return;
    }
    entry.mark(seen::STARTED, from);
    if !opening {
        entry.mark(seen::MIDDLE, from);
    }
    if let Some(next) = entry.next.get_mut(from) {
        *next = first;
    }
}

/// The acknowledged sequence number, where it is beyond everything that was captured of that end.
#[inline]
fn missed(entry: &Entry, end: End, acknowledged: u32) -> Option<u32> {
    let next = *entry.next.get(end)?;
    let ahead = acknowledged.wrapping_sub(next);
    (entry.has(seen::STARTED, end) && ahead != 0 && ahead < WINDOW_MAX).then_some(acknowledged)
}

/// Payload of a segment: counted once, looked at while that tells something.
#[inline]
fn data(
    entry: &mut Entry,
    talks: &mut Talks,
    speaker: Speaker,
    payload: &[u8],
    sink: &mut dyn Sink,
) {
    let from = speaker.from;
    if entry.has(seen::DONE, from) && entry.spoken != Spoken::Tls && begins_tls(payload) {
        talks.upgrade(entry, speaker);
    }
    let next = entry.next.get(from).copied().unwrap_or(0);
    let in_order = speaker.first == next;
    if !in_order || entry.talk != NONE || !entry.has(seen::DONE, from) {
        return talks.take(entry, speaker, payload, sink);
    }
    // The way of almost every segment: in order, on a connection that has told all it can.
    if let (Some(next), Some(bytes)) = (entry.next.get_mut(from), entry.bytes.get_mut(from)) {
        *next = next.wrapping_add(speaker.length);
        *bytes += u64::from(speaker.length);
    }
}

/// FIN takes a sequence number; what lies before it and was not seen is missing.
fn finish(entry: &mut Entry, talks: &mut Talks, from: End, at: u32) {
    if missed(entry, from, at).is_some() {
        talks.hole(entry, from, at);
    }
    if let Some(next) = entry.next.get_mut(from).filter(|next| **next == at) {
        *next = next.wrapping_add(1);
    }
}
