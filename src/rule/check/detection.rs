//! Detection: whether detector, series and condition suit each other.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use super::{Judge, near};
use crate::{
    detect::{Calendar, Looks, Population, Profile, SeriesDetector},
    model::yaml::Spanned,
    rule::{
        detector::{DetectFile, Method, MethodFile, TOLD},
        expr,
        scope::{Measure, Resolved},
    },
};

impl Judge<'_> {
    /// What can be said of a `detect` rule beyond its expressions.
    pub(super) fn detection(&mut self, resolved: &Resolved) {
        let Some(detect) = &self.rule.detect else { return };
        self.series(detect, resolved);
        for method in std::iter::once(&detect.detector).chain(&detect.fallback) {
            if let Some(detector) = method.series() {
                self.method(detect, method, detector.as_ref());
            }
        }
        match &detect.detector.method {
            Method::Series(detector) => {
                self.lengths(detect, detector.as_ref());
                self.nowcast(detect, resolved);
                self.fallback(detect, detector.as_ref());
            }
            Method::Pairs(_) | Method::Scan(_) => self.joint(detect, resolved),
        }
        self.control(detect);
        self.asks_the_detector(detect, resolved);
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
            if detect.tells(name) {
                let message = format!("measure {name:?} has the name of what the detector tells");
                let at = measure.name.span.clone();
                self.error("rule::name_taken", at, message, "give it another name");
            }
        }
        for told in self.rule.key_names().filter(|name| detect.tells(name)) {
            let at = self.rule.key.iter().find(|k| k.name == told).map(|k| k.sql.span.clone());
            let message = format!("key {told:?} has the name of what the detector tells");
            let at = at.unwrap_or(detect.period.span.clone());
            self.error("rule::name_taken", at, message, "give it another name with as");
        }
    }

    fn method(&mut self, detect: &DetectFile, method: &MethodFile, detector: &dyn SeriesDetector) {
        let (profile, name) = (detector.profile(), &method.name.value);
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
        let needs = detector.history(detect.period.value.per_year());
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
        } else if resolved.measures.first().is_some_and(|series| !is_count(series)) {
            let message = "a nowcast corrects a number of records, the series is something else";
            let label = "write value: count(*), or take nowcast out";
            self.error("rule::impossible", nowcast.span.clone(), message, label);
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
    fn lengths(&mut self, detect: &DetectFile, detector: &dyn SeriesDetector) {
        let profile: Profile = detector.profile();
        let others = detect.fallback.iter().filter_map(|f| Some(f.series()?.profile().looks));
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

    fn fallback(&mut self, detect: &DetectFile, detector: &dyn SeriesDetector) {
        let Some(fallback) = &detect.fallback else { return };
        let Some(stands_in) = fallback.series() else {
            let name = &fallback.name.value;
            let message = format!("{name} judges keys beside each other: it cannot stand in");
            let at = fallback.name.span.clone();
            let label = "use one that judges a single series";
            return self.error("rule::impossible", at, message, label);
        };
        let per_year = detect.period.value.per_year();
        let (own, other) = (detector.history(per_year), stands_in.history(per_year));
        if other > own {
            let message = format!(
                "the fallback needs {other} periods of history, the detector only {own}: it never judges first"
            );
            let at = fallback.name.span.clone();
            self.warn("rule::no_effect", at, message, "use one that needs less history");
        }
    }

    /// A detector that judges keys beside each other: what of the series it does not read, and which key columns it does.
    fn joint(&mut self, detect: &DetectFile, resolved: &Resolved) {
        let name = &detect.detector.name.value;
        let without_effect = [
            (detect.population.clone(), "a population"),
            (detect.baseline.as_ref().map(|b| b.span.clone()), "baseline"),
            (detect.run.as_ref().map(|r| r.span.clone()), "run"),
            (detect.fallback.as_ref().map(|f| f.name.span.clone()), "fallback"),
            (detect.nowcast.as_ref().map(|n| n.span.clone()), "a nowcast"),
            (detect.calendar.clone(), "a calendar"),
        ];
        for (at, what) in without_effect {
            if let Some(at) = at {
                let message = format!("{name} does not read {what}");
                self.error("rule::no_effect", at, message, "take it out");
            }
        }
        let value = self.rule.measures.iter().zip(&resolved.measures).next();
        if let Some((file, measure)) = value.filter(|(_, m)| m.data_type != DataType::Null)
            && !measure.data_type.is_integer()
        {
            let message = format!(
                "{name} counts records, the series is {}",
                expr::type_word(&measure.data_type)
            );
            let label = "write count(*) or count(distinct …)";
            self.error("rule::type_mismatch", file.value.span.clone(), message, label);
        }
        match &detect.detector.method {
            Method::Pairs(pairs) => self.margins(detect, &pairs.margins),
            Method::Scan(scan) => self.place(detect, scan.place.as_ref()),
            Method::Series(_) => {}
        }
        let at = self.rule.when.as_ref().zip(resolved.when.as_ref());
        if let Some((sql, when)) = at
            && expr::columns(when).iter().any(|c| c == TOLD[1])
        {
            let message = format!("{name} tells no {}: this is never true", TOLD[1]);
            self.error("rule::impossible", sql.span.clone(), message, "write alarm and …");
        }
    }

    /// Rows and columns of the table are two columns of the key.
    fn margins(&mut self, detect: &DetectFile, margins: &[Spanned<String>]) {
        let name = &detect.detector.name;
        let keys = self.rule.key_names().count();
        if margins.is_empty() && keys != 2 {
            let message =
                format!("the key has {keys} columns: which two are the margins of the table?");
            let label = "write margins: [product, reaction] with two columns of the key";
            return self.error("yaml::missing_field", name.span.clone(), message, label);
        }
        for margin in margins {
            self.of_key(margin, "margin");
        }
        let same = margins.len() == 2 && margins[0].value == margins[1].value;
        if !margins.is_empty() && (margins.len() != 2 || same) {
            let message = format!("{} needs two different margins", name.value);
            let at = margins[margins.len() - 1].span.clone();
            self.error("rule::impossible", at, message, "like margins: [product, reaction]");
        }
    }

    /// The place is a column of the key.
    fn place(&mut self, detect: &DetectFile, place: Option<&Spanned<String>>) {
        let keys = self.rule.key_names().count();
        match place {
            Some(place) => self.of_key(place, "place"),
            None if keys != 1 => {
                let message = format!("the key has {keys} columns: which is the place?");
                let at = detect.detector.name.span.clone();
                let label = "write place: region with a column of the key";
                self.error("yaml::missing_field", at, message, label);
            }
            None => {}
        }
    }

    fn of_key(&mut self, column: &Spanned<String>, what: &str) {
        if self.rule.key_names().all(|k| k != column.value) {
            let message = format!("{what} {:?} is not in the rule's key", column.value);
            let label = near(&column.value, self.rule.key_names());
            self.error("rule::unknown_column", column.span.clone(), message, label);
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
            if method.series().is_some_and(|detector| !detector.profile().p_value) {
                let message = format!(
                    "control needs p-values, {} tells none: nothing would alarm",
                    method.name.value
                );
                self.error("rule::impossible", control.span.clone(), message, "take control out");
            }
        }
    }

    /// A condition that asks nothing of the detector wants a window rule.
    fn asks_the_detector(&mut self, detect: &DetectFile, resolved: &Resolved) {
        let (Some(sql), Some(when)) = (&self.rule.when, &resolved.when) else { return };
        if expr::columns(when).iter().all(|c| !detect.tells(c)) {
            let message = "when asks nothing of the detector";
            let label = "write alarm and …";
            self.error("rule::no_effect", sql.span.clone(), message, label);
        }
    }
}

/// Whether a measure is a number of records.
fn is_count(measure: &Measure) -> bool {
    let counts = |a: &Expr| matches!(a, Expr::AggregateFunction(f) if f.func.name() == "count" && !f.params.distinct);
    measure.value.is_none() || measure.aggregates.iter().all(counts)
}
