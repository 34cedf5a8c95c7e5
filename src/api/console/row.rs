//! Row: one alert in a table; on its own a fragment that takes the place of an older one.

use maud::{Markup, html};
use serde_json::Value;

use super::{address::escape, language::Language, show, strip::Strip, words};
use crate::{
    engine::view::AlertRow,
    model::{reference::region, time::Zone},
};

/// Columns of keys that hold codes of regions.
const REGIONS: [&str; 4] = ["region", "province", "city", "county"];

/// What rows of one table share.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) language: Language,
    pub(super) zone: Zone,
    /// Where the data end; ages are held against it.
    pub(super) data_ms: Option<i64>,
}

impl Rows {
    pub(super) fn of(language: Language, strip: &Strip) -> Self {
        Self { language, zone: strip.zone.clone(), data_ms: strip.data_ms }
    }

    /// The head of a table of alerts.
    pub(super) fn head(&self) -> Markup {
        let l = self.language;
        html! {
            thead {
                tr {
                    th.severity scope="col" { (words::SEVERITY.of(l)) }
                    th.state scope="col" { (words::STATE.of(l)) }
                    th.title scope="col" { (words::TITLE.of(l)) }
                    th.subject scope="col" { (words::SUBJECT.of(l)) }
                    th.place scope="col" { (words::PLACE.of(l)) }
                    th.fired scope="col" { (words::FIRED.of(l)) }
                    th.age scope="col" title=(words::AGE_NOTE.of(l)) { (words::AGE.of(l)) }
                    th.records scope="col" { (words::RECORDS.of(l)) }
                }
            }
        }
    }

    /// One alert; `passes` is whether it is in the list's filter.
    pub(super) fn row(&self, alert: &AlertRow, passes: bool) -> Markup {
        let l = self.language;
        let title = l.of(&alert.title);
        let message = l.of(&alert.message);
        let subject = subject(alert);
        let place = place(alert);
        let age = show::age(&alert.fired_at, self.data_ms, &self.zone, l);
        html! {
            tr id={ "alert-" (alert.id) } data-alert=(alert.id) data-revision=(alert.revision) data-in[passes]
               class={ (alert.severity.word()) " " (alert.state.word()) @if !passes { " gone" } }
               title=[(!passes).then_some(words::GONE.of(l))] {
                td.severity { (show::severity(alert.severity, l)) }
                td.state { (show::state(alert.state, l)) }
                td.title {
                    a href=(href(alert)) { bdi { (title) } }
                    @if !message.is_empty() { " " bdi.message title=(message) { (message) } }
                    span.sub { (show::state(alert.state, l)) " " bdi { (subject) } " " bdi { (place) } }
                }
                td.subject title=[alert.subject.as_ref().map(|s| s.ucc.as_str())] { bdi { (subject) } }
                td.place title=[alert.region.as_deref()] { bdi { (place) } }
                td.fired { (show::instant(&alert.fired_at)) }
                td.age { (age) }
                td.records { (show::count(alert.evidence_total)) }
            }
        }
    }
}

/// Where an alert's page is.
pub(super) fn href(alert: &AlertRow) -> String {
    format!("/alerts/{}", escape(&alert.id))
}

/// Whom an alert is about: the business's name or code, else the values of the key.
pub(super) fn subject(alert: &AlertRow) -> String {
    match &alert.subject {
        Some(business) => business.name.clone().unwrap_or_else(|| business.ucc.clone()),
        None => alert
            .key
            .iter()
            .map(|(name, value)| of_key(name, value))
            .collect::<Vec<_>>()
            .join(" · "),
    }
}

/// A value of a key; a region by its name.
pub(super) fn of_key(name: &str, value: &Value) -> String {
    region_of(name, value).map_or_else(|| show::value(value), str::to_owned)
}

/// Where an alert is: its region, else the one its key names.
pub(super) fn place(alert: &AlertRow) -> &str {
    let named = || alert.key.iter().find_map(|(name, value)| region_of(name, value));
    let known = alert.region_name.as_deref().or(alert.region.as_deref());
    known.or_else(named).unwrap_or(show::NOTHING)
}

/// Name of the region that a column of a key is about.
fn region_of(column: &str, value: &Value) -> Option<&'static str> {
    let code = value.as_str().filter(|_| REGIONS.contains(&column))?;
    region::name(code)
}
