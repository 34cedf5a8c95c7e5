//! Intake: what was pushed, decoded as a whole or not at all.
//!
//! In: a [`Push`]. Out: its decoded batches, or why the request cannot be taken, in the words of whoever sent it. Runs on
//! the thread of the request, ahead of the engine's own.

use std::{
    io::{self, Read},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;

use crate::{
    decode::{Compression, Format, Input, OpenOptions, open},
    feed::FeedSpec,
    model::{batch::Decoded, diagnostic::did_you_mean, secret::Secret, time::Zone},
    source::push::Push,
};

/// Why a request was not taken. Nothing of it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// There is no such feed.
    #[error("there is no feed {name:?}, known feeds: {}", known.join(", "))]
    UnknownFeed {
        /// What was asked for.
        name: String,
        /// The feeds there are.
        known: Vec<String>,
        /// The one that was most likely meant.
        suggestion: Option<String>,
    },
    /// The content type is none that can be decoded.
    #[error(
        "content type {0:?} cannot be decoded, send application/x-ndjson, text/csv or application/vnd.apache.arrow.stream"
    )]
    UnknownFormat(String),
    /// The content encoding is none that can be decoded.
    #[error("content encoding {0:?} cannot be decoded, send gzip, zstd or identity")]
    UnknownEncoding(String),
    /// The body is too long.
    #[error("body is longer than {limit} bytes, send smaller requests")]
    TooLong {
        /// The limit, before and after decompression.
        limit: usize,
    },
    /// The body is not what its headers say.
    #[error("body is not readable as {format}: {reason}")]
    Unreadable {
        /// What it should be.
        format: String,
        /// What the decoder said.
        reason: String,
    },
    /// The key was used for another body.
    #[error(
        "idempotency key {0:?} was used for another body within the last 24 h, use a new key for new records"
    )]
    KeyReused(String),
    /// Too much is waiting.
    #[error("{waiting} requests are waiting already, try again in a second")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// What was sent cannot be put on disk.
    #[error("{why}; nothing of this request was taken, send it again when the disk takes writes")]
    Disk {
        /// There is no room on it.
        full: bool,
        /// What was tried, and what the system said.
        why: String,
    },
    /// The engine takes nothing any more.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
}

/// What decoding needs to know; shared by all threads that decode.
#[derive(Debug, Clone)]
pub struct Intake {
    feeds: Arc<[FeedSpec]>,
    zone: Zone,
    secret: Secret,
    body_bytes_max: usize,
}

impl Intake {
    /// An intake for these feeds.
    #[must_use]
    pub fn new(feeds: Arc<[FeedSpec]>, zone: Zone, secret: Secret, body_bytes_max: usize) -> Self {
        Self { feeds, zone, secret, body_bytes_max }
    }

    /// The feeds.
    #[must_use]
    pub fn feeds(&self) -> &[FeedSpec] {
        &self.feeds
    }

    /// The zone of readings without an offset.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Longest body, before and after decompression, bytes.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// Position of the feed named `name`.
    ///
    /// # Errors
    /// [`Refused::UnknownFeed`].
    pub fn feed(&self, name: &str) -> Result<usize, Refused> {
        let names = || self.feeds.iter().map(FeedSpec::name);
        names().position(|n| n == name).ok_or_else(|| Refused::UnknownFeed {
            name: name.to_owned(),
            known: names().map(str::to_owned).collect(),
            suggestion: did_you_mean(name, names()).map(str::to_owned),
        })
    }

    /// How a source of `feed` in `format` is decoded.
    #[must_use]
    pub fn options(&self, feed: usize, format: Format) -> OpenOptions {
        let spec = &self.feeds[feed];
        let schema = Arc::clone(&spec.schema);
        let options = OpenOptions::new(schema, self.zone.clone(), format, self.secret.clone());
        OpenOptions { encoding: spec.encoding, ..options }
    }

    /// Decodes a push: the feed and its batches.
    ///
    /// # Errors
    /// Every [`Refused`] but those of the engine's own thread. Bad rows are not errors.
    pub fn push(&self, push: &Push) -> Result<(usize, Vec<Decoded>), Refused> {
        let feed = self.feed(&push.feed)?;
        let format = match push.content_type.as_deref() {
            None => Format::Ndjson,
            Some(text) => Format::of_content_type(text)
                .ok_or_else(|| Refused::UnknownFormat(text.to_owned()))?,
        };
        let encoding = push.content_encoding.as_deref().unwrap_or_default();
        let compression = Compression::of_content_encoding(encoding)
            .ok_or_else(|| Refused::UnknownEncoding(encoding.to_owned()))?;
        let unreadable = |e: io::Error| Refused::Unreadable {
            format: [encoding, format.word()].join(" ").trim().to_owned(),
            reason: e.to_string(),
        };
        let body = self.plain(&push.body, compression, unreadable)?;
        let stream = open(Input::Bytes(body), &self.options(feed, format)).map_err(unreadable)?;
        let decoded = stream.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok((feed, decoded))
    }

