//! Config: `forewarn.yaml`, its defaults, and the environment over it.
//!
//! In: the text of the file (or none) and the environment. Out: a [`Config`] in which everything has a value, or all
//! findings with their places. `FOREWARN_<FIELD>` overrides a scalar (`FOREWARN_LISTEN`, `FOREWARN_LIMITS_BODY_BYTES_MAX`).
//! Relative paths of the file are taken from the file's directory, those of the environment from the working directory.
//! Not here: feeds and rules, which have files of their own.

mod outlet;

pub use outlet::{Outlet, OutletKind};

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use outlet::{OUTLET, outlet};

use crate::{
    decode::{Compression, Format},
    model::{
        diagnostic::{Diagnostic, Level},
        shape::{Field, Shape},
        time::Zone,
        yaml::{Node, Spanned},
    },
    sink::http::is_url,
};

/// The port of API and console.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8420";

/// Everything the engine is started with, feeds and rules aside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where log, alerts and dead letters lie.
    pub data: PathBuf,
    /// Where feeds and rules lie.
    pub rules: PathBuf,
    /// Zone of civil days and of readings without an offset.
    pub zone: Zone,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// A proxy in front does authentication and TLS, so that an address beyond loopback is in order.
    pub behind_proxy: bool,
    /// Threads that share the keys.
    pub shards: usize,
    /// Files and directories to read.
    pub sources: Vec<FileSource>,
    /// A feed to read from standard input.
    pub stdin: Option<StdinSource>,
    /// Files that get every revision of every alert.
    pub sinks: Vec<PathBuf>,
    /// Sinks on the network.
    pub outlets: Vec<Outlet>,
    /// Where people reach the console, if not at `listen`.
    pub public_url: Option<String>,
    /// Limits.
    pub limits: Limits,
}

/// A file or directory that a feed is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// The feed.
    pub feed: String,
    /// The file, or a directory whose files are all read.
    pub path: PathBuf,
    /// The file is complete: read to its end once, without waiting for more.
    pub once: bool,
}

/// A feed that is read from standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdinSource {
    /// The feed.
    pub feed: String,
    /// The format, NDJSON where it is not said.
    pub format: Format,
    /// The compression of the whole.
    pub compression: Compression,
}

impl StdinSource {
    /// Reads `complaints` or `complaints:csv.gz`: the format is named like the ending of a file.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((feed, ending)) = text.split_once(':') else {
            let (format, compression) = (Format::Ndjson, Compression::None);
            return Ok(Self { feed: text.to_owned(), format, compression });
        };
        let name = PathBuf::from(format!("stdin.{ending}"));
        let format = Format::of_path(&name).ok_or_else(|| {
            format!(
                "standard input {text:?}: {ending:?} is no format, write ndjson, csv, arrow or parquet, with .gz or .zst \
                 behind it if compressed"
            )
        })?;
        Ok(Self { feed: feed.to_owned(), format, compression: Compression::of_path(&name) })
    }
}

/// What the engine takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a request, before and after decompression, bytes.
    pub body_bytes_max: usize,
    /// Requests and chunks that wait for the engine.
    pub queue_max: usize,
    /// Dead letters listed in one answer.
    pub dead_letters_listed_max: usize,
    /// Revisions of alerts that wait for one sink on the network.
    pub outbox_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            queue_max: 64,
            dead_letters_listed_max: 1_000,
            outbox_max: 10_000,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not right.
    #[error("configuration {path} has {} finding(s), first: {}", findings.len(), first(findings))]
    Findings {
        /// The file.
        path: PathBuf,
        /// Its text, for printing.
        text: String,
        /// All findings.
        findings: Vec<Diagnostic>,
    },
    /// A variable of the environment is not right.
    #[error("environment variable {name}={value:?}: {expected}")]
    Variable {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The address is reachable from elsewhere.
    #[error(
        "listen address {0} is reachable from other machines and this version has no authentication yet; \
         listen on a loopback address, or set \"behind_proxy: true\" if a proxy does authentication and TLS"
    )]
    NotLoopback(SocketAddr),
}

