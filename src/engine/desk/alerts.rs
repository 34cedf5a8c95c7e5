//! Alerts for readers: lists, and one with everything that explains it.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Desk, Error, text_of};
use crate::{
    engine::view::{
        AlertDetail, AlertPage, AlertRow, Business, Facet, Facets, Measured, Note, NoteKind,
        Revision, StepRow, TermRow, Text, Window,
    },
    model::{
        alert::State,
        expression::{evaluate_rows, true_mask},
        reference::region,
        signal::Severity,
        time::format_day,
        value::{row_from_values, value_at},
    },
    pane::prepare,
    rule::{
        file::RuleFile,
        plan::{RulePlan, Term},
    },
    store::alerts::{Filter, Kept, Sort, Tally},
};

/// Digits of a region code that name a city.
const CITY_DIGITS: u8 = 4;
/// What the list of regions calls the only city of a municipality.
const PLAIN_CITY: &str = "市辖区";

/// Which alerts, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// What they must be. `rules` and the rules of `text` are filled in here.
    pub filter: Filter,
    /// Of rules of this domain.
    pub domain: Option<String>,
    /// With this text in message, key, business, id, or title of the rule.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// What a list needs of an alert's body.
#[derive(Deserialize)]
struct Body {
    id: String,
    revision: u32,
    rule: String,
    version: u32,
    key: Map<String, Value>,
    record: Option<String>,
    state: State,
    severity: Severity,
    began_at: String,
    fired_at: String,
    known_at: String,
    resolved_at: Option<String>,
    window: Ends,
    values: Map<String, Value>,
    reraised: u32,
    exception: Option<String>,
    message: Both,
    evidence_total: u64,
}

/// What one alert needs beyond.
#[derive(Deserialize)]
struct Rest {
    episode: u32,
    fired_values: Map<String, Value>,
    context: Map<String, Value>,
    evidence: Vec<String>,
    #[serde(default)]
    steps: Vec<StepRow>,
    known_by: u64,
    changed_by: u64,
}

#[derive(Deserialize)]
struct Ends {
    start: String,
    end: String,
}

#[derive(Deserialize)]
struct Both {
    zh: String,
    en: String,
}

impl Desk {
    /// A page of alerts.
    ///
    /// # Errors
    /// [`Error::Store`], also for a cursor that is none of this list.
    pub fn alerts(&self, query: AlertQuery) -> Result<AlertPage, Error> {
        // Before the list is read: what is stored in between is then told again, never missed.
        let as_of = self.stream.latest();
        let AlertQuery { filter, domain, text, sort, cursor, limit } = query;
        let filter = self.filter(filter, domain.as_deref(), text);
        let page = self.read(|store| store.page(&filter, sort, cursor.as_deref(), limit))?;
        let alerts = page.alerts.iter().map(|kept| self.row(kept));
        Ok(AlertPage {
            alerts: alerts.collect::<Result<_, _>>()?,
            next: page.next,
            total: page.total,
            as_of,
        })
    }

