//! Chunks: a byte stream → UTF-8 chunks of whole records.
//!
//! In: any reader of NDJSON or CSV. Out: chunks of a few megabytes that begin and end at a record, in UTF-8. A line
//! longer than the feed allows never fills memory: its head is passed on, so that the decoder can name it, its tail is
//! read and forgotten. Bytes that are no text in the source's encoding become one byte that is not UTF-8, so that the
//! decoder refuses exactly that record.
//! Where a reader fails (a truncated archive) the records before it still come, then the error.

use std::io::{self, Read};

use encoding_rs::{DecoderResult, GB18030, UTF_16BE, UTF_16LE};
use memchr::{memchr, memrchr};

use crate::model::schema::Encoding;

use super::csv;

/// Size of a chunk where nothing else is asked for, in bytes.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Bytes by which [`Encoding::Auto`] decides.
const SNIFF_BYTES: usize = 1 << 16;

/// Bytes asked from the reader at once.
const READ_BYTES: usize = 1 << 17;

/// How a stream is cut.
#[derive(Debug, Clone, Copy)]
pub struct ChunkOptions {
    /// CSV: line ends inside quotes do not end a record.
    pub csv: bool,
    /// How the text is encoded.
    pub encoding: Encoding,
    /// Chunks are about this long, longer only where one record is.
    pub chunk_bytes: usize,
    /// Longest record, in bytes of UTF-8.
    pub record_bytes_max: usize,
    /// Give records as soon as they are complete: for sources that stay open.
    pub eager: bool,
}

/// The chunks of a reader.
pub struct Chunks<R> {
    reader: R,
    options: ChunkOptions,
    text: Transcoder,
    /// UTF-8 that was not given out yet; begins at a record.
    buffer: Vec<u8>,
    /// Where in `buffer` the record begins that was looked at last.
    looked_at: usize,
    delimiter: Option<u8>,
    /// In the tail of a line that is too long.
    skipping: bool,
    ended: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Chunks<R> {
    /// The chunks of `reader`.
    pub fn new(reader: R, options: ChunkOptions) -> Self {
        Self {
            reader,
            options,
            text: Transcoder::new(options.encoding),
            buffer: Vec::new(),
            looked_at: 0,
            delimiter: None,
            skipping: false,
            ended: false,
            failed: None,
        }
    }

    /// Reads once and appends what came as UTF-8.
    fn fill(&mut self) {
        let mut raw = vec![0; READ_BYTES];
        let read = loop {
            match self.reader.read(&mut raw) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(0) => self.ended = true,
            Ok(n) => raw.truncate(n),
            Err(e) => {
                self.failed = Some(e);
                self.ended = true;
            }
        }
        if self.ended {
            raw.clear();
        }
        let sniff = match self.options {
            ChunkOptions { encoding: Encoding::Auto, eager: false, .. } => SNIFF_BYTES,
            // A byte order mark.
            _ => 3,
        };
        if !self.skipping {
            self.text.append(&raw, self.ended, sniff, &mut self.buffer);
            return;
        }
        let mut more = Vec::new();
        self.text.append(&raw, self.ended, sniff, &mut more);
        if let Some(n) = memchr(b'\n', &more) {
            self.buffer.extend_from_slice(&more[n..]);
            self.skipping = false;
        }
    }

    /// Where the last whole record in the buffer ends.
    fn cut(&mut self) -> usize {
        if !self.options.csv {
            let fresh = self.looked_at;
            self.looked_at = self.buffer.len();
            return memrchr(b'\n', &self.buffer[fresh..]).map_or(0, |n| fresh + n + 1);
        }
        let Some(delimiter) = self.delimiter() else { return 0 };
        let mut at = self.looked_at;
        while let csv::Next::Whole(end) | csv::Next::Cut(end) =
            csv::next_record(&self.buffer, at, delimiter, self.options.record_bytes_max, false)
        {
            at = end;
            if at == self.buffer.len() {
                break;
            }
        }
        self.looked_at = at;
        at
    }

    /// The separator, as soon as the first line is there.
    fn delimiter(&mut self) -> Option<u8> {
        if self.delimiter.is_none() {
            // Blank lines before the header are passed over by the decoder, too.
            let blank = self.buffer.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let line = &self.buffer[blank..];
            let end = match memchr(b'\n', line) {
                Some(end) => end,
                None if self.ended || line.len() > self.options.record_bytes_max => line.len(),
                None => return None,
            };
            self.delimiter = Some(csv::delimiter_of(&line[..end]));
        }
        self.delimiter
    }

    /// Takes the first `end` bytes of the buffer.
    fn take(&mut self, end: usize) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.options.chunk_bytes + READ_BYTES);
        rest.extend_from_slice(&self.buffer[end..]);
        let mut chunk = std::mem::replace(&mut self.buffer, rest);
        chunk.truncate(end);
        self.looked_at = self.looked_at.saturating_sub(end);
        chunk
    }

    /// Keeps only the head of an unfinished record that is too long already.
    fn shorten(&mut self) {
        let head = self.options.record_bytes_max + 1;
        if self.buffer.len() > head && memchr(b'\n', &self.buffer).is_none() {
            self.buffer.truncate(head);
            self.looked_at = self.looked_at.min(head);
            self.skipping = true;
        }
    }
}

