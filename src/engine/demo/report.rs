//! Report: what the engine found of what was planted in the province.
//!
//! In: the alerts in the store, and the truth about the days until now. Out: the score, and which alert to look at first.

use super::super::{
    desk::{AlertQuery, Desk, Error},
    score::{Raised, Score},
    view::AlertRow,
};
use crate::{
    model::{alert::State, signal::Key},
    source::demo::{Simulation, day_of, incident::Incident},
    store::alerts::{PAGE_MAX, Sort},
};

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// What was planted until now, in the order of beginning.
    pub incidents: Vec<Incident>,
    /// The alerts, in the order in which they became known.
    pub alerts: Vec<AlertRow>,
    /// The alerts held against the incidents; positions are those of the two lists.
    pub score: Score,
}

impl Report {
    /// Holds the alerts at the desk against what was planted from `first_day` until `now_ms`.
    ///
    /// # Errors
    /// [`Error`] of reading alerts.
    pub fn of(
        desk: &Desk,
        province: &Simulation,
        first_day: i32,
        now_ms: i64,
    ) -> Result<Self, Error> {
        let alerts = all(desk)?;
        let incidents = province.incidents(first_day..day_of(now_ms));
        let keys: Vec<Key> = alerts.iter().map(|a| Key::new(a.key.clone())).collect();
        let instant = |text: &str| desk.zone().parse_instant(text).unwrap_or(i64::MAX);
        let raised = |(alert, key)| {
            let alert: &AlertRow = alert;
            Raised {
                rule: &alert.rule,
                key,
                fired_ms: instant(&alert.fired_at),
                known_ms: instant(&alert.known_at),
                retracted: alert.state == State::Retracted,
            }
        };
        let raised: Vec<Raised<'_>> = alerts.iter().zip(&keys).map(raised).collect();
        let score = Score::of(&incidents, &raised, now_ms);
        Ok(Self { incidents, alerts, score })
    }

    /// How many alerts fire.
    #[must_use]
    pub fn firing(&self) -> usize {
        self.alerts.iter().filter(|a| a.state == State::Firing).count()
    }

    /// An alert worth looking at first: of those that found an incident one that fires and is grave, the latest of them.
    #[must_use]
    pub fn first_look(&self) -> Option<&AlertRow> {
        let found = self.score.found.iter().map(|f| (f.alert, &self.alerts[f.alert]));
        let worth = |(i, alert): &(usize, &AlertRow)| {
            (alert.state == State::Firing, alert.subject.is_some(), alert.severity, *i)
        };
        found.max_by_key(worth).map(|(_, alert)| alert)
    }
}

/// All alerts, in the order in which they became known.
fn all(desk: &Desk) -> Result<Vec<AlertRow>, Error> {
    let (mut alerts, mut cursor) = (Vec::new(), None);
    loop {
        let query =
            AlertQuery { sort: Sort::Known, cursor, limit: PAGE_MAX, ..AlertQuery::default() };
        let page = desk.alerts(query)?;
        alerts.extend(page.alerts);
        cursor = page.next;
        if cursor.is_none() {
            alerts.reverse();
            return Ok(alerts);
        }
    }
}
