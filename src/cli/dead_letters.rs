//! `forewarn dead-letters`: rows that were refused, to look at and to send again.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use forewarn::{
    model::{batch::DeadClass, time::Zone},
    store::{
        dead_letters::{DeadLetters, Filter, Stored},
        seal::local_key,
    },
};
use serde_json::{Value, json};

/// Longest wait for the engine's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// List rows that were refused, or send them again
#[derive(Debug, clap::Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DeadLettersCommand {
    /// List rows that were refused
    List(List),
    /// Send them to the running engine again, or write them to files to be mended
    Replay(Replay),
}

/// Which letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// Data directory of the engine
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Of this feed only
    #[arg(long)]
    feed: Option<String>,
    /// Of these classes only: syntax too_long encoding type missing bad_value bad_time bad_ucc future late
    #[arg(long = "class", value_delimiter = ',')]
    classes: Vec<String>,
    /// Of this partition only
    #[arg(long)]
    partition: Option<String>,
    /// Only these
    #[arg(long = "id", value_delimiter = ',')]
    ids: Vec<String>,
    /// That arrived at this date or instant or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// That arrived before this date or instant
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Zone of times without an offset
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

/// List rows that were refused
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Also those that were sent again
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Show the raw bytes too, except sealed ones
    #[arg(long)]
    raw: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Send them to the running engine again, or write them to files to be mended
#[derive(Debug, clap::Args)]
struct Replay {
    #[command(flatten)]
    which: Which,
    /// Where the engine listens
    #[arg(long, default_value = "http://127.0.0.1:8420", value_name = "URL")]
    url: String,
    /// Write new files into this directory instead of sending, to be mended and pushed; they hold personal data in clear
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &DeadLettersArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        DeadLettersCommand::List(args) => list(args),
        DeadLettersCommand::Replay(args) => replay(args),
    }
}

impl Which {
    fn filter(&self, zone: &Zone) -> anyhow::Result<Filter> {
        let time = |text: &Option<String>| match text {
            Some(text) => zone
                .parse_instant(text)
                .map(Some)
                .with_context(|| format!("{text:?} is no date or instant")),
            None => Ok(None),
        };
        let class = |word: &String| {
            let all = DeadClass::ALL.map(DeadClass::word).join(", ");
            DeadClass::parse(word).with_context(|| format!("class {word:?} is none of {all}"))
        };
        Ok(Filter {
            feed: self.feed.clone(),
            classes: self.classes.iter().map(class).collect::<Result<_, _>>()?,
            partition: self.partition.clone(),
            ids: self.ids.clone(),
            since_ms: time(&self.since)?,
            until_ms: time(&self.until)?,
            replayed: false,
        })
    }

    fn store(&self) -> anyhow::Result<DeadLetters> {
        if !self.data.is_dir() {
            bail!("there is no data directory {}: name it with --data", self.data.display());
        }
        Ok(DeadLetters::new(&self.data, &local_key(&self.data)?))
    }
}