fn first(findings: &[Diagnostic]) -> &str {
    findings.first().map_or("", |d| d.message.as_str())
}

const SOURCE: Shape = Shape::Map(&[
    Field::required("feed", Shape::Text, "The feed its records belong to."),
    Field::required("path", Shape::Text, "A file, or a directory whose files are all read."),
    Field::optional("once", Shape::Bool, "The file is complete: do not wait for more."),
]);

const FILE_SINK: Shape = Shape::Map(&[Field::required(
    "file",
    Shape::Text,
    "A file that gets every revision of every alert, one JSON line each.",
)]);
/// What may stand in `forewarn.yaml`.
pub const SHAPE: Shape = Shape::Map(&[
    Field::optional("data", Shape::Text, "Directory of log, alerts and dead letters; `data`."),
    Field::optional("rules", Shape::Text, "Directory of feeds and rules; `rules`."),
    Field::optional("zone", Shape::Text, "Zone of civil days; `Asia/Shanghai`."),
    Field::optional("listen", Shape::Text, "Address and port of HTTP; `127.0.0.1:8420`."),
    Field::optional("behind_proxy", Shape::Bool, "A proxy does authentication and TLS."),
    Field::optional("shards", Shape::Int(1), "Threads that share the keys; 1."),
    Field::optional("sources", Shape::List(&SOURCE), "Files and directories to read."),
    Field::optional(
        "stdin",
        Shape::Text,
        "The feed to read from standard input, with its format: complaints:csv.gz; NDJSON if not said.",
    ),
    Field::optional("sinks", Shape::List(&Shape::OneOf(&[FILE_SINK, OUTLET])), "Where alerts go."),
    Field::optional("public_url", Shape::Text, "Where people reach the console; for links."),
    Field::optional(
        "limits",
        Shape::Map(&[
            Field::optional(
                "body_bytes_max",
                Shape::Int(1),
                "Longest request body in bytes; 67108864.",
            ),
            Field::optional(
                "queue_max",
                Shape::Int(1),
                "Requests that may wait for the engine; 64.",
            ),
            Field::optional(
                "dead_letters_listed_max",
                Shape::Int(0),
                "Dead letters listed in one answer; 1000.",
            ),
            Field::optional(
                "outbox_max",
                Shape::Int(1),
                "Revisions of alerts that wait for one sink; 10000. Then the oldest are dropped.",
            ),
        ]),
        "What the engine takes at most.",
    ),
]);

impl Config {
    /// What holds without a file.
    #[must_use]
    pub fn defaults() -> Self {
        Self {
            data: "data".into(),
            rules: "rules".into(),
            zone: Zone::parse("Asia/Shanghai").unwrap_or_else(|_| Zone::utc()),
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            behind_proxy: false,
            shards: 1,
            sources: Vec::new(),
            stdin: None,
            sinks: Vec::new(),
            outlets: Vec::new(),
            public_url: None,
            limits: Limits::default(),
        }
    }

