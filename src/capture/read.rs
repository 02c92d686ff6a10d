//! The way in: opens the inputs, and reads them packet by packet in the order of time.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::decode::{Decoder, Stamp};
use super::file::{self, Meter, Recording};
use super::table::Table;
use super::{Bounds, Coverage, FileCoverage, FileFault, Sink};
use crate::flow::Timestamp;

/// Where a capture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

/// An input that cannot be opened at all.
#[derive(Debug)]
pub struct ReadError {
    /// The input, as named by the caller.
    pub file: String,
    /// What the system said.
    pub error: io::Error,
}

/// Reads all inputs as one recording, in order of time where they overlap, and hands every connection to `sink`.
/// Damage inside a file is no error: it is counted in the coverage.
///
/// # Errors
/// [`ReadError`] where an input cannot be opened; nothing was read then.
pub fn read(inputs: &[Input], bounds: &Bounds, sink: &mut dyn Sink) -> Result<Coverage, ReadError> {
    let meter = Meter::default();
    let names = inputs.iter().map(|input| Arc::from(input.to_string())).collect();
    let set = Set::open(inputs, *bounds, &meter)?;
    Ok(drive(set, Table::new(names, bounds, sink)))
}

/// Reads one capture that is in memory already, under a name of the caller's.
pub fn read_bytes(name: &str, bytes: Vec<u8>, bounds: &Bounds, sink: &mut dyn Sink) -> Coverage {
    let opened = file::expand(io::Cursor::new(bytes), bounds.expanded);
    let mut set = Set::empty(*bounds, &Meter::default());
    set.sort_in(0, Recording::open(name, opened, bounds), true);
    drive(set, Table::new(vec![Arc::from(name)], bounds, sink))
}

/// Reads packet by packet, always from the recording that stands on the earliest.
fn drive(mut set: Set, mut table: Table<'_>) -> Coverage {
    let mut decoder = Decoder::new(&set.bounds);
    let meter = Rc::clone(&set.meter);
    let mut packets = 0;
    while let Some((recording, file, until)) = set.next() {
        while recording.at().is_some_and(|at| at <= until) {
            let Some(record) = recording.record() else { break };
            let stamp = Stamp { at: record.at, number: recording.number(), file };
            decoder.packet(stamp, (record.link, record.cut), record.bytes, &mut table);
            recording.advance();
            packets += 1;
            if packets % PROGRESS == 0 {
                table.progress(meter.get(), packets);
            }
        }
    }
    decoder.finish(&mut table);
    table.progress(meter.get(), packets);
    table.finish(set.into_coverage())
}

/// Packets between two reports of progress.
const PROGRESS: u64 = 1 << 14;

/// The inputs in the order of their first packets; a file is open only while its time lasts.
struct Set {
    inputs: Vec<Input>,
    bounds: Bounds,
    meter: Meter,
    /// Not begun: time of the first packet, which input; the earliest last.
    waiting: Vec<(Timestamp, u32)>,
    open: Vec<(u32, Recording)>,
    ended: Vec<(u32, FileCoverage)>,
}

impl Set {
    fn empty(bounds: Bounds, meter: &Meter) -> Self {
        Self {
            inputs: Vec::new(),
            bounds,
            meter: Rc::clone(meter),
            waiting: Vec::new(),
            open: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Looks for the first packet of every input. One input is left open, several are opened again in their turn.
    fn open(inputs: &[Input], bounds: Bounds, meter: &Meter) -> Result<Self, ReadError> {
        let mut set = Self { inputs: inputs.to_vec(), ..Self::empty(bounds, meter) };
        for (file, input) in (0..).zip(inputs) {
            let aside = Meter::default();
            let keep = inputs.len() == 1 || *input == Input::Stdin;
            let recording = set.recording(input, if keep { meter } else { &aside })?;
            set.sort_in(file, recording, keep);
        }
        set.waiting.sort_by_key(|(at, file)| std::cmp::Reverse((*at, *file)));
        Ok(set)
    }

    /// Keeps a recording open, or remembers when it begins.
    fn sort_in(&mut self, file: u32, recording: Recording, keep: bool) {
        match recording.at() {
            None => self.ended.push((file, recording.into_coverage())),
            Some(_) if keep => self.open.push((file, recording)),
            Some(at) => self.waiting.push((at, file)),
        }
    }

    fn recording(&self, input: &Input, meter: &Meter) -> Result<Recording, ReadError> {
        let path = match input {
            Input::Path(path) => Some(path.as_path()),
            Input::Stdin => None,
        };
        let name = input.to_string();
        let opened = file::open(path, meter, self.bounds.expanded)
            .map_err(|error| ReadError { file: name.clone(), error })?;
        Ok(Recording::open(&name, opened, &self.bounds))
    }

    /// The recording that stands on the earliest packet, and until when it may be read on.
    fn next(&mut self) -> Option<(&mut Recording, u32, Timestamp)> {
        self.close_ended();
        self.begin_due();
        let earliest = self.open.iter().enumerate().min_by_key(|(_, (_, each))| each.at())?.0;
        let others = self.open.iter().enumerate().filter(|(place, _)| *place != earliest);
        let next_open = others.filter_map(|(_, (_, each))| each.at()).min();
        let next_waiting = self.waiting.last().map(|(at, _)| *at).filter(|_| self.has_room());
        let until = next_open.into_iter().chain(next_waiting).min().unwrap_or(Timestamp::MAX);
        let (file, recording) = self.open.get_mut(earliest)?;
        // A file left waiting for room may be earlier than what is open; the earliest open packet is read all the same.
        let until = recording.at().map_or(until, |at| until.max(at));
        Some((recording, *file, until))
    }

    fn has_room(&self) -> bool {
        self.open.len() < self.bounds.files.max(1)
    }

    fn close_ended(&mut self) {
        while let Some(place) = self.open.iter().position(|(_, each)| each.at().is_none()) {
            let (file, recording) = self.open.swap_remove(place);
            self.ended.push((file, recording.into_coverage()));
        }
    }

    /// Opens the files whose first packet is not later than what is at hand.
    fn begin_due(&mut self) {
        while self.has_room() {
            let now = self.open.iter().filter_map(|(_, each)| each.at()).min();
            let Some((_, file)) = self.waiting.pop_if(|(at, _)| now.is_none_or(|now| *at <= now))
            else {
                return;
            };
            let Some(input) = self.inputs.get(file as usize) else { return };
            match self.recording(input, &self.meter) {
                Ok(recording) => self.open.push((file, recording)),
                Err(gone) => self.ended.push((file, FileCoverage::gone(&gone))),
            }
        }
    }

    /// What the files themselves know, in the order of the inputs.
    fn into_coverage(mut self) -> Vec<(u32, FileCoverage)> {
        self.close_ended();
        self.ended.sort_by_key(|(file, _)| *file);
        self.ended
    }
}

impl FileCoverage {
    /// Of a file that was there when the reading began and is not any more.
    fn gone(error: &ReadError) -> Self {
        let mut coverage = Self::new(Arc::from(error.file.as_str()));
        coverage.fault = Some(FileFault::Io(error.error.kind()));
        coverage
    }
}

impl Input {
    /// From a word of the command line: `-` is standard input.
    pub fn new(word: &str) -> Self {
        if word == "-" { Self::Stdin } else { Self::Path(PathBuf::from(word)) }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open `{}`: {}", self.file, self.error)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
