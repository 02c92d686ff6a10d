//! Opening: gzip and zstd are known by their content, never by the name of the file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How many bytes were taken from an input, as stored.
pub(in crate::capture) type Meter = Rc<Cell<u64>>;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The window of `zstd -19 --long=27`; a file that asks for more is refused before memory is taken.
const ZSTD_WINDOW: u64 = 128 << 20;

/// An opened input.
pub(in crate::capture) struct Opened {
    /// The capture's own bytes.
    pub(in crate::capture) bytes: Box<dyn Read>,
    /// Whether they come out of gzip or zstd.
    pub(in crate::capture) compressed: bool,
}

/// Opens a file, or standard input without a path. What it expands to is limited to `expanded` bytes.
pub(in crate::capture) fn open(
    path: Option<&Path>,
    meter: &Meter,
    expanded: u64,
) -> io::Result<Opened> {
    let source: Box<dyn Read> = match path {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin()),
    };
    Ok(expand(Metered { source, meter: Rc::clone(meter) }, expanded))
}

/// Expands what is compressed. An input that fails at once does so again where it is read.
pub(in crate::capture) fn expand(mut source: impl Read + 'static, expanded: u64) -> Opened {
    let mut head = Vec::with_capacity(ZSTD.len());
    let failed = source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head).err();
    let start = head.clone();
    let whole = Cursor::new(head).chain(source);
    if let Some(error) = failed {
        return Opened { bytes: Box::new(Failed(error.kind())), compressed: false };
    }
    if start.starts_with(&GZIP) {
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole));
        return Opened {
            bytes: Box::new(Limited { source: decoder, left: expanded }),
            compressed: true,
        };
    }
    if start == ZSTD || is_skippable(&start) {
        let decoder = Zstd::new(BufReader::with_capacity(1 << 16, whole));
        return Opened {
            bytes: Box::new(Limited { source: decoder, left: expanded }),
            compressed: true,
        };
    }
    Opened { bytes: Box::new(whole), compressed: false }
}

/// A zstd frame without data (RFC 8878 §3.1.2), which parallel compressors put first.
fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

struct Failed(ErrorKind);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

struct Metered {
    source: Box<dyn Read>,
    meter: Meter,
}

impl Read for Metered {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(room)?;
        self.meter.set(self.meter.get() + count as u64);
        Ok(count)
    }
}

/// Fails with [`ErrorKind::FileTooLarge`] where more than `left` bytes come out.
struct Limited<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(room)?;
        self.left = self.left.checked_sub(count as u64).ok_or(ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}

/// The frames of a zstd file, one behind the other.
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    begun: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self { source, decoder, begun: false }
    }

    /// Goes on to the next frame with data; false at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
            }
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        self.decoder
            .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
            .map(drop)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.begun && self.decoder.can_collect() > 0 {
                return self.decoder.read(room);
            }
            if self.begun && !self.decoder.is_finished() {
                self.decode()?;
            } else if self.next_frame()? {
                self.begun = true;
            } else {
                return Ok(0);
            }
        }
    }
}