    /// How many alerts of each kind pass the filter; order, cursor and limit do not matter.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn facets(&self, query: AlertQuery) -> Result<Facets, Error> {
        let asked = self.filter(query.filter, query.domain.as_deref(), query.text);
        let others =
            Filter { states: Vec::new(), severities: Vec::new(), rules: None, ..asked.clone() };
        let elsewhere = Filter { region: None, ..asked.clone() };
        let (tally, places) = self
            .read(|store| Ok((store.tally(&others)?, store.regions(&elsewhere, CITY_DIGITS)?)))?;
        let state = |t: &Tally| asked.states.is_empty() || asked.states.contains(&t.state);
        let severity =
            |t: &Tally| asked.severities.is_empty() || asked.severities.contains(&t.severity);
        let rule = |t: &Tally| asked.rules.as_ref().is_none_or(|r| r.contains(&t.rule));
        let sum = |of: &dyn Fn(&Tally) -> bool| {
            tally.iter().filter(|t| of(t)).map(|t| t.alerts).sum::<u64>()
        };
        let plain =
            |word: &str, alerts| Facet { word: word.to_owned(), title: Text::default(), alerts };
        let states =
            State::ALL.map(|s| plain(s.word(), sum(&|t| t.state == s && severity(t) && rule(t))));
        let severities = Severity::ALL
            .map(|s| plain(s.word(), sum(&|t| t.severity == s && state(t) && rule(t))));
        let mut by_rule: BTreeMap<&str, u64> = BTreeMap::new();
        for one in tally.iter().filter(|t| state(t) && severity(t)) {
            *by_rule.entry(&one.rule).or_default() += one.alerts;
        }
        let titled = |(id, alerts): (&str, u64)| Facet {
            word: id.to_owned(),
            title: self.title(id),
            alerts,
        };
        let mut rules: Vec<Facet> = by_rule.into_iter().map(titled).collect();
        rules.sort_by_key(|f| std::cmp::Reverse(f.alerts));
        let city = |(code, alerts): (String, u64)| {
            let named = region::name(&code).filter(|name| *name != PLAIN_CITY);
            // A municipality is a province by its code.
            let named = named.or_else(|| region::name(code.get(..2)?));
            let name = named.unwrap_or(&code).to_owned();
            Facet { title: Text { zh: name.clone(), en: name }, word: code, alerts }
        };
        Ok(Facets {
            states: states.into(),
            severities: severities.into_iter().rev().collect(),
            rules,
            cities: places.into_iter().map(city).collect(),
        })
    }

    /// One alert as lists show it; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn alert_row(&self, id: &str) -> Result<Option<AlertRow>, Error> {
        self.read(|store| store.kept(id))?.map(|kept| self.row(&kept)).transpose()
    }

    /// One alert with everything that explains it; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Log`].
    pub fn alert(&self, id: &str) -> Result<Option<AlertDetail>, Error> {
        let Some(kept) = self.read(|store| store.kept(id))? else { return Ok(None) };
        let alert = self.row(&kept)?;
        let rest: Rest = body(&alert.id, &kept)?;
        let file = self.rule(&alert.rule);
        let planned = self.planned(&alert.rule).filter(|(_, plan)| plan.version == alert.version);
        let terms = match planned {
            Some((_, plan)) => self.terms(plan, &alert)?,
            None => Vec::new(),
        };
        Ok(Some(AlertDetail {
            episode: rest.episode,
            terms,
            steps: rest.steps,
            measures: measures(file, &alert.values),
            params: file.map_or_else(Map::new, params),
            fired_values: rest.fired_values,
            context: rest.context,
            history: self.history(id)?,
            series: match planned {
                Some((rule, _)) => self.series(rule, &alert)?,
                None => None,
            },
            evidence: rest.evidence,
            notes: notes(&alert, file),
            action: file.map_or_else(Text::default, |f| text_of(&f.alert.action)),
            basis: file.map_or_else(Vec::new, |f| f.alert.basis.clone()),
            rule_text: file.map(|f| f.source.to_string()),
            known_by: rest.known_by,
            changed_by: rest.changed_by,
            alert,
        }))
    }

    /// All revisions of one alert as they were told, oldest first; empty when there is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn revisions(&self, id: &str) -> Result<Vec<Map<String, Value>>, Error> {
        self.read(|store| store.revisions(id))
    }

    /// Ids of the records behind an alert, of its rule, and how many there are in all; `None` when there is none.
    pub(super) fn evidence_ids(
        &self,
        id: &str,
    ) -> Result<Option<(String, Vec<String>, u64)>, Error> {
        #[derive(Deserialize)]
        struct Evidence {
            rule: String,
            evidence: Vec<String>,
            evidence_total: u64,
        }
        let Some(kept) = self.read(|store| store.kept(id))? else { return Ok(None) };
        let found: Evidence = body(id, &kept)?;
        Ok(Some((found.rule, found.evidence, found.evidence_total)))
    }

    /// An alert as lists show it.
    pub(super) fn row(&self, kept: &Kept) -> Result<AlertRow, Error> {
        let alert: Body = body("", kept)?;
        let file = self.rule(&alert.rule);
        let subject = kept.subject.clone();
        Ok(AlertRow {
            title: self.title(&alert.rule),
            domain: file.and_then(|f| self.domain(f)),
            subject: subject.ucc.map(|ucc| Business { ucc, name: subject.name }),
            region_name: subject.region.as_deref().and_then(region::name).map(str::to_owned),
            region: subject.region,
            id: alert.id,
            revision: alert.revision,
            rule: alert.rule,
            version: alert.version,
            key: alert.key,
            record: alert.record,
            state: alert.state,
            severity: alert.severity,
            began_at: alert.began_at,
            fired_at: alert.fired_at,
            known_at: alert.known_at,
            resolved_at: alert.resolved_at,
            window: Window { start: alert.window.start, end: alert.window.end },
            values: alert.values,
            message: Text { zh: alert.message.zh, en: alert.message.en },
            evidence_total: alert.evidence_total,
            reraised: alert.reraised,
            exception: alert.exception,
        })
    }

    /// Each condition with what stands on its sides: in the values told, or in the record itself, as it is now.
    fn terms(&self, plan: &RulePlan, alert: &AlertRow) -> Result<Vec<TermRow>, Error> {
        let batch = match (&plan.instant, &alert.record) {
            (Some(instant), Some(record)) => {
                let (plan, feed) = (&self.plan, instant.feed);
                let row = self.record_row(feed, record)?;
                row.map(|row| prepare::join(&plan.schemas[feed], &plan.panes.feeds[feed], row))
            }
            _ => {
                let value = |n: &str| alert.values.get(n).cloned().unwrap_or(Value::Null);
                let row: Vec<Value> = plan.value_names().map(value).collect();
                row_from_values(&plan.value_schema, &row)
            }
        };
        Ok(batch.map_or_else(Vec::new, |batch| term_rows(&plan.terms, &batch)))
    }

    fn history(&self, id: &str) -> Result<Vec<Revision>, Error> {
        #[derive(Deserialize)]
        struct One {
            revision: u32,
            state: State,
            severity: Severity,
            values: Map<String, Value>,
            message: Both,
            evidence_total: u64,
            changed_by: u64,
        }
        let mut out = Vec::new();
        for told in self.revisions(id)? {
            let one: One =
                serde_json::from_value(Value::Object(told)).map_err(|e| corrupt(id, e))?;
            let at = self.index().arrived_ms(one.changed_by);
            out.push(Revision {
                revision: one.revision,
                at: at.map(|ms| self.zone.format(ms)),
                state: one.state,
                severity: one.severity,
                values: one.values,
                message: Text { zh: one.message.zh, en: one.message.en },
                evidence_total: one.evidence_total,
                changed_by: one.changed_by,
            });
        }
        Ok(out)
    }

    /// The filter with what only the rules in use tell.
    fn filter(&self, mut filter: Filter, domain: Option<&str>, text: Option<String>) -> Filter {
        if let Some(domain) = domain {
            let in_domain = |id: &&String| {
                self.rule(id).is_some_and(|r| self.domain(r).as_deref() == Some(domain))
            };
            let asked = filter.rules.take();
            let known = asked.unwrap_or_else(|| self.by_id.keys().cloned().collect());
            filter.rules = Some(known.iter().filter(in_domain).cloned().collect());
        }
        filter.text = text.map(|text| {
            let rules = self.rules_called(&text);
            (text, rules)
        });
        filter
    }

    /// Title of a rule; its id where the rule is gone.
    fn title(&self, rule: &str) -> Text {
        let untitled = || Text { zh: rule.to_owned(), en: rule.to_owned() };
        self.rule(rule).map_or_else(untitled, |f| text_of(&f.title))
    }

    /// Rules whose id or title holds a text.
    fn rules_called(&self, text: &str) -> Vec<String> {
        let text = text.to_lowercase();
        let holds = |r: &&RuleFile| {
            let title = text_of(&r.title);
            [&r.id.value, &title.zh, &title.en].iter().any(|t| t.to_lowercase().contains(&text))
        };
        self.rules.iter().filter(holds).map(|r| r.id.value.clone()).collect()
    }
}