    /// Reads `path`, or takes the defaults where it is `None`, and lays the environment over it.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Findings`], [`Error::Variable`].
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut config = match path {
            None => Self::defaults(),
            Some(path) => {
                let read = fs::read_to_string(path);
                let source =
                    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
                Self::parse(path, &source)?
            }
        };
        for (name, value) in environment {
            config.set(&name, &value)?;
        }
        Ok(config)
    }

    /// Reads the text of a configuration file that lies at `path`.
    ///
    /// # Errors
    /// [`Error::Findings`] with all of them.
    pub fn parse(path: &Path, source: &str) -> Result<Self, Error> {
        let refused = |mut findings: Vec<Diagnostic>| {
            findings.iter_mut().for_each(|d| d.file = path.to_owned());
            Error::Findings { path: path.to_owned(), text: source.to_owned(), findings }
        };
        let only_comments =
            source.lines().all(|l| l.trim().is_empty() || l.trim().starts_with('#'));
        if only_comments {
            return Ok(Self::defaults());
        }
        let root = Node::parse(source).map_err(refused)?;
        let mut findings = SHAPE.check(&root);
        findings.retain(|d| d.level == Level::Error);
        if !findings.is_empty() {
            return Err(refused(findings));
        }
        let base = path.parent().unwrap_or(Path::new(""));
        let config = Self::read(&root, base, &mut findings);
        if findings.is_empty() { Ok(config) } else { Err(refused(findings)) }
    }

    /// Refuses an address that others can reach, unless a proxy guards it.
    ///
    /// # Errors
    /// [`Error::NotLoopback`].
    pub fn check_listen(&self) -> Result<(), Error> {
        let guarded = self.listen.ip().is_loopback() || self.behind_proxy;
        if guarded { Ok(()) } else { Err(Error::NotLoopback(self.listen)) }
    }

    /// Where people reach the console, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> String {
        let listen = || format!("http://{}", self.listen);
        self.public_url.clone().unwrap_or_else(listen).trim_end_matches('/').to_owned()
    }

    fn read(root: &Node, base: &Path, findings: &mut Vec<Diagnostic>) -> Self {
        let mut config = Self::defaults();
        let text = |name: &str| root.get(name).and_then(Node::text);
        let path = |text: &Spanned<String>| base.join(&text.value);
        config.data = text("data").map_or(base.join(&config.data), |t| path(&t));
        config.rules = text("rules").map_or(base.join(&config.rules), |t| path(&t));
        if let Some(zone) = text("zone") {
            match Zone::parse(&zone.value) {
                Ok(zone) => config.zone = zone,
                Err(e) => {
                    findings.push(Diagnostic::error("config::zone", zone.span, e.to_string()))
                }
            }
        }
        if let Some(listen) = text("listen") {
            match listen.value.parse() {
                Ok(address) => config.listen = address,
                Err(_) => findings.push(
                    Diagnostic::error(
                        "config::listen",
                        listen.span,
                        address_expected(&listen.value),
                    )
                    .label("not an address with a port"),
                ),
            }
        }
        let flag = |node: Option<&Node>| node.and_then(Node::bool).unwrap_or(false);
        config.behind_proxy = flag(root.get("behind_proxy"));
        let count = |node: Option<&Node>, default: usize| {
            node.and_then(Node::int).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
        };
        config.shards = count(root.get("shards"), config.shards);
        match text("stdin").map(|t| (StdinSource::parse(&t.value), t.span)) {
            Some((Ok(stdin), _)) => config.stdin = Some(stdin),
            Some((Err(why), span)) => {
                findings.push(Diagnostic::error("config::stdin", span, why));
            }
            None => {}
        }
        for source in root.get("sources").map_or(&[][..], Node::items) {
            let part = |name: &str| source.get(name).and_then(Node::text);
            if let (Some(feed), Some(at)) = (part("feed"), part("path")) {
                let once = flag(source.get("once"));
                config.sources.push(FileSource { feed: feed.value, path: path(&at), once });
            }
        }
        let sinks = root.get("sinks").map_or(&[][..], Node::items);
        config.sinks =
            sinks.iter().filter_map(|s| s.get("file")?.text()).map(|t| path(&t)).collect();
        for sink in sinks.iter().filter(|s| s.get("kind").is_some()) {
            if let Some(outlet) = outlet(sink, base, &config.outlets, findings) {
                config.outlets.push(outlet);
            }
        }
        config.public_url = text("public_url").and_then(|t| url(&t, findings));
        let limit = |name: &str| root.get("limits").and_then(|l| l.get(name));
        config.limits = Limits {
            body_bytes_max: count(limit("body_bytes_max"), config.limits.body_bytes_max),
            queue_max: count(limit("queue_max"), config.limits.queue_max),
            dead_letters_listed_max: count(
                limit("dead_letters_listed_max"),
                config.limits.dead_letters_listed_max,
            ),
            outbox_max: count(limit("outbox_max"), config.limits.outbox_max),
        };
        config
    }

    /// Lays one variable of the environment over the configuration; others than ours are passed over.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let wrong = |expected: &str| Error::Variable {
            name: name.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let number = |least: usize| {
            let read = value.parse().ok().filter(|n| *n >= least);
            read.ok_or_else(|| wrong(&format!("expected a whole number of at least {least}")))
        };
        match name {
            "FOREWARN_DATA" => self.data = value.into(),
            "FOREWARN_RULES" => self.rules = value.into(),
            "FOREWARN_ZONE" => self.zone = Zone::parse(value).map_err(|e| wrong(&e.to_string()))?,
            "FOREWARN_LISTEN" => {
                self.listen = value.parse().map_err(|_| wrong(&address_expected(value)))?;
            }
            "FOREWARN_PUBLIC_URL" => {
                let url = Some(value.to_owned()).filter(|u| is_url(u));
                self.public_url = Some(url.ok_or_else(|| wrong(URL_EXPECTED))?);
            }
            "FOREWARN_BEHIND_PROXY" => {
                self.behind_proxy = value.parse().map_err(|_| wrong("expected true or false"))?;
            }
            "FOREWARN_SHARDS" => self.shards = number(1)?,
            "FOREWARN_STDIN" => {
                self.stdin = Some(StdinSource::parse(value).map_err(|why| wrong(&why))?);
            }
            "FOREWARN_LIMITS_BODY_BYTES_MAX" => self.limits.body_bytes_max = number(1)?,
            "FOREWARN_LIMITS_QUEUE_MAX" => self.limits.queue_max = number(1)?,
            "FOREWARN_LIMITS_DEAD_LETTERS_LISTED_MAX" => {
                self.limits.dead_letters_listed_max = number(0)?;
            }
            "FOREWARN_LIMITS_OUTBOX_MAX" => self.limits.outbox_max = number(1)?,
            _ => {}
        }
        Ok(())
    }
}