impl<R: Read> Iterator for Chunks<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.ended {
                if self.buffer.is_empty() {
                    return self.failed.take().map(Err);
                }
                let end = if self.failed.is_some() { self.cut() } else { self.buffer.len() };
                let chunk = self.take(end);
                // What follows the last whole record of a source that failed is not a record.
                self.buffer.clear();
                self.looked_at = 0;
                if chunk.is_empty() {
                    continue;
                }
                return Some(Ok(chunk));
            }
            if self.buffer.len() >= self.options.chunk_bytes
                || (self.options.eager && !self.buffer.is_empty())
            {
                match self.cut() {
                    0 => self.shorten(),
                    end => return Some(Ok(self.take(end))),
                }
            }
            self.fill();
        }
    }
}

/// Bytes of the source's encoding → UTF-8.
enum Transcoder {
    Undecided { encoding: Encoding, head: Vec<u8> },
    Utf8,
    Other(Box<encoding_rs::Decoder>),
}

impl Transcoder {
    fn new(encoding: Encoding) -> Self {
        Self::Undecided { encoding, head: Vec::new() }
    }

    /// Appends `raw` to `out` as UTF-8; `last` says that nothing follows. Decides by the first `sniff` bytes.
    fn append(&mut self, raw: &[u8], last: bool, sniff: usize, out: &mut Vec<u8>) {
        match self {
            Self::Undecided { encoding, head } => {
                head.extend_from_slice(raw);
                if head.len() < sniff && !last {
                    return;
                }
                let (encoding, head) = (*encoding, std::mem::take(head));
                let skip = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
                *self = Self::decide(encoding, &head);
                self.append(&head[skip..], last, sniff, out);
            }
            Self::Utf8 => out.extend_from_slice(raw),
            Self::Other(decoder) => transcode(decoder, raw, last, out),
        }
    }

    fn decide(encoding: Encoding, head: &[u8]) -> Self {
        let other = |e: &'static encoding_rs::Encoding| {
            Self::Other(Box::new(e.new_decoder_with_bom_removal()))
        };
        match encoding {
            Encoding::Utf8 => Self::Utf8,
            Encoding::Gb18030 => other(GB18030),
            Encoding::Auto if head.starts_with(b"\xff\xfe") => other(UTF_16LE),
            Encoding::Auto if head.starts_with(b"\xfe\xff") => other(UTF_16BE),
            Encoding::Auto if mostly_foreign(head) => other(GB18030),
            Encoding::Auto => Self::Utf8,
        }
    }
}

/// Whether more sequences of `head` are not UTF-8 than are characters beyond ASCII: one bad byte in a UTF-8 file does
/// not make it GB18030, and in real GB18030 nearly every character is a bad sequence.
fn mostly_foreign(head: &[u8]) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    for part in head.utf8_chunks() {
        good += part.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!part.invalid().is_empty());
    }
    bad > good
}

