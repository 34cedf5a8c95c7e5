//! Http: one POST at a time to a receiver that may be slow, away, or fed up.
//!
//! In: an address and a body. Out: whether the receiver has it, refuses it for good, or wants it again later; and how long
//! to wait then ([`Backoff`]). Redirects are not followed and no proxy is used, so a request goes where it was sent.
//! [`Guard`] keeps requests out of private networks unless they are listed there.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ureq::{
    Agent,
    config::Config,
    http::{HeaderMap, Uri},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// Longest time for one request, name look-up and answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So much of a refusal is kept.
const ANSWER_BYTES_MAX: u64 = 1_000;
/// First wait after a failure; doubled with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Any 2xx.
    Done,
    /// A status that another attempt would not change: 4xx but 408, 425 and 429.
    Refused {
        /// The status.
        status: u16,
        /// The first part of the answer.
        text: String,
    },
    /// No answer, or one that asks to come again.
    Later {
        /// What happened.
        why: String,
        /// The receiver said when (`Retry-After`).
        after: Option<Duration>,
    },
}

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Client(Agent);

impl Client {
    /// A client; with a guard it refuses to speak to addresses that the guard does not let through.
    #[must_use]
    pub fn new(guard: Option<Guard>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("forewarn/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(match guard {
            None => Agent::new_with_config(config),
            Some(guard) => Agent::with_parts(config, DefaultConnector::default(), guard),
        })
    }

    /// Posts JSON with further headers. `now_ms` is for answers that name a date.
    #[must_use]
    pub fn post(&self, url: &str, headers: &[(&str, String)], body: &[u8], now_ms: i64) -> Reply {
        let mut request = self.0.post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        match request.send(body) {
            Ok(mut answer) => {
                let after = retry_after(answer.headers(), now_ms);
                let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
                reply(answer.status().as_u16(), text.unwrap_or_default(), after)
            }
            Err(error) => Reply::Later { why: error.to_string(), after: None },
        }
    }

    /// Gets `url`; returns the status.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn get(&self, url: &str) -> Result<u16, String> {
        self.0.get(url).call().map(|a| a.status().as_u16()).map_err(|e| e.to_string())
    }
}

fn reply(status: u16, text: String, after: Option<Duration>) -> Reply {
    match status {
        200..=299 => Reply::Done,
        400..=499 if ![408, 425, 429].contains(&status) => Reply::Refused { status, text },
        _ => Reply::Later { why: format!("status {status} {}", text.trim()), after },
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(Duration::from_millis(u64::try_from(at - now_ms).unwrap_or(0)))
}

/// How long to wait after failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt: doubled each time, between half and the whole of that by chance so that many
    /// senders do not come back at once, and never shorter than the receiver asked for.
    pub fn wait(&mut self, after: Option<Duration>) -> Duration {
        let whole = WAIT_FIRST.saturating_mul(1 << self.failures.min(16)).min(WAIT_MAX);
        self.failures += 1;
        let mut random = [0; 4];
        // Without chance the wait is the longest one.
        let share = getrandom::fill(&mut random).map_or(1.0, |()| {
            0.5 + 0.5 * f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)
        });
        whole.mul_f64(share).max(after.unwrap_or_default())
    }

    /// An attempt was successful.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether `text` is an address to send to: `http` or `https`, with a host, without user or query.
#[must_use]
pub fn is_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        let authority = uri.authority().map_or("", |a| a.as_str());
        matches!(uri.scheme_str(), Some("http" | "https"))
            && !authority.is_empty()
            && !authority.contains('@')
            && uri.query().is_none()
    })
}

/// Lets requests to public addresses through, and to private ones that are listed.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Vec<Allowed>,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Host(String),
    Net(IpAddr, u32),
}

impl Guard {
    /// A guard that also lets through these host names, addresses and networks (`10.1.0.0/16`).
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn try_new<'a>(allow: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let read = |text: &str| -> Option<Allowed> {
            let (address, bits) = match text.split_once('/') {
                Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
                None => (text, None),
            };
            match address.parse::<IpAddr>() {
                Ok(ip) => {
                    let most = if ip.is_ipv4() { 32 } else { 128 };
                    bits.is_none_or(|b| b <= most).then(|| Allowed::Net(ip, bits.unwrap_or(most)))
                }
                Err(_) if bits.is_none() && is_host(address) => {
                    Some(Allowed::Host(address.to_ascii_lowercase()))
                }
                Err(_) => None,
            }
        };
        let allow = allow.into_iter().map(|text| read(text).ok_or_else(|| text.to_owned()));
        Ok(Self { allow: allow.collect::<Result<_, _>>()? })
    }

    fn lets(&self, host: &str, ip: IpAddr) -> bool {
        let listed = self.allow.iter().any(|a| match a {
            Allowed::Host(name) => name.eq_ignore_ascii_case(host),
            Allowed::Net(net, bits) => in_net(ip, *net, *bits),
        });
        listed || is_public(ip)
    }
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // What is checked is what is connected to, so that a name cannot change its mind in between.
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default();
        if let Some(private) = found.iter().find(|a| !self.lets(host, a.ip())) {
            let text = format!(
                "{host} is the private address {}, list it under \"allow\" if it is meant",
                private.ip()
            );
            return Err(ureq::Error::Other(text.into()));
        }
        Ok(found)
    }
}