const URL_EXPECTED: &str =
    "expected an http or https URL without user and query, like \"http://alertmanager:9093\"";

/// A text that must be a URL.
fn url(text: &Spanned<String>, findings: &mut Vec<Diagnostic>) -> Option<String> {
    if is_url(&text.value) {
        return Some(text.value.clone());
    }
    let message = format!("URL {:?}: {URL_EXPECTED}", text.value);
    findings.push(Diagnostic::error("config::url", text.span.clone(), message).label("not a URL"));
    None
}

fn address_expected(found: &str) -> String {
    format!("listen address {found:?}: expected an IP address and a port like {DEFAULT_LISTEN:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Config, Error> {
        Config::parse(Path::new("/etc/forewarn/forewarn.yaml"), source)
    }

    #[test]
    fn everything_may_be_left_out() {
        for source in ["", "# nothing yet\n", "zone: Asia/Shanghai\n"] {
            let config = parse(source).unwrap();
            assert_eq!(
                (config.zone.name(), config.listen.port()),
                ("Asia/Shanghai", 8420),
                "{source}"
            );
            assert_eq!(config.limits, Limits::default());
        }
    }

    #[test]
    fn every_field_is_read_and_paths_start_at_the_file() {
        let config = parse(
            "data: /var/lib/forewarn\nrules: rules\nzone: UTC\nlisten: \"[::1]:9000\"\nbehind_proxy: true\nshards: 2\n\
             stdin: complaints\nsources:\n  - {feed: sampling, path: in/抽检.csv, once: true}\n\
             sinks:\n  - file: out/alerts.ndjson\nlimits: {body_bytes_max: 100, queue_max: 3, outbox_max: 5}\n",
        )
        .unwrap();
        assert_eq!(config.data, Path::new("/var/lib/forewarn"));
        assert_eq!(config.rules, Path::new("/etc/forewarn/rules"));
        assert_eq!(config.listen.to_string(), "[::1]:9000");
        let source = FileSource {
            feed: "sampling".into(),
            path: "/etc/forewarn/in/抽检.csv".into(),
            once: true,
        };
        assert_eq!(config.sources, [source]);
        assert_eq!(config.sinks, [Path::new("/etc/forewarn/out/alerts.ndjson")]);
        let limits =
            Limits { body_bytes_max: 100, queue_max: 3, outbox_max: 5, ..Limits::default() };
        assert_eq!((config.limits, config.shards, config.behind_proxy), (limits, 2, true));
        assert_eq!((config.stdin, config.zone.name()), (stdin("complaints").ok(), "UTC"));
    }

    #[test]
    fn all_findings_come_at_once_with_their_places() {
        let Err(Error::Findings { findings, .. }) = parse("zone: Mars\nlisten: nowhere\n") else {
            panic!("taken")
        };
        let found: Vec<_> = findings.iter().map(|d| (d.code, d.span.clone())).collect();
        assert_eq!(found, [("config::zone", 6..10), ("config::listen", 19..26)]);
        for (source, code) in [
            ("lisen: 127.0.0.1:1\n", "yaml::unknown_field"),
            ("shards: 0\n", "yaml::wrong_type"),
            ("sources:\n  - {feed: x}\n", "yaml::missing_field"),
            ("zone: [\n", "yaml::syntax"),
        ] {
            let Err(Error::Findings { findings, .. }) = parse(source) else { panic!("{source}") };
            assert_eq!(findings[0].code, code, "{source}");
        }
    }

    fn stdin(text: &str) -> Result<StdinSource, String> {
        StdinSource::parse(text)
    }

    #[test]
    fn standard_input_says_its_format_like_the_ending_of_a_file() {
        for (text, format, compression) in [
            ("f", Format::Ndjson, Compression::None),
            ("f:csv", Format::Csv, Compression::None),
            ("f:ndjson.zst", Format::Ndjson, Compression::Zstd),
            ("f:arrow", Format::ArrowIpc, Compression::None),
        ] {
            assert_eq!(stdin(text), Ok(StdinSource { feed: "f".into(), format, compression }));
        }
        for text in ["f:", "f:xlsx", "f:gz"] {
            assert!(stdin(text).unwrap_err().contains("is no format, write ndjson"), "{text}");
        }
    }

    #[test]
    fn the_environment_overrides_scalars() {
        let load =
            |name: &str, value: &str| Config::load(None, [(name.to_owned(), value.to_owned())]);
        assert_eq!(load("FOREWARN_LISTEN", "127.0.0.1:0").unwrap().listen.port(), 0);
        assert_eq!(load("FOREWARN_LIMITS_QUEUE_MAX", "9").unwrap().limits.queue_max, 9);
        assert!(load("FOREWARN_GOLDEN_DIR", "x").is_ok());
        for (name, value) in [
            ("FOREWARN_LISTEN", "here"),
            ("FOREWARN_SHARDS", "0"),
            ("FOREWARN_BEHIND_PROXY", "maybe"),
        ] {
            let error = load(name, value).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn addresses_beyond_loopback_need_a_proxy() {
        let at = |listen: &str| parse(&format!("listen: \"{listen}\"\n")).unwrap();
        assert!(at("127.0.0.1:1").check_listen().is_ok());
        assert!(at("[::1]:1").check_listen().is_ok());
        let error = at("0.0.0.0:80").check_listen().unwrap_err().to_string();
        assert!(error.contains("behind_proxy") && error.contains("authentication"), "{error}");
        assert!(Config { behind_proxy: true, ..at("0.0.0.0:80") }.check_listen().is_ok());
    }
}
