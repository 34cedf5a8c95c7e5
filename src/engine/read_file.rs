//! Read file: one watched file, decoded piece by piece as it grows.
//!
//! In: what [`Watch`](crate::source::file::Watch) says of the file. Out: decoded batches, each with the position behind it.
//! Text files are taken up to their last whole record, which may be continued later; a last line without an end is taken
//! once the file has settled. Compressed and columnar files are read when they have settled, as a whole.
//! Promise: from a stored position on, exactly the rest follows, with the line numbers of the file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    decode::{
        Compression, Decoder, Format, Input, OpenOptions, Stream,
        chunk::{ChunkOptions, Chunks},
        open,
    },
    model::batch::Decoded,
    source::file::{FileId, Position, Ready, slice},
};

/// Bytes read of a text file at once.
const SLICE_BYTES: u64 = 4 << 20;
/// A line without an end in so many bytes is taken as it is, and will be a dead letter.
const SLICE_BYTES_MAX: u64 = 64 << 20;

/// A piece of a file.
#[derive(Debug)]
pub struct Piece {
    /// Its rows and dead letters, with the line numbers of the file.
    pub decoded: Vec<Decoded>,
    /// Where the file goes on.
    pub position: Position,
}

/// A file in the middle of being read.
pub struct ReadFile {
    path: PathBuf,
    options: OpenOptions,
    position: Position,
    state: State,
}

enum State {
    /// Nothing is open.
    Start,
    Text(Box<Text>),
    Whole(Box<Stream>),
}

/// A text file that may grow.
struct Text {
    decoder: Decoder,
    /// Header line of a CSV file as it is in the file, and in UTF-8.
    header: (Vec<u8>, Vec<u8>),
    /// What the decoder's line numbers lack after going on from a position.
    lines_before: u64,
}

impl ReadFile {
    /// The file at `path` from `position` on; `None` where its ending names no format.
    #[must_use]
    pub fn new(
        path: &Path,
        options: impl FnOnce(Format) -> OpenOptions,
        position: Position,
    ) -> Option<Self> {
        let options = options(Format::of_path(path)?);
        let options = OpenOptions { compression: Compression::of_path(path), ..options };
        Some(Self { path: path.to_owned(), options, position, state: State::Start })
    }

    /// How far it was taken.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The next piece; `None` when there is nothing more for now.
    ///
    /// # Errors
    /// When the file cannot be read, or is not of its format; what came before stands.
    pub fn next(&mut self, ready: &Ready) -> io::Result<Option<Piece>> {
        if self.position.is_of_another(ready.id) {
            tracing::warn!(path = %self.path.display(), "file was replaced or cut, reading it from its start");
            (self.position, self.state) = (Position::default(), State::Start);
        }
        let whole = self.options.compression != Compression::None || !self.options.format.is_text();
        if whole || self.is_utf16()? { self.next_whole(ready) } else { self.next_text(ready) }
    }

    /// UTF-16 cannot be gone on with in the middle: its byte order stands at the start.
    fn is_utf16(&self) -> io::Result<bool> {
        let head = slice(&self.path, 0, 2)?;
        Ok(head == [0xff, 0xfe] || head == [0xfe, 0xff])
    }

    fn next_whole(&mut self, ready: &Ready) -> io::Result<Option<Piece>> {
        if self.position.done || !ready.settled {
            return Ok(None);
        }
        if !matches!(self.state, State::Whole(_)) {
            let stream = open(Input::File(File::open(&self.path)?), &self.options)?;
            self.state = State::Whole(Box::new(stream));
        }
        let State::Whole(stream) = &mut self.state else { return Ok(None) };
        let before = self.position.lines;
        self.position.file = ready.id;
        match stream.next() {
            None => {
                (self.position.done, self.state) = (true, State::Start);
                Ok(Some(Piece { decoded: Vec::new(), position: self.position.clone() }))
            }
            Some(Err(error)) => {
                self.state = State::Start;
                Err(error)
            }
            Some(Ok(decoded)) => {
                let decoded = behind(decoded, before);
                let last = decoded.lines.iter().chain(decoded.dead.iter().map(|d| &d.line)).max();
                self.position.lines = last.copied().unwrap_or(before);
                Ok(Some(Piece { decoded: vec![decoded], position: self.position.clone() }))
            }
        }
    }

