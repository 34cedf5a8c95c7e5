//! Bad rows: what offices send by mistake, one of every class of dead letter that the shipped feeds can have.
//!
//! A bad row is a good one that was spoilt, with a number of its own, so that no good record is lost by it. The class `bad_ucc`
//! is not among them: the shipped feeds empty a code that fails its check and count it, they do not refuse the row.

use super::{
    Feed, World,
    dice::Dice,
    line::day_start,
    record::{
        self, Place, Record, complaint::Complaint, list, penalty::Penalty, product,
        reaction::Reaction, registry::Event, sample::Sample, visit::Visit,
    },
    sheet::Sheet,
    volume,
};
use crate::model::batch::DeadClass;

/// Days from one spoilt order to the next; the classes take turns.
const EVERY: i32 = 9;
/// Days from one endless order to the next.
const ENDLESS_EVERY: i32 = 180;
/// Bytes of an endless order: above the limit of a record, one mebibyte.
const ENDLESS_BYTES: usize = (1 << 20) + 1000;
/// Of so many rows of any feed one is spoilt besides.
const ONE_IN: f64 = 5_000.0;

/// Classes that orders take turns in.
const TURNS: [DeadClass; 8] = [
    DeadClass::Syntax,
    DeadClass::Type,
    DeadClass::Missing,
    DeadClass::BadValue,
    DeadClass::BadTime,
    DeadClass::Future,
    DeadClass::Late,
    DeadClass::Encoding,
];
/// Classes that rows of every feed may have.
const ANYWHERE: [DeadClass; 3] = [DeadClass::Syntax, DeadClass::Missing, DeadClass::BadTime];

/// Adds the bad rows that arrive on `day`.
pub(super) fn arriving(world: &World, day: i32, out: &mut Sheet) {
    let since = day - world.first_day;
    // Not in the first month: a row is only late behind others.
    if since % EVERY == 5 && since > 30 {
        let class = TURNS[(since / EVERY) as usize % TURNS.len()];
        row(world, Feed::Complaints, Place { day, index: Place::BAD }, class, out);
    }
    if since % ENDLESS_EVERY == 40 {
        row(world, Feed::Complaints, Place { day, index: Place::BAD + 1 }, DeadClass::TooLong, out);
    }
    let mut dice = Dice::at(world.seed, 0x51, day, 0);
    for feed in Feed::ALL {
        let n = (volume::expected(world, feed, day) / ONE_IN + dice.unit()) as u64;
        for i in 0..n {
            let class = dice.one(&ANYWHERE);
            row(world, feed, Place { day, index: Place::BAD + 10 + i }, class, out);
        }
    }
}

/// Adds one spoilt row.
fn row(world: &World, feed: Feed, at: Place, class: DeadClass, out: &mut Sheet) {
    let (line, arrived_ms) = match feed {
        Feed::Complaints => good::<Complaint>(world, at),
        Feed::Sampling => good::<Sample>(world, at),
        Feed::Penalties => good::<Penalty>(world, at),
        Feed::Inspections => good::<Visit>(world, at),
        Feed::Registry => good::<Event>(world, at),
        Feed::Abnormal => good::<list::Abnormal>(world, at),
        Feed::Court => good::<list::Defaulter>(world, at),
        Feed::Accidents => good::<product::Accident>(world, at),
        Feed::Recalls => good::<product::Recall>(world, at),
        Feed::Commitments => good::<product::Commitment>(world, at),
        Feed::AdverseEvents => good::<Reaction>(world, at),
    };
    out.add(feed, arrived_ms, |bytes| bytes.extend_from_slice(&spoilt(line, feed, class, at.day)));
}

/// A good line at this place and its arrival.
fn good<R: Record>(world: &World, at: Place) -> (Vec<u8>, i64) {
    let mut record: R = record::first(world, at);
    let mut sheet = Sheet::default();
    record.write(&mut sheet);
    (sheet.last_line().to_vec(), record.stamp().received_ms)
}

/// The column of a feed's event time.
fn time_of(feed: Feed) -> &'static str {
    match feed {
        Feed::Complaints => "registered_at",
        Feed::Sampling => "reported_on",
        Feed::Penalties => "CF_JDRQ",
        Feed::Inspections => "visited_on",
        Feed::Registry => "effective_on",
        Feed::Abnormal => "decided_on",
        Feed::Court => "published_on",
        Feed::Accidents => "reported_at",
        Feed::Recalls => "started_on",
        Feed::Commitments => "made_on",
        Feed::AdverseEvents => "reported_on",
    }
}

fn spoilt(mut line: Vec<u8>, feed: Feed, class: DeadClass, day: i32) -> Vec<u8> {
    let dated = |day: i32| {
        let mut text = Vec::new();
        let mut line = super::line::Line::new(&mut text);
        line.instant("", day_start(day));
        // Without `{"":` before and anything behind.
        text.split_off(4)
    };
    match class {
        DeadClass::Syntax => {
            // Cut off in the middle, at the end of a character.
            let half =
                String::from_utf8_lossy(&line[..line.len() / 2]).trim_end_matches('\u{fffd}').len();
            line.truncate(half);
            line.push(b'\n');
        }
        DeadClass::Encoding => {
            replace(&mut line, "text", b"\"\xd6\xca\xc1\xbf\xce\xca\xcc\xe2\xff\"")
        }
        DeadClass::Type => replace(&mut line, "version", "\"第一版\"".as_bytes()),
        DeadClass::BadValue => replace(&mut line, "kind", b"\"TX\""),
        DeadClass::BadTime => replace(&mut line, time_of(feed), b"\"2025-02-30\""),
        DeadClass::Missing => replace(&mut line, time_of(feed), b"null"),
        DeadClass::Future => replace(&mut line, time_of(feed), &dated(day + 3)),
        DeadClass::Late => replace(&mut line, time_of(feed), &dated(day - 25)),
        DeadClass::TooLong => {
            let text = format!("\"{}\"", "0".repeat(ENDLESS_BYTES));
            replace(&mut line, "text", text.as_bytes());
        }
        DeadClass::BadUcc => {}
    }
    line
}

/// Puts `value` where a line has that of `key`, a scalar.
fn replace(line: &mut Vec<u8>, key: &str, value: &[u8]) {
    let name = format!("\"{key}\":");
    let Some(at) = line.windows(name.len()).position(|w| w == name.as_bytes()) else { return };
    let from = at + name.len();
    let next = |w: &[u8]| w == b",\"" || w == b"}\n";
    let len = line[from..].windows(2).position(next).unwrap_or(0);
    line.splice(from..from + len, value.iter().copied());
}
