//! R: surveillance::nowcast, from a line list of events and reports.

use std::rc::Rc;

use forewarn::detect::{
    Compat,
    outbreak::{CountPrior, Nowcast, NowcastMethod, Triangle},
};
use jiff::civil::Date;

use super::{
    case::Case,
    check::{Check, Tolerance},
    table::Table,
};

/// The delay distribution is exact in R.
const EXACT: Tolerance = Tolerance { relative: 1e-10, absolute: 1e-12 };
/// R draws a thousand delay distributions where we integrate over all: its quantiles carry that error, whatever the JSON says.
const SAMPLED: Tolerance = Tolerance { relative: 0.05, absolute: 2.0 };

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    if !case.has_settings() {
        let events = events(&case.table)?;
        check.equal("a line list has events", 0, events.is_empty(), false);
        return Ok(());
    }
    let max_delay: usize = case.setting("D")?;
    let prior: Option<[f64; 2]> = case.optional("prior_mean_var")?;
    let nowcast = Nowcast {
        method: match case.setting::<String>("method")?.as_str() {
            "bayes.notrunc.bnb" => NowcastMethod::Bnb,
            "bayes.notrunc" => NowcastMethod::Bayes { truncated: false },
            "bayes.trunc" => NowcastMethod::Bayes { truncated: true },
            "lawless" => NowcastMethod::Lawless,
            other => return Err(format!("method {other}")),
        },
        max_delay,
        window: case.optional("m")?,
        alpha: case.setting("alpha")?,
        kappa: case.setting("gd.prior.kappa")?,
        prior: prior
            .map_or(Nowcast::default().prior, |[mean, variance]| CountPrior { mean, variance }),
        support: case.setting("N.tInf.max")?,
        compat: Compat::R,
    };
    let now = date(&case.setting::<String>("now")?)?;
    let [first, last]: [String; 2] = case.setting("dRange")?;
    let (first, last) = (date(&first)?, date(&last)?);
    check.equal("dRange", 0, last, now);
    let list = line_list(case)?;
    let triangle = Triangle::of_days(&list, first, now, max_delay);
    let reference = case.side("triangle")?.ok_or("there is no triangle")?;
    check_triangle(check, &triangle, &reference, first)?;

    let delays = case.side("delay")?.ok_or("there is no delay table")?;
    delays.ignore(&["delay"]);
    let shares = nowcast.reported(&triangle).map_err(|e| e.to_string())?;
    for (row, want) in delays.numbers("cdf")?.into_iter().enumerate() {
        check.within(EXACT, "cdf", row, shares.get(row).copied().unwrap_or(1.0), want);
    }

    let dates: Vec<Date> = parsed(&case.table, "date")?;
    if matches!(nowcast.method, NowcastMethod::Bayes { .. }) {
        check.tolerance = SAMPLED;
    }
    let estimates = nowcast.estimates(&triangle).map_err(|e| e.to_string())?;
    check.equal("days", 0, estimates.len(), dates.len());
    let columns = ["reported_so_far", "finally_reported", "predicted_median", "ci_lo", "ci_hi"];
    let [seen, known, median, lower, upper] = case.table.columns(columns)?;
    for (row, estimate) in estimates.iter().enumerate() {
        check.equal("reported_so_far", row, estimate.seen, seen[row]);
        let finally = list.iter().filter(|(event, _)| *event == dates[row]).count();
        check.equal("finally_reported", row, finally as f64, known[row]);
        // R gives 0 for a quantile beyond its support.
        check.near("predicted_median", row, estimate.median.unwrap_or(0.0), median[row]);
        check.near("ci_lo", row, estimate.lower.unwrap_or(0.0), lower[row]);
        check.near("ci_hi", row, estimate.upper.unwrap_or(0.0), upper[row]);
    }
    Ok(())
}

fn check_triangle(
    check: &mut Check,
    triangle: &Triangle,
    reference: &Rc<Table>,
    first: Date,
) -> Result<(), String> {
    let dates: Vec<Date> = parsed(reference, "date")?;
    check.equal("first day", 0, dates.first().copied(), Some(first));
    for (delay, name) in reference.names().iter().skip(1).enumerate() {
        for (row, want) in reference.numbers(name)?.into_iter().enumerate() {
            let got = triangle.counts[row][delay];
            // What cannot be known yet is NA in R.
            check.equal(name, row, got, if want.is_nan() { 0.0 } else { want });
        }
    }
    Ok(())
}

/// Events and reports of the family's line list; those without a date are dropped, as R does.
fn line_list(case: &Case) -> Result<Vec<(Date, Date)>, String> {
    for name in case.siblings() {
        let sibling = case.sibling(&name)?;
        if !sibling.has_settings() {
            return events(&sibling.table);
        }
    }
    Err("there is no line list".to_owned())
}

fn events(table: &Table) -> Result<Vec<(Date, Date)>, String> {
    let (events, reports) = (table.text("event_date")?, table.text("report_date")?);
    let pairs = events.into_iter().zip(reports).filter(|(e, r)| *e != "NA" && *r != "NA");
    pairs.map(|(event, report)| Ok((date(event)?, date(report)?))).collect()
}

fn parsed(table: &Table, column: &str) -> Result<Vec<Date>, String> {
    table.text(column)?.into_iter().map(date).collect()
}

fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|e| format!("{text}: {e}"))
}