fn list(args: &List) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.which.zone)?;
    let store = args.which.store()?;
    let listing = store.list(&Filter { replayed: args.all, ..args.which.filter(&zone)? })?;
    let mut out = std::io::stdout().lock();
    let total = listing.letters.len();
    for letter in listing.letters.iter().skip(total.saturating_sub(args.limit)) {
        // Sealed bytes hold personal data: they leave the store by `replay` only, not by a terminal's history.
        let raw = if args.raw && !letter.sealed { Some(store.raw(letter)?) } else { None };
        let raw = raw.as_ref().map(|r| String::from_utf8_lossy(r));
        if args.json {
            let mut row = as_json(letter, &zone);
            if let (Some(raw), Some(row)) = (&raw, row.as_object_mut()) {
                row.insert("raw".into(), raw.as_ref().into());
            }
            writeln!(out, "{row}")?;
            continue;
        }
        let (at, class) = (zone.format(letter.at_ms), letter.class.word());
        let again = if letter.replayed_ms.is_some() { " (sent again)" } else { "" };
        writeln!(
            out,
            "{} {at} {} {}:{} {class}: {}{again}",
            letter.id, letter.feed, letter.partition, letter.line, letter.message
        )?;
        if let Some(raw) = raw {
            writeln!(out, "    {}", raw.trim_end().replace('\n', "\n    "))?;
        }
    }
    let mut err = std::io::stderr().lock();
    let shown = total.min(args.limit);
    let more = if shown < total { format!("; --limit {total} lists all") } else { String::new() };
    writeln!(err, "{shown} of {total} letters{more}")?;
    if listing.unreadable > 0 {
        writeln!(err, "{} lines cannot be read; a crash cut them off", listing.unreadable)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(letter: &Stored, zone: &Zone) -> Value {
    json!({
        "id": letter.id, "feed": letter.feed, "partition": letter.partition, "line": letter.line,
        "class": letter.class.word(), "message": letter.message, "at": zone.format(letter.at_ms),
        "replayed_at": letter.replayed_ms.map(|ms| zone.format(ms)), "sealed": letter.sealed,
    })
}

/// Letters that go together: of one feed and partition, and for CSV under one header.
#[derive(Default)]
struct Bundle {
    ids: Vec<String>,
    body: Vec<u8>,
}

/// Feed, partition, CSV header (empty for NDJSON).
type BundleKey = (String, String, Vec<u8>);

fn bundles(store: &DeadLetters, letters: &[Stored]) -> anyhow::Result<BTreeMap<BundleKey, Bundle>> {
    let mut bundles: BTreeMap<BundleKey, Bundle> = BTreeMap::new();
    for letter in letters {
        let raw = store.raw(letter)?;
        // Only letters of CSV hold a line end before their last byte: the header's.
        let trimmed = raw.trim_ascii_end();
        let end_of_header = trimmed.iter().position(|b| *b == b'\n').map_or(0, |n| n + 1);
        let (header, record) = trimmed.split_at(end_of_header);
        let key = (letter.feed.clone(), letter.partition.clone(), header.to_vec());
        let bundle =
            bundles.entry(key).or_insert_with(|| Bundle { ids: Vec::new(), body: header.to_vec() });
        bundle.ids.push(letter.id.clone());
        bundle.body.extend_from_slice(record);
        bundle.body.push(b'\n');
    }
    Ok(bundles)
}

fn replay(args: &Replay) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.which.zone)?;
    let mut store = args.which.store()?;
    let letters = store.list(&args.which.filter(&zone)?)?.letters;
    let bundles = bundles(&store, &letters)?;
    let mut out = std::io::stdout().lock();
    if let Some(dir) = &args.out {
        write_files(dir, &bundles, &mut out)?;
        // Only when all rows are safe: letters noted as sent are not listed again.
        let now_ms = super::now_ms();
        for ((feed, ..), bundle) in &bundles {
            store.mark_replayed(feed, &bundle.ids, now_ms)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut refused_again = 0;
    for ((feed, partition, header), bundle) in &bundles {
        let kind = if header.is_empty() { "application/x-ndjson" } else { "text/csv" };
        let path = format!("/api/v1/feeds/{feed}/events?partition={}", encoded(partition));
        let sent_ms = super::now_ms();
        let (status, answer) = post(&args.url, &path, kind, &bundle.body)?;
        if status != 200 {
            let detail = answer
                .get("detail")
                .or(answer.get("title"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            bail!("feed {feed:?}: the engine answers {status} {detail}");
        }
        store.mark_replayed(feed, &bundle.ids, sent_ms)?;
        let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
        let dead = count("dead_letters_total");
        refused_again += dead;
        writeln!(
            out,
            "{feed} {partition}: {} sent, {} accepted, {} known already, {dead} refused again",
            bundle.ids.len(),
            count("accepted"),
            count("duplicates"),
        )?;
    }
    if bundles.is_empty() {
        writeln!(out, "no letters to send")?;
    }
    Ok(if refused_again > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn write_files(
    dir: &Path,
    bundles: &BTreeMap<BundleKey, Bundle>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("{}", dir.display()))?;
    for (i, ((feed, _, header), bundle)) in bundles.iter().enumerate() {
        let ending = if header.is_empty() { "ndjson" } else { "csv" };
        let path = dir.join(format!("{feed}-{}.{ending}", i + 1));
        let mut file =
            fs::File::create_new(&path).with_context(|| format!("{}", path.display()))?;
        file.write_all(&bundle.body)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("{}", path.display()))?;
        writeln!(out, "{}: {} records", path.display(), bundle.ids.len())?;
    }
    Ok(())
}

/// One request over a fresh connection: status and the JSON of the answer.
fn post(url: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<(u16, Value)> {
    let host = url.strip_prefix("http://").map(|h| h.trim_end_matches('/'));
    let host = host.with_context(|| format!("{url:?} is no http:// address"))?;
    let mut stream = TcpStream::connect(host)
        .with_context(|| format!("the engine at {url} cannot be reached"))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.with_context(|| format!("{url} does not speak HTTP"))?;
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let mut answer = Vec::new();
    reader.take(length.unwrap_or(1 << 24)).read_to_end(&mut answer)?;
    Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
}

/// A text as part of a query.
fn encoded(text: &str) -> String {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"-._~/".contains(b);
    text.bytes()
        .map(|b| if safe(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use forewarn::model::batch::DeadLetter;

    use super::*;

    /// A data directory with three letters: two of NDJSON, sealed, and one of CSV.
    fn data() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DeadLetters::new(dir.path(), &local_key(dir.path()).unwrap());
        let letter = |line, raw: &str| DeadLetter {
            line,
            class: DeadClass::BadValue,
            message: "column \"kind\": …".into(),
            raw: raw.as_bytes().to_vec(),
        };
        let ndjson = [letter(3, "{\"a\":1}"), letter(9, "{\"a\":2}\n")];
        store.append("complaints", true, "token x", 1, &ndjson).unwrap();
        store.append("sampling", false, "s.csv", 1, &[letter(2, "a,b\n1,\"x\ny\"\n")]).unwrap();
        dir
    }

    fn which(dir: &Path) -> Which {
        Which {
            data: dir.to_owned(),
            feed: None,
            classes: Vec::new(),
            partition: None,
            ids: Vec::new(),
            since: None,
            until: None,
            zone: "UTC".into(),
        }
    }

    /// Answers each request with `answers` in turn and returns what was asked.
    fn engine(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (stream, _) = listener.accept().unwrap();
                    let mut reader = BufReader::new(stream);
                    let (mut head, mut length) = (String::new(), 0);
                    while !head.ends_with("\r\n\r\n") {
                        let from = head.len();
                        reader.read_line(&mut head).unwrap();
                        if let Some(n) = head[from..].strip_prefix("Content-Length: ") {
                            length = n.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    reader.into_inner().write_all(answer.as_bytes()).unwrap();
                    format!("{} {}", head.lines().next().unwrap(), String::from_utf8(body).unwrap())
                })
                .collect()
        };
        (url, std::thread::spawn(serve))
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn letters_are_sent_again_as_they_came() {
        let dir = data();
        let all = ok(r#"{"accepted":1,"duplicates":0,"dead_letters":[],"dead_letters_total":1}"#);
        let (url, asked) = engine(vec![all.clone(), all]);
        replay(&Replay { which: which(dir.path()), url, out: None }).unwrap();
        assert_eq!(
            asked.join().unwrap(),
            [
                "POST /api/v1/feeds/complaints/events?partition=token%20x HTTP/1.1 {\"a\":1}\n{\"a\":2}\n",
                "POST /api/v1/feeds/sampling/events?partition=s.csv HTTP/1.1 a,b\n1,\"x\ny\"\n",
            ]
        );
        let open = which(dir.path()).store().unwrap().list(&Filter::default()).unwrap();
        assert_eq!(open.letters, []);
    }

    #[test]
    fn what_the_engine_refuses_stays_open() {
        let dir = data();
        let problem = r#"{"title":"busy","detail":"the queue is full"}"#;
        let answer = format!(
            "HTTP/1.1 429 Too Many Requests\r\ncontent-length: {}\r\n\r\n{problem}",
            problem.len()
        );
        let (url, asked) = engine(vec![answer]);
        let error =
            replay(&Replay { which: which(dir.path()), url, out: None }).unwrap_err().to_string();
        assert_eq!(error, "feed \"complaints\": the engine answers 429 the queue is full");
        asked.join().unwrap();
        assert_eq!(
            which(dir.path()).store().unwrap().list(&Filter::default()).unwrap().letters.len(),
            3
        );
    }

    #[test]
    fn letters_are_written_to_be_mended() {
        let dir = data();
        let out = dir.path().join("mend");
        replay(&Replay { which: which(dir.path()), url: String::new(), out: Some(out.clone()) })
            .unwrap();
        assert_eq!(
            fs::read_to_string(out.join("complaints-1.ndjson")).unwrap(),
            "{\"a\":1}\n{\"a\":2}\n"
        );
        assert_eq!(fs::read_to_string(out.join("sampling-2.csv")).unwrap(), "a,b\n1,\"x\ny\"\n");
    }
}