    /// The body without its compression; one that grows beyond the limit is refused before it fills memory.
    fn plain(
        &self,
        body: &[u8],
        compression: Compression,
        unreadable: impl Fn(io::Error) -> Refused,
    ) -> Result<Vec<u8>, Refused> {
        let limit = self.body_bytes_max;
        let reader: Box<dyn Read + '_> = match compression {
            Compression::None => Box::new(body),
            Compression::Gzip => Box::new(MultiGzDecoder::new(body)),
            Compression::Zstd => Box::new(zstd::Decoder::new(body).map_err(&unreadable)?),
        };
        let mut out = Vec::new();
        reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(&unreadable)?;
        if out.len() > limit { Err(Refused::TooLong { limit }) } else { Ok(out) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::model::schema::{Column, ColumnType, FeedSchema};

    fn intake() -> Intake {
        let columns =
            vec![Column::new("id", ColumnType::Text), Column::new("at", ColumnType::Timestamp)];
        let feeds = ["complaints", "sampling"]
            .map(|name| FeedSpec::plain(FeedSchema::new(name, columns.clone(), 1)));
        Intake::new(feeds.into(), Zone::utc(), Secret::new([0; 32]), 1_000)
    }

    fn push(content_type: Option<&str>, content_encoding: Option<&str>, body: Vec<u8>) -> Push {
        Push {
            feed: "complaints".into(),
            content_type: content_type.map(str::to_owned),
            content_encoding: content_encoding.map(str::to_owned),
            body: body.into(),
            ..Push::default()
        }
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn formats_and_encodings() {
        let ndjson = "{\"id\":\"一\",\"at\":\"2026-03-05\"}\nnot a record\n";
        let csv = "id,at\n一,2026-03-05\n";
        let zstd = zstd::encode_all(ndjson.as_bytes(), 0).unwrap();
        for (kind, encoding, body, rows, dead) in [
            (None, None, ndjson.into(), 1, 1),
            (Some("application/x-ndjson; charset=utf-8"), Some("gzip"), gzip(ndjson), 1, 1),
            (Some("application/json"), Some("zstd"), zstd, 1, 1),
            (Some("text/csv"), Some("identity"), csv.into(), 1, 0),
            (Some("text/csv"), None, Vec::new(), 0, 0),
        ] {
            let (feed, decoded) = intake().push(&push(kind, encoding, body)).unwrap();
            let found =
                decoded.iter().fold((0, 0), |n, d| (n.0 + d.lines.len(), n.1 + d.dead.len()));
            assert_eq!((feed, found), (0, (rows, dead)), "{kind:?} {encoding:?}");
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_as_a_whole() {
        let bomb = gzip(&" ".repeat(100_000));
        let mut cut =
            gzip("{\"id\":\"1\",\"at\":\"2026-03-05\"}\n{\"id\":\"2\",\"at\":\"2026-03-05\"}\n");
        cut.truncate(cut.len() - 9);
        let arrow = "application/vnd.apache.arrow.stream";
        for (kind, encoding, body, expect) in [
            (Some("image/png"), None, Vec::new(), "content type \"image/png\" cannot be decoded"),
            (None, Some("br"), Vec::new(), "content encoding \"br\" cannot be decoded"),
            (None, Some("gzip"), bomb, "body is longer than 1000 bytes"),
            (None, None, vec![b' '; 1_001], "body is longer than 1000 bytes"),
            (None, Some("gzip"), cut, "body is not readable as gzip NDJSON"),
            (None, Some("gzip"), b"{}".to_vec(), "body is not readable as gzip NDJSON"),
            (Some(arrow), None, b"{}".to_vec(), "body is not readable as Arrow IPC"),
        ] {
            let error = intake().push(&push(kind, encoding, body)).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{error}");
        }
        let unknown = Push { feed: "complaint".into(), ..Push::default() };
        let error = intake().push(&unknown).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no feed \"complaint\", known feeds: complaints, sampling"
        );
        assert!(
            matches!(error, Refused::UnknownFeed { suggestion: Some(s), .. } if s == "complaints")
        );
    }
}
