//! Detection: whether detector, series and condition suit each other.

use arrow::datatypes::DataType;

use super::{Judge, near};
use crate::{
    detect::{Calendar, Looks, Population, Profile},
    model::yaml::Spanned,
    rule::{
        detector::{ADJUSTED, DetectFile, MethodFile, TOLD},
        expr,
        nowcast::NOWCAST,
        scope::Resolved,
    },
};

impl Judge<'_> {
    /// What can be said of a `detect` rule beyond its expressions.
    pub(super) fn detection(&mut self, resolved: &Resolved) {
        let Some(detect) = &self.rule.detect else { return };
        self.series(detect, resolved);
        for method in std::iter::once(&detect.detector).chain(&detect.fallback) {
            self.method(detect, method);
        }
        self.lengths(detect);
        self.nowcast(detect, resolved);
        self.fallback(detect);
        self.control(detect);
        self.asks_the_detector(resolved);
    }

    fn series(&mut self, detect: &DetectFile, resolved: &Resolved) {
        let of_series = 1 + usize::from(detect.population.is_some());
        let judged = self.rule.measures.iter().zip(&resolved.measures).take(of_series);
        for (file, measure) in judged {
            if !measure.data_type.is_numeric() && measure.data_type != DataType::Null {
                let message =
                    format!("the series is {}, not a number", expr::type_word(&measure.data_type));
                let label = "like count(*) or sum(amount)";
                self.error("rule::type_mismatch", file.value.span.clone(), message, label);
            }
        }
        for measure in &self.rule.measures {
            let name = measure.name.value.as_str();
            let told = TOLD.contains(&name) || name == ADJUSTED;
            if told || (detect.nowcast.is_some() && NOWCAST.contains(&name)) {
                let message = format!("measure {name:?} has the name of what the detector tells");
                let at = measure.name.span.clone();
                self.error("rule::name_taken", at, message, "give it another name");
            }
        }
        for told in TOLD.into_iter().filter(|t| self.rule.key_names().any(|k| k == *t)) {
            let at = self.rule.key.iter().find(|k| k.name == told).map(|k| k.sql.span.clone());
            let message = format!("key {told:?} has the name of what the detector tells");
            let at = at.unwrap_or(detect.period.span.clone());
            self.error("rule::name_taken", at, message, "give it another name with as");
        }
    }

    fn method(&mut self, detect: &DetectFile, method: &MethodFile) {
        let (profile, name) = (method.detector.profile(), &method.name.value);
        let at = method.name.span.clone();
        match (profile.population, &detect.population) {
            (Population::Needed, None) => self.error(
                "yaml::missing_field",
                at.clone(),
                format!("{name} judges shares: the series needs a denominator"),
                "write series: {numerator: …, denominator: …}",
            ),
            (Population::Ignored, Some(population)) => self.error(
                "rule::no_effect",
                population.clone(),
                format!("{name} does not read a population"),
                "take it out, or use bayes_predictive, count_exceedance, farrington_flexible or proportion",
            ),
            _ => {}
        }
        self.calendar(detect, method, profile);
        if profile.weeks_only && !detect.period.value.is_week() {
            let message = format!("{name} is defined for weeks only");
            self.error(
                "rule::impossible",
                detect.period.span.clone(),
                message,
                "write period: week",
            );
        }
        let needs = method.detector.history(detect.period.value.per_year());
        let baseline = detect.baseline.as_ref().filter(|_| profile.looks != Looks::Back);
        if let Some(short) = baseline.filter(|b| b.value < needs) {
            let message =
                format!("{name} needs {needs} periods of history, baseline gives {}", short.value);
            self.error(
                "rule::impossible",
                short.span.clone(),
                message,
                format!("at least {needs}"),
            );
        }
    }

    /// A nowcast needs a time before the feed's own.
    fn nowcast(&mut self, detect: &DetectFile, resolved: &Resolved) {
        let Some(nowcast) = &detect.nowcast else { return };
        let feed = self.feeds[resolved.feed].schema;
        let event_time = &feed.columns[feed.event_time].name;
        if self.rule.time.as_ref().is_none_or(|time| time.value == *event_time) {
            let message = format!(
                "the nowcast has no delay to make up for: records count at {event_time}, when they become known"
            );
            let label = "write time: with the column of when it happened";
            self.error("rule::no_effect", nowcast.span.clone(), message, label);
        }
        if detect.population.is_some() {
            let message = "a nowcast corrects one number of records, the series has two";
            self.error("rule::impossible", nowcast.span.clone(), message, "write value: count(*)");
        }
        if !detect.fill_zero {
            let message = "a period without records would have no value, and no nowcast";
            self.error("rule::impossible", nowcast.span.clone(), message, "write fill: zero");
        }
    }

    /// Whether a method can use a calendar, and judge a holiday beside the same of other years.
    fn calendar(&mut self, detect: &DetectFile, method: &MethodFile, profile: Profile) {
        let (period, name) = (detect.period.value, &method.name.value);
        if period.is_holiday() {
            if profile.calendar != Calendar::Order {
                let message = format!(
                    "{name} cannot judge holidays: to it a season or the distance of periods matters"
                );
                let label = "use bayes_predictive, count_exceedance or proportion";
                self.error("rule::impossible", method.name.span.clone(), message, label);
            }
            if let Some(calendar) = &detect.calendar {
                let message = "calendar has no effect: each holiday is compared with itself anyway";
                self.error("rule::no_effect", calendar.clone(), message, "take it out");
            }
            return;
        }
        let Some(calendar) = &detect.calendar else { return };
        let days_or_weeks = period.is_day() || period.is_week();
        match profile.calendar {
            Calendar::Blind => {
                let message = format!(
                    "{name} cannot use a calendar: it needs all periods, one behind the other, and has no term for days off"
                );
                let label = "use farrington_flexible, bayes_predictive, count_exceedance, ears or proportion, or exclude";
                self.error("rule::impossible", calendar.clone(), message, label);
            }
            Calendar::Order if !days_or_weeks => {
                let message = format!(
                    "{name} compares like with like, which only days and weeks are: periods as long as these all have days off"
                );
                let label = "use farrington_flexible, or period: week";
                self.error("rule::impossible", calendar.clone(), message, label);
            }
            Calendar::Order | Calendar::Term => {}
        }
    }

    /// `baseline` and `run` are for those methods that could look back for ever.
    fn lengths(&mut self, detect: &DetectFile) {
        let profile: Profile = detect.detector.detector.profile();
        let others = detect.fallback.iter().map(|f| f.detector.profile().looks);
        let looks: Vec<Looks> = std::iter::once(profile.looks).chain(others).collect();
        let mut without_effect = |field: Option<&Spanned<usize>>, name: &str, has: bool| {
            if let Some(field) = field.filter(|_| !has) {
                let message = format!(
                    "{name} has no effect: {} looks back as far as its own parameters say",
                    detect.detector.name.value
                );
                self.error("rule::no_effect", field.span.clone(), message, "");
            }
        };
        let any = |wanted: &[Looks]| looks.iter().any(|l| wanted.contains(l));
        without_effect(detect.baseline.as_ref(), "baseline", any(&[Looks::Chart, Looks::All]));
        without_effect(detect.run.as_ref(), "run", any(&[Looks::Chart]));
    }

    fn fallback(&mut self, detect: &DetectFile) {
        let Some(fallback) = &detect.fallback else { return };
        let per_year = detect.period.value.per_year();
        let needs = |m: &MethodFile| m.detector.history(per_year);
        let (own, other) = (needs(&detect.detector), needs(fallback));
        if other > own {
            let message = format!(
                "the fallback needs {other} periods of history, the detector only {own}: it never judges first"
            );
            let at = fallback.name.span.clone();
            self.warn("rule::no_effect", at, message, "use one that needs less history");
        }
    }

    fn control(&mut self, detect: &DetectFile) {
        let Some(control) = &self.rule.alert.control else { return };
        for column in &control.over {
            if self.rule.key_names().all(|k| k != column.value) {
                let message =
                    format!("control goes over {:?}, which is not in the rule's key", column.value);
                let label = near(&column.value, self.rule.key_names());
                self.error("rule::unknown_column", column.span.clone(), message, label);
            }
        }
        for method in std::iter::once(&detect.detector).chain(&detect.fallback) {
            if !method.detector.profile().p_value {
                let message = format!(
                    "control needs p-values, {} tells none: nothing would alarm",
                    method.name.value
                );
                self.error("rule::impossible", control.span.clone(), message, "take control out");
            }
        }
    }

    /// A condition that asks nothing of the detector wants a window rule.
    fn asks_the_detector(&mut self, resolved: &Resolved) {
        let (Some(sql), Some(when)) = (&self.rule.when, &resolved.when) else { return };
        if expr::columns(when).iter().all(|c| !TOLD.contains(&c.as_str())) {
            let message = "when asks nothing of the detector";
            let label = "write alarm and …";
            self.error("rule::no_effect", sql.span.clone(), message, label);
        }
    }
}
