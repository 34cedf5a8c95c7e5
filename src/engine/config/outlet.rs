//! Outlets: the sinks on the network that `forewarn.yaml` names.
//!
//! In: one entry of `sinks` with a `kind`. Out: where alerts are sent and how, with secrets read from their files; or
//! findings.

use std::{fs, path::Path};

use super::url;
use crate::{
    model::{
        diagnostic::Diagnostic,
        shape::{Field, Shape},
        yaml::{Node, Spanned},
    },
    sink::http::Guard,
};

/// A sink on the network.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Its name in metrics, logs and delivery keys, different from all others.
    pub name: String,
    /// What it is.
    pub kind: OutletKind,
}

/// See [`Outlet`].
#[derive(Clone)]
pub enum OutletKind {
    /// Prometheus' Alertmanager.
    Alertmanager {
        /// Its base URL.
        url: String,
    },
    /// A receiver of signed POSTs.
    Webhook {
        /// Where to.
        url: String,
        /// One or two secrets to sign with; none: unsigned.
        secrets: Vec<Vec<u8>>,
        /// Which private addresses it may have.
        guard: Guard,
    },
}

/// What may stand in such an entry.
pub(super) const OUTLET: Shape = Shape::Map(&[
    Field::required("kind", Shape::Word(&["alertmanager", "webhook"]), "What it is."),
    Field::required("url", Shape::Text, "Where it is: an http or https URL."),
    Field::optional("name", Shape::Name, "Its name in metrics and logs; the kind."),
    Field::optional(
        "secret_files",
        Shape::OneOrMore(&Shape::Text),
        "Webhook: one or two files, each with a secret that requests are signed with.",
    ),
    Field::optional(
        "allow",
        Shape::OneOrMore(&Shape::Text),
        "Webhook: hosts and networks that may be private ones, like 10.1.0.0/16.",
    ),
]);
/// Most secrets at a time: the old one and the new one.
const SECRETS_MAX: usize = 2;

/// A sink on the network; `others` came before it in the file.
pub(super) fn outlet(
    sink: &Node,
    base: &Path,
    others: &[Outlet],
    findings: &mut Vec<Diagnostic>,
) -> Option<Outlet> {
    let text = |name: &str| sink.get(name).and_then(Node::text);
    let kind = text("kind")?;
    let url = url(&text("url")?, findings);
    let named = text("name").unwrap_or_else(|| kind.clone());
    if others.iter().any(|o| o.name == named.value) || named.value == "file" {
        let message = format!("there are two sinks {:?}", named.value);
        let finding = Diagnostic::error("config::sink_name", named.span.clone(), message);
        findings.push(finding.label("give each a name of its own: name: …"));
    }
    let texts = |name: &str| sink.get(name).map_or_else(Vec::new, Node::texts);
    if kind.value == "alertmanager" {
        for name in ["secret_files", "allow"] {
            if let Some(node) = sink.get(name) {
                let message = format!("field {name:?} has no effect on an Alertmanager");
                findings.push(Diagnostic::error("config::no_effect", node.span(), message));
            }
        }
        return Some(Outlet { name: named.value, kind: OutletKind::Alertmanager { url: url? } });
    }
    let files = texts("secret_files");
    if let Some(third) = files.get(SECRETS_MAX) {
        let message = format!("there are {} secrets, at most {SECRETS_MAX} are used", files.len());
        findings.push(Diagnostic::error("config::secret_files", third.span.clone(), message));
    }
    let secrets = files.iter().filter_map(|file| secret(&base.join(&file.value), file, findings));
    let secrets = secrets.collect();
    let allow = texts("allow");
    let guard = Guard::try_new(allow.iter().map(|t| t.value.as_str())).map_err(|bad| {
        let span = allow.iter().find(|t| t.value == bad).map_or(sink.span(), |t| t.span.clone());
        let message = format!("{bad:?} is not a host, an address or a network like 10.1.0.0/16");
        findings.push(Diagnostic::error("config::allow", span, message));
    });
    let kind = OutletKind::Webhook { url: url?, secrets, guard: guard.ok()? };
    Some(Outlet { name: named.value, kind })
}

/// The secret in a file, without the line's end.
fn secret(path: &Path, named: &Spanned<String>, findings: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let read = fs::read(path).map(|bytes| bytes.trim_ascii_end().to_vec());
    let fault = match read {
        Ok(bytes) if !bytes.is_empty() => return Some(bytes),
        Ok(_) => "it is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("secret file {}: {fault}", path.display());
    findings.push(Diagnostic::error("config::secret_files", named.span.clone(), message));
    None
}

impl std::fmt::Debug for OutletKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alertmanager { url } => write!(f, "Alertmanager({url})"),
            Self::Webhook { url, secrets, .. } => {
                write!(f, "Webhook({url}, {} secret(s))", secrets.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, Error},
        *,
    };

    #[test]
    fn sinks_on_the_network() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("new.secret"), "s3cret\n").unwrap();
        let parse = |text: &str| Config::parse(&dir.path().join("forewarn.yaml"), text);
        let config = parse(
            "public_url: https://forewarn.example/\nsinks:\n  - {file: alerts.ndjson}\n\
             \x20 - {kind: alertmanager, url: \"http://am:9093\"}\n\
             \x20 - {kind: webhook, name: desk, url: \"https://hooks.example/a\", secret_files: new.secret, allow: [10.0.0.0/8]}\n",
        )
        .unwrap();
        assert_eq!(
            format!("{:?}", config.outlets),
            "[Outlet { name: \"alertmanager\", kind: Alertmanager(http://am:9093) }, \
             Outlet { name: \"desk\", kind: Webhook(https://hooks.example/a, 1 secret(s)) }]"
        );
        assert_eq!(config.public_url(), "https://forewarn.example");
        assert!(
            matches!(&config.outlets[1].kind, OutletKind::Webhook { secrets, .. } if secrets[0] == b"s3cret")
        );
        assert_eq!(Config::defaults().public_url(), "http://127.0.0.1:8420");

        for (sink, code, at) in [
            ("{kind: alertmanger, url: \"http://am\"}", "yaml::wrong_type", "alertmanger"),
            ("{knid: alertmanager}", "yaml::unknown_field", "knid"),
            ("{kind: alertmanager}", "yaml::missing_field", "kind"),
            ("{kind: alertmanager, url: \"am:9093\"}", "config::url", "\"am:9093\""),
            ("{kind: alertmanager, url: \"http://am\", allow: [x]}", "config::no_effect", "[x]"),
            ("{kind: alertmanager, url: \"http://am\", nmae: x}", "yaml::unknown_field", "nmae"),
            ("{kind: webhook, url: \"http://a\", name: file}", "config::sink_name", "file"),
            (
                "{kind: webhook, url: \"http://a\", allow: [10.0.0.0/40]}",
                "config::allow",
                "10.0.0.0/40",
            ),
            (
                "{kind: webhook, url: \"http://a\", secret_files: none}",
                "config::secret_files",
                "none",
            ),
        ] {
            let source = format!("sinks:\n  - {sink}\n");
            let Err(Error::Findings { findings, .. }) = parse(&source) else {
                panic!("taken: {sink}")
            };
            let found: Vec<_> =
                findings.iter().map(|d| (d.code, &source[d.span.clone()])).collect();
            assert_eq!(found, [(code, at)], "{sink}");
        }
        let twice = "sinks:\n  - {kind: webhook, url: \"http://a\"}\n  - {kind: webhook, url: \"http://b\"}\n";
        assert!(
            matches!(parse(twice), Err(Error::Findings { findings, .. }) if findings[0].code == "config::sink_name")
        );
    }
}