fn body<'a, T: Deserialize<'a>>(id: &str, kept: &'a Kept) -> Result<T, Error> {
    serde_json::from_str(&kept.body).map_err(|e| corrupt(id, e))
}

fn corrupt(id: &str, source: serde_json::Error) -> Error {
    let path = "forewarn.db".into();
    Error::Store(crate::store::alerts::Error::Body { path, id: id.to_owned(), source })
}

/// Each of the conditions with what stands on its sides in the only row of `batch`.
fn term_rows(terms: &[Term], batch: &RecordBatch) -> Vec<TermRow> {
    let value =
        |e: &crate::model::expression::Expression| value_at(&evaluate_rows(e.as_ref(), batch).0, 0);
    let term = |term: &Term| {
        let (result, _) = evaluate_rows(term.holds.as_ref(), batch);
        let sides = term.sides.as_ref();
        TermRow {
            sql: term.text.clone(),
            holds: (!arrow::array::Array::is_null(&result, 0)).then(|| true_mask(&result).value(0)),
            left: sides.map(|(left, ..)| left.sql().to_owned()),
            value: sides.map(|(left, ..)| value(left)),
            operator: sides.map(|(_, operator, _)| operator.clone()),
            limit: sides.map(|(.., right)| value(right)),
        }
    };
    terms.iter().map(term).collect()
}