fn is_host(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    !text.is_empty() && text.chars().all(is_plain)
}

fn in_net(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    let (a, b, width) = match (ip, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let shift = width - bits;
    shift >= 128 || a >> shift == b >> shift
}

/// Whether an address is one of the open internet. What is not known to be is not.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            if let Some(v4) = ip.to_ipv4_mapped() {
                return is_public_v4(v4);
            }
            let segments = ip.segments();
            // Global unicast is 2000::/3; in it 2001:db8::/32 is for documents, 2002::/16 and 2001::/32 hold v4 addresses.
            segments[0] & 0xe000 == 0x2000
                && segments[0] != 0x2002
                && !(segments[0] == 0x2001 && (segments[1] == 0x0db8 || segments[1] == 0))
        }
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 224
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || shared
        || benchmark
        || protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (status, done, refused) in [
            (200, true, false),
            (202, true, false),
            (301, false, false),
            (400, false, true),
            (404, false, true),
            (408, false, false),
            (422, false, true),
            (425, false, false),
            (429, false, false),
            (500, false, false),
            (503, false, false),
        ] {
            let found = reply(status, String::new(), None);
            assert_eq!(
                (found == Reply::Done, matches!(found, Reply::Refused { .. })),
                (done, refused),
                "{status}"
            );
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            retry_after(&headers, 784_111_777_000 - 5_000)
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(of("Sun, 06 Nov 1993 08:49:37 GMT"), None, "not a Sunday");
        assert_eq!(of("soon"), None);
    }

    #[test]
    fn waits_double_up_to_a_limit_and_obey_the_receiver() {
        let mut backoff = Backoff::default();
        for whole in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let wait = backoff.wait(None).as_secs_f64();
            assert!((f64::from(whole) / 2.0..=f64::from(whole)).contains(&wait), "{whole}: {wait}");
        }
        assert_eq!(backoff.wait(Some(Duration::from_secs(900))), Duration::from_secs(900));
        backoff.reset();
        assert!(backoff.wait(None) <= WAIT_FIRST);
    }

    #[test]
    fn addresses_to_send_to() {
        for (text, good) in [
            ("http://alertmanager:9093", true),
            ("https://例.example/hook", false),
            ("https://hooks.example/a/b", true),
            ("http://[::1]:9093/am", true),
            ("ftp://x/", false),
            ("alertmanager:9093", false),
            ("http://user:word@x/", false),
            ("http://x/?a=b", false),
            ("/only/a/path", false),
            ("", false),
        ] {
            assert_eq!(is_url(text), good, "{text}");
        }
    }

    #[test]
    fn private_addresses_need_to_be_listed() {
        let guard = Guard::try_new(["10.1.0.0/16", "hooks.internal", "fd00::/8"]).unwrap();
        for (host, ip, let_through) in [
            ("a.example", "8.8.8.8", true),
            ("a.example", "2606:4700::1", true),
            ("a.example", "10.1.200.3", true),
            ("a.example", "10.2.0.1", false),
            ("hooks.internal", "192.168.3.4", true),
            ("HOOKS.internal", "192.168.3.4", true),
            ("a.example", "fd12::1", true),
            ("a.example", "127.0.0.1", false),
            ("a.example", "0.0.0.0", false),
            ("a.example", "169.254.169.254", false),
            ("a.example", "100.64.0.1", false),
            ("a.example", "192.168.1.1", false),
            ("a.example", "172.16.0.1", false),
            ("a.example", "::1", false),
            ("a.example", "::ffff:127.0.0.1", false),
            ("a.example", "fe80::1", false),
            ("a.example", "2002:7f00:1::", false),
            ("a.example", "224.0.0.1", false),
        ] {
            assert_eq!(guard.lets(host, ip.parse().unwrap()), let_through, "{host} {ip}");
        }
        for bad in ["10.0.0.0/33", "a b", "", "x/8"] {
            assert_eq!(Guard::try_new([bad]).unwrap_err(), bad);
        }
        assert!(Guard::try_new(["0.0.0.0/0"]).unwrap().lets("x", "127.0.0.1".parse().unwrap()));
    }
}