    fn next_text(&mut self, ready: &Ready) -> io::Result<Option<Piece>> {
        if !matches!(self.state, State::Text(_)) {
            let Some(text) = self.start_text(ready)? else { return Ok(None) };
            self.state = State::Text(Box::new(text));
        }
        let (raw, at_end) = self.unread(ready.id)?;
        let State::Text(text) = &mut self.state else { return Ok(None) };
        // Whole: the last line is complete although nothing ends it.
        let whole = (at_end && ready.settled) || raw.len() as u64 >= SLICE_BYTES_MAX;
        let mut decoded = Vec::new();
        let mut ends = 0;
        for chunk in utf8(&text.header, &raw, &self.options, whole) {
            ends += memchr::memchr_iter(b'\n', &chunk).count();
            decoded.push(shifted(text.decoder.decode(chunk), text.lines_before));
        }
        let taken = match memchr::memchr_iter(b'\n', &raw).nth(ends.wrapping_sub(1)) {
            _ if whole => raw.len(),
            Some(end) => end + 1,
            None => 0,
        };
        if taken == 0 {
            return Ok(None);
        }
        let unended = usize::from(whole && raw.last() != Some(&b'\n'));
        self.position.offset += taken as u64;
        self.position.lines += (ends + unended) as u64;
        self.position.file = ready.id;
        Ok(Some(Piece { decoded, position: self.position.clone() }))
    }

    /// Opens a text file: a decoder that knows the header, at the position.
    fn start_text(&mut self, ready: &Ready) -> io::Result<Option<Text>> {
        let OpenOptions { schema, zone, format, secret, .. } = &self.options;
        let mut decoder = Decoder::new(schema.clone(), zone.clone(), *format, secret);
        if *format != Format::Csv {
            let header = (Vec::new(), Vec::new());
            return Ok(Some(Text { decoder, header, lines_before: self.position.lines }));
        }
        let head = slice(&self.path, 0, self.options.schema.record_bytes_max as u64 + 1)?;
        let end = header_end(&head).or((ready.settled && !head.is_empty()).then_some(head.len()));
        let Some(end) = end else { return Ok(None) };
        let raw = head[..end].to_vec();
        let header = utf8(&(Vec::new(), Vec::new()), &raw, &self.options, true).concat();
        let lines = memchr::memchr_iter(b'\n', &header).count() as u64;
        decoder.decode(header.clone());
        if self.position.offset == 0 {
            (self.position.offset, self.position.lines) = (end as u64, lines);
        }
        let lines_before = self.position.lines.saturating_sub(lines);
        Ok(Some(Text { decoder, header: (raw, header), lines_before }))
    }

    /// Bytes behind the position, with at least one line end if there is one, and whether they reach the file's end.
    fn unread(&self, id: FileId) -> io::Result<(Vec<u8>, bool)> {
        let mut bytes_max = SLICE_BYTES;
        loop {
            let raw = slice(&self.path, self.position.offset, bytes_max)?;
            let full = raw.len() as u64 == bytes_max;
            if full && memchr::memchr(b'\n', &raw).is_none() && bytes_max < SLICE_BYTES_MAX {
                bytes_max *= 4;
                continue;
            }
            let at_end = self.position.offset + raw.len() as u64 >= id.bytes && !full;
            return Ok((raw, at_end));
        }
    }
}

/// The whole records of `raw` as chunks of UTF-8, without the header; with `whole` also a last one that nothing ends.
fn utf8(
    header: &(Vec<u8>, Vec<u8>),
    raw: &[u8],
    options: &OpenOptions,
    whole: bool,
) -> Vec<Vec<u8>> {
    let chunks = ChunkOptions {
        csv: options.format == Format::Csv,
        encoding: options.encoding,
        chunk_bytes: options.chunk_bytes,
        record_bytes_max: options.schema.record_bytes_max,
        eager: false,
    };
    // The header goes before every slice, so that separator and encoding are found as in the whole file.
    let reader = header.0.chain(raw).chain(End { whole });
    let mut out: Vec<Vec<u8>> = Chunks::new(reader, chunks).map_while(Result::ok).collect();
    if let Some(first) = out.first_mut()
        && first.starts_with(&header.1)
    {
        first.drain(..header.1.len());
    }
    out.retain(|chunk| !chunk.is_empty());
    out
}