fn transcode(decoder: &mut encoding_rs::Decoder, mut raw: &[u8], last: bool, out: &mut Vec<u8>) {
    loop {
        let room =
            decoder.max_utf8_buffer_length_without_replacement(raw.len()).unwrap_or(raw.len() * 4);
        let from = out.len();
        out.resize(from + room, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(raw, &mut out[from..], last);
        out.truncate(from + written);
        raw = &raw[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(0xff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(csv: bool, chunk_bytes: usize, max: usize) -> ChunkOptions {
        ChunkOptions {
            csv,
            encoding: Encoding::Auto,
            chunk_bytes,
            record_bytes_max: max,
            eager: false,
        }
    }

    fn chunks(bytes: &[u8], options: ChunkOptions) -> Vec<String> {
        let text = |c: io::Result<Vec<u8>>| String::from_utf8_lossy(&c.unwrap()).into_owned();
        Chunks::new(bytes, options).map(text).collect()
    }

    /// A reader that gives a few bytes at a time and then fails, if told to.
    struct Drip<'a>(&'a [u8], usize, bool);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() && self.2 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn cuts_at_record_ends() {
        for (csv, bytes, expect) in [
            (false, "a\nbb\nccc\n", vec!["a\nbb\nccc\n"]),
            (false, "a\nbb\nccc", vec!["a\nbb\nccc"]),
            (false, "", vec![]),
            (true, "h\n\"x\ny\"\nz", vec!["h\n\"x\ny\"\nz"]),
        ] {
            assert_eq!(chunks(bytes.as_bytes(), options(csv, 100, 50)), expect);
        }
    }

    #[test]
    fn small_chunks_end_at_records() {
        let bytes = "h,i\n1,\"a\nb\"\n2,c\n3,\"d\"\"\ne\"\n";
        let drip = Drip(bytes.as_bytes(), 3, false);
        let options = ChunkOptions { encoding: Encoding::Utf8, ..options(true, 4, 50) };
        let found: Vec<String> =
            Chunks::new(drip, options).map(|c| String::from_utf8(c.unwrap()).unwrap()).collect();
        assert_eq!(found, ["h,i\n", "1,\"a\nb\"\n", "2,c\n", "3,\"d\"\"\ne\"\n"]);
    }

    #[test]
    fn endless_lines_do_not_fill_memory() {
        let long = "x".repeat(10_000_000);
        for csv in [false, true] {
            let bytes = format!("a\n{long}\nb\n{long}");
            let found = chunks(bytes.as_bytes(), options(csv, 1_000, 50)).concat();
            assert_eq!(found, format!("a\n{0}\nb\n{0}", "x".repeat(51)));
        }
    }

    #[test]
    fn encodings() {
        let text = "编号,名称\n1,长沙市\u{3400}\n";
        let (gb, _, _) = GB18030.encode(text);
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        for bytes in [text.as_bytes(), format!("\u{feff}{text}").as_bytes(), &gb, &utf16] {
            for step in [1, 7, 1_000] {
                let drip = Drip(bytes, step, false);
                let found: Vec<u8> =
                    Chunks::new(drip, options(true, 8, 100)).flat_map(Result::unwrap).collect();
                assert_eq!(String::from_utf8(found).unwrap(), text, "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn a_bad_byte_spoils_its_record_only() {
        let (gb, _, _) = GB18030.encode("长沙\n株洲\n湘潭\n");
        let mut gb = gb.into_owned();
        gb[5] = 0xff;
        let found: Vec<u8> =
            Chunks::new(&gb[..], options(false, 100, 100)).flat_map(Result::unwrap).collect();
        let lines: Vec<_> =
            found.split(|b| *b == b'\n').map(|l| std::str::from_utf8(l).ok()).collect();
        assert_eq!(lines, [Some("长沙"), None, Some("湘潭"), Some("")]);
        let one_bad = b"\xe9\x95\xbf\xff\xe6\xb2\x99\n";
        let found: Vec<u8> =
            Chunks::new(&one_bad[..], options(false, 100, 100)).flat_map(Result::unwrap).collect();
        assert_eq!(found, one_bad);
    }

    #[test]
    fn a_failing_reader_gives_its_whole_records_first() {
        let mut found = Chunks::new(Drip(b"a\nb\nhalf", 3, true), options(false, 100, 100));
        assert_eq!(found.next().unwrap().unwrap(), b"a\nb\n");
        assert_eq!(found.next().unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(found.next().is_none());
    }

    #[test]
    fn eager_chunks_do_not_wait() {
        let options = ChunkOptions { eager: true, ..options(false, 1 << 20, 100) };
        let found: Vec<_> =
            Chunks::new(Drip(b"a\nb\nc\n", 2, false), options).map(Result::unwrap).collect();
        assert_eq!(found, [&b"a\nb\n"[..], b"c\n"]);
    }
}