/// Every value with its definition, in the alert's order.
fn measures(file: Option<&RuleFile>, values: &Map<String, Value>) -> Vec<Measured> {
    let defined = |name: &str| {
        let measure = file?.measures.iter().find(|m| m.name.value == name)?;
        let filter = measure.filter.as_ref().map(|f| format!(" where {}", f.text));
        Some(format!("{}{}", measure.value.text, filter.unwrap_or_default()))
    };
    let measured = |(name, value): (&String, &Value)| Measured {
        name: name.clone(),
        sql: defined(name),
        value: value.clone(),
    };
    values.iter().map(measured).collect()
}

fn params(file: &RuleFile) -> Map<String, Value> {
    file.params.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect()
}

/// Who answers for an alert that is not told, why, and until when.
fn suppressed(alert: &AlertRow, file: Option<&RuleFile>) -> Note {
    let id = alert.exception.as_deref().unwrap_or_default();
    let exceptions = file.map_or(&[][..], |f| &f.exceptions.all);
    let (zh, en) = match exceptions.iter().find(|e| e.id.value == id) {
        Some(e) => {
            let (reason, by, until) = (&e.reason, &e.approved_by, format_day(e.until.value));
            (
                format!("条件成立,但例外 {id} 覆盖本对象,至 {until} 止:{reason}(批准人 {by})"),
                format!(
                    "The condition holds and exception {id} covers this key until {until}: {reason} (approved by {by})"
                ),
            )
        }
        None => (
            format!("条件成立,但例外 {id} 曾覆盖本对象,该例外现已删除"),
            format!("The condition holds; exception {id}, which is gone now, covered this key"),
        ),
    };
    Note { kind: NoteKind::Suppressed, text: Text { zh, en } }
}

fn notes(alert: &AlertRow, file: Option<&RuleFile>) -> Vec<Note> {
    let note =
        |kind, zh: &str, en: &str| Note { kind, text: Text { zh: zh.into(), en: en.into() } };
    let of_state = match alert.state {
        State::Retracted => Some(note(
            NoteKind::Retracted,
            "数据更正或撤回后,条件实际未曾成立,本预警已撤销",
            "Data were corrected or withdrawn: the condition never held, and the alert is taken back",
        )),
        State::Suppressed => Some(suppressed(alert, file)),
        State::Pending | State::Firing | State::Resolved => None,
    };
    let of_rule = match file {
        None => Some(note(
            NoteKind::RuleGone,
            "规则已不再使用,各项条件无法重算",
            "The rule is not used any more, its conditions cannot be shown",
        )),
        Some(file) if file.version != alert.version => Some(note(
            NoteKind::RuleChanged,
            "规则已有新版本,下方为现行文本,条件与曲线不再展示",
            "The rule has another version now: its present text is shown, conditions and chart are not",
        )),
        Some(_) => None,
    };
    of_state.into_iter().chain(of_rule).collect()
}