/// What stands behind the bytes of a slice: the end, or something that is not there yet.
struct End {
    whole: bool,
}

impl Read for End {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if self.whole { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

/// Where the header of a CSV file ends: at the first line end outside quotes that has something before it.
fn header_end(head: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut blank = true;
    for (i, byte) in head.iter().enumerate() {
        match byte {
            b'"' => (quoted, blank) = (!quoted, false),
            b'\n' if !quoted && !blank => return Some(i + 1),
            byte => blank &= byte.is_ascii_whitespace(),
        }
    }
    None
}

/// The rows and dead letters behind line `taken`.
fn behind(decoded: Decoded, taken: u64) -> Decoded {
    let first = decoded.lines.partition_point(|line| *line <= taken);
    let mut decoded = decoded;
    decoded.dead.retain(|d| d.line > taken);
    if first > 0 {
        decoded.rows = decoded.rows.slice(first, decoded.rows.num_rows() - first);
        decoded.lines.drain(..first);
        if let Some(raw) = decoded.raw.as_mut() {
            raw.ranges.drain(..first);
        }
    }
    decoded
}

fn shifted(mut decoded: Decoded, by: u64) -> Decoded {
    decoded
        .lines
        .iter_mut()
        .chain(decoded.dead.iter_mut().map(|d| &mut d.line))
        .for_each(|l| *l += by);
    decoded
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, sync::Arc};

    use arrow::array::AsArray;

    use super::*;
    use crate::{
        model::{
            schema::{Column, ColumnType, FeedSchema},
            secret::Secret,
            time::Zone,
        },
        source::file::stat,
    };

    fn options(format: Format) -> OpenOptions {
        let mut note = Column::new("note", ColumnType::Text);
        note.from.push("备注".into());
        let at = Column::new("at", ColumnType::Date);
        let schema = Arc::new(FeedSchema::new("complaints", vec![note, at], 1));
        OpenOptions::new(schema, Zone::utc(), format, Secret::new([0; 32]))
    }

    struct Case {
        _dir: tempfile::TempDir,
        path: PathBuf,
        position: Position,
    }

    impl Case {
        fn new(name: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            Self { _dir: dir, path, position: Position::default() }
        }

        fn append(&self, bytes: &[u8]) {
            let mut file =
                fs::OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
            file.write_all(bytes).unwrap();
        }

        fn ready(&self, settled: bool) -> Ready {
            Ready { path: self.path.clone(), id: stat(&self.path).unwrap(), settled }
        }

        fn open(&self) -> ReadFile {
            ReadFile::new(&self.path, options, self.position.clone()).unwrap()
        }

        /// `line:note` of every row and `line!` of every dead letter until nothing more comes.
        fn drain(&mut self, file: &mut ReadFile, settled: bool) -> String {
            let mut out = Vec::new();
            while let Some(piece) = file.next(&self.ready(settled)).unwrap() {
                for d in &piece.decoded {
                    let notes = d.rows.column(0).as_string::<i32>();
                    out.extend(
                        d.lines
                            .iter()
                            .zip(notes)
                            .map(|(l, n)| (*l, format!("{l}:{}", n.unwrap_or("-")))),
                    );
                    out.extend(d.dead.iter().map(|d| (d.line, format!("{}!", d.line))));
                }
                self.position = piece.position;
            }
            out.sort();
            out.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        }
    }

    fn ndjson(note: &str) -> Vec<u8> {
        format!("{{\"note\":\"{note}\",\"at\":\"2026-03-05\"}}\n").into_bytes()
    }

    #[test]
    fn a_growing_file_is_taken_by_whole_lines_and_gone_on_with() {
        for again in [false, true] {
            let mut case = Case::new("in.ndjson");
            case.append(&[ndjson("甲"), b"bad\n".to_vec(), ndjson("乙")].concat());
            let half = ndjson("丙");
            case.append(&half[..10]);
            let mut file = case.open();
            assert_eq!(case.drain(&mut file, false), "1:甲 2! 3:乙");
            case.append(&half[10..]);
            if again {
                file = case.open();
            }
            assert_eq!(case.drain(&mut file, false), "4:丙");
            case.append(&half[..half.len() - 1]);
            assert_eq!(case.drain(&mut file, false), "");
            assert_eq!(case.drain(&mut file, true), "5:丙", "settled without a line end");
            assert_eq!(case.drain(&mut case.open(), true), "");
        }
    }

