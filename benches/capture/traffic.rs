//! The files that are measured: made of plain TCP over IPv4, or gathered from captures that are there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Full segments on 100 connections.
    Bulk,
    /// Seven small, four middling and one full packet in turn (the usual internet mix), on 10 000 connections.
    Mixed,
    /// Packets without payload, on 100 000 connections.
    Small,
    /// A million connections that are open at once: SYN, its answer, and an acknowledgement each.
    Million,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Mixed => "mixed",
            Self::Small => "small",
            Self::Million => "million",
        }
    }

    const fn connections(self) -> u32 {
        match self {
            Self::Bulk => 100,
            Self::Mixed => 10_000,
            Self::Small => 100_000,
            Self::Million => 1_000_000,
        }
    }

    /// Payload bytes of the packets, in turn.
    const fn sizes(self) -> &'static [u16] {
        match self {
            Self::Bulk => &[1446],
            Self::Mixed => &[0, 0, 0, 0, 0, 0, 0, 536, 536, 536, 536, 1446],
            Self::Small | Self::Million => &[0],
        }
    }
}

/// Writes a classic file of about `size` bytes.
pub(crate) fn make(kind: Kind, file: &Path, size: u64) -> io::Result<()> {
    let mut out = Out::new(file)?;
    let count = kind.connections();
    for step in 0..3 {
        for connection in 0..count {
            out.opening(connection, step)?;
        }
    }
    if kind == Kind::Million {
        return out.file.flush();
    }
    let mut sent = vec![1_u32; count as usize];
    for (turn, length) in (0_u32..).zip(kind.sizes().iter().cycle()) {
        if out.written >= size {
            break;
        }
        // Large strides, so that neighbours in the file are no neighbours in the table.
        let connection = turn.wrapping_mul(7919) % count;
        if let Some(sequence) = sent.get_mut(connection as usize) {
            out.segment(connection, 0, (*sequence, 1), (0x10, *length))?;
            *sequence = sequence.wrapping_add(u32::from(*length));
        }
    }
    out.file.flush()
}

/// Writes the packets of all classic Ethernet captures of a directory again and again, up to `size` bytes.
pub(crate) fn gather(from: &Path, file: &Path, size: u64) -> io::Result<()> {
    let mut records = Vec::new();
    for path in files(from)? {
        let bytes = fs::read(&path)?;
        // Little-endian, microseconds, Ethernet.
        if bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) && bytes.get(20..24) == Some(&[1, 0, 0, 0])
        {
            take_records(bytes.get(24..).unwrap_or_default(), &mut records);
        }
    }
    let mut out = Out::new(file)?;
    for (lengths, frame) in records.iter().cycle() {
        if out.written >= size {
            break;
        }
        out.record(lengths.1, frame)?;
    }
    out.file.flush()
}

type Record = ((u32, u32), Vec<u8>);

fn take_records(mut bytes: &[u8], records: &mut Vec<Record>) {
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let four = |at: usize| {
            head.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
        };
        let Some((frame, behind)) = rest.split_at_checked(four(8) as usize) else { return };
        records.push(((four(8), four(12)), frame.to_vec()));
        bytes = behind;
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

struct Out {
    file: BufWriter<File>,
    written: u64,
    micros: u64,
}

impl Out {
    fn new(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let head: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1];
        file.write_all(&head.map(u32::to_le_bytes).concat())?;
        Ok(Self { file, written: 24, micros: 0 })
    }

    fn record(&mut self, original: u32, frame: &[u8]) -> io::Result<()> {
        let (second, micro) = (1_795_305_600 + self.micros / 1_000_000, self.micros % 1_000_000);
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let time = [second, micro].map(|number| u32::try_from(number).unwrap_or(0));
        self.file
            .write_all(&[time[0], time[1], length, original].map(u32::to_le_bytes).concat())?;
        self.file.write_all(frame)?;
        self.written += 16 + u64::from(length);
        self.micros += 1;
        Ok(())
    }

    /// The three packets that open a connection.
    fn opening(&mut self, connection: u32, step: u8) -> io::Result<()> {
        match step {
            0 => self.segment(connection, 0, (0, 0), (0x02, 0)),
            1 => self.segment(connection, 1, (0, 1), (0x12, 0)),
            _ => self.segment(connection, 0, (1, 1), (0x10, 0)),
        }
    }

    fn segment(
        &mut self,
        connection: u32,
        end: u8,
        numbers: (u32, u32),
        (flags, payload): (u8, u16),
    ) -> io::Result<()> {
        let client = [
            10,
            (connection >> 16 & 0xff) as u8,
            (connection >> 8 & 0xff) as u8,
            (connection & 0xff) as u8,
        ];
        let server = [192, 0, 2, 1];
        let (from, to) = if end == 0 { (client, server) } else { (server, client) };
        let ports: [u16; 2] = if end == 0 { [50_000, 443] } else { [443, 50_000] };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((payload + 40).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([from, to].concat());
        frame.extend(ports.map(u16::to_be_bytes).concat());
        frame.extend([numbers.0, numbers.1].map(u32::to_be_bytes).concat());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        // What a record of encrypted data looks like from outside.
        frame.resize(frame.len() + usize::from(payload), 0x5a);
        self.record(u32::try_from(frame.len()).unwrap_or(0), &frame)
    }
}