    #[test]
    fn a_csv_file_is_gone_on_with_behind_its_header_in_any_encoding() {
        let lines =
            ["备注;at\n", "\"长沙\n市\";2026-03-05\n", "湘潭;2026-03-05\n", "1,5;2026-03-05\n"];
        let utf8 = |text: &str| text.as_bytes().to_vec();
        let bom = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let gb = |text: &str| encoding_rs::GB18030.encode(text).0.into_owned();
        for (name, first, rest) in [
            ("utf8", &utf8 as &dyn Fn(&str) -> Vec<u8>, &utf8 as &dyn Fn(&str) -> Vec<u8>),
            ("bom", &bom, &utf8),
            ("gb18030", &gb, &gb),
        ] {
            let mut case = Case::new("投诉.csv");
            case.append(&first(lines[0])[..4]);
            let mut file = case.open();
            assert_eq!(case.drain(&mut file, false), "", "{name}: header not complete");
            case.append(&first(lines[0])[4..]);
            case.append(&rest(lines[1])[..8]);
            assert_eq!(case.drain(&mut file, false), "", "{name}: record not complete");
            case.append(&rest(lines[1])[8..]);
            assert_eq!(case.drain(&mut file, false), "2:长沙\n市", "{name}");
            case.append(&rest(lines[2]));
            let mut again = case.open();
            assert_eq!(case.drain(&mut again, false), "4:湘潭", "{name}");
            case.append(&rest(lines[3]));
            assert_eq!(case.drain(&mut again, false), "5:1,5", "{name}");
        }
    }

    #[test]
    fn a_replaced_file_starts_over() {
        let mut case = Case::new("in.ndjson");
        case.append(&[ndjson("甲"), ndjson("乙")].concat());
        let mut file = case.open();
        assert_eq!(case.drain(&mut file, false), "1:甲 2:乙");
        fs::write(&case.path, ndjson("丙")).unwrap();
        assert_eq!(case.drain(&mut file, false), "1:丙");
    }

    #[test]
    fn a_compressed_file_is_read_when_it_has_settled_and_only_once() {
        let mut case = Case::new("in.ndjson.zst");
        let text: Vec<u8> = (0..40_000).flat_map(|i| ndjson(&i.to_string())).collect();
        case.append(&zstd::encode_all(text.as_slice(), 0).unwrap());
        let mut file = case.open();
        assert_eq!(case.drain(&mut file, false), "");
        // Stopped in the middle: the first chunk was taken, the rest follows.
        let first = file.next(&case.ready(true)).unwrap().unwrap();
        let taken = first.decoded[0].lines.len();
        assert!(taken > 0 && taken < 40_000 && !first.position.done);
        case.position = first.position;
        let rest = case.drain(&mut case.open(), true);
        assert_eq!(rest.split(' ').count(), 40_000 - taken);
        assert!(rest.starts_with(&format!("{}:{taken} ", taken + 1)), "{}", &rest[..20]);
        assert!(case.position.done);
        assert_eq!(case.drain(&mut case.open(), true), "");
    }

    #[test]
    fn a_damaged_archive_gives_its_rows_and_an_error() {
        let case = Case::new("in.ndjson.gz");
        let mut archive = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        archive.write_all(&ndjson("甲").repeat(1_000)).unwrap();
        let mut bytes = archive.finish().unwrap();
        bytes.truncate(bytes.len() - 9);
        case.append(&bytes);
        let mut file = case.open();
        let mut rows = 0;
        let error = loop {
            match file.next(&case.ready(true)) {
                Ok(Some(piece)) => rows += piece.decoded[0].lines.len(),
                Ok(None) => panic!("taken as whole"),
                Err(error) => break error,
            }
        };
        assert!(rows > 900, "{rows}");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(ReadFile::new(Path::new("notes.docx"), options, Position::default()).is_none());
    }
}
