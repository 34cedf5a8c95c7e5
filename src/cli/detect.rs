//! `forewarn detect`: a detector over a series in a file, without rules or engine.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    detect::{Series, SeriesDetector, Undefined, Verdict, catalogue},
    model::yaml::Node,
};
use jiff::civil::Date;
use serde_json::Value;

use super::chart;

/// Run a detector over a series in a CSV file, or list the detectors there are
#[derive(Debug, clap::Args)]
pub(crate) struct Detect {
    /// CSV with the columns date,value and perhaps population: one row a period, oldest first
    #[arg(required_unless_present = "list", value_name = "SERIES")]
    series: Option<PathBuf>,
    /// YAML or JSON file with the detector's kind and parameters
    #[arg(long, short, required_unless_present = "list", value_name = "FILE")]
    detector: Option<PathBuf>,
    /// First date to judge; the periods before it are history. Default: as soon as there is enough history
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Periods in a year: 365 for days, 52 for weeks, 12 for months. Default: as the dates lie
    #[arg(long, value_name = "N")]
    periods_per_year: Option<usize>,
    /// Dates that the file leaves out have the value 0 instead of none
    #[arg(long)]
    fill_zero: bool,
    /// Draw observed and expected values, bound and alarms
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// List the detectors: what each finds, its parameters, when it misleads, its source
    #[arg(long, exclusive = true)]
    list: bool,
}

pub(crate) fn run(args: &Detect) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if args.list {
        out.write_all(catalogue_text().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(series), Some(detector)) = (&args.series, &args.detector) else {
        bail!("name a series and a detector, or ask for --list");
    };
    let detector = detector_of(detector)?;
    let text = fs::read_to_string(series)
        .with_context(|| format!("series {} cannot be read", series.display()))?;
    let input = Input::parse(&text, args.periods_per_year, args.fill_zero)
        .with_context(|| format!("series {}", series.display()))?;
    let verdicts = input.judge(&*detector, args.from)?;
    out.write_all(input.table(&verdicts).as_bytes())?;
    if let Some(path) = &args.svg {
        let drawing = chart::svg(&input.dates, &input.values, &verdicts);
        fs::write(path, drawing)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The detector that a YAML or JSON file describes.
fn detector_of(path: &Path) -> anyhow::Result<Box<dyn SeriesDetector>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("detector {} cannot be read", path.display()))?;
    // JSON is YAML too.
    let node = Node::parse(&text).map_err(|findings| {
        let messages: Vec<String> = findings.iter().map(|f| f.message.clone()).collect();
        anyhow::anyhow!("detector {}: {}", path.display(), messages.join("; "))
    })?;
    let Value::Object(parameters) = node.value() else {
        bail!("detector {}: write `kind: …` and its parameters, one a line", path.display());
    };
    catalogue::build(parameters).with_context(|| format!("detector {}", path.display()))
}

/// The series of a file; all of one length.
#[derive(Debug)]
struct Input {
    dates: Vec<Date>,
    /// NaN where a period has no value.
    values: Vec<f64>,
    population: Option<Vec<f64>>,
    periods_per_year: usize,
}

impl Input {
    fn parse(text: &str, periods: Option<usize>, fill_zero: bool) -> anyhow::Result<Self> {
        let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty());
        let header = lines.next().map_or("", |(_, line)| line.trim_start_matches('\u{feff}'));
        let with_population = match header {
            "date,value" => false,
            "date,value,population" => true,
            other => {
                bail!("its first line is {other:?}, it must be date,value or date,value,population")
            }
        };
        let mut rows: Vec<(Date, f64, f64)> = Vec::new();
        for (at, line) in lines {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let place = || format!("line {}: {line:?}", at + 1);
            if cells.len() != 2 + usize::from(with_population) {
                bail!("{} has {} cells", place(), cells.len());
            }
            let date: Date = cells[0].parse().with_context(place)?;
            let value = if cells[1].is_empty() {
                f64::NAN
            } else {
                number(cells[1]).with_context(place)?
            };
            let population =
                if with_population { number(cells[2]).with_context(place)? } else { 1.0 };
            if rows.last().is_some_and(|last| last.0 >= date) {
                bail!("{} is not after the line before", place());
            }
            rows.push((date, value, population));
        }
        let step = Step::of(&rows)?;
        let mut input = Self {
            dates: Vec::new(),
            values: Vec::new(),
            population: with_population.then(Vec::new),
            periods_per_year: periods.unwrap_or(step.periods_per_year()),
        };
        for (date, value, population) in rows {
            while let Some(next) = input.dates.last().map(|last| step.after(*last))
                && next < date
            {
                input.push(next, if fill_zero { 0.0 } else { f64::NAN }, population);
            }
            input.push(date, value, population);
        }
        Ok(input)
    }

    fn push(&mut self, date: Date, value: f64, population: f64) {
        self.dates.push(date);
        self.values.push(value);
        if let Some(all) = &mut self.population {
            all.push(population);
        }
    }

    /// A verdict per period; those before `from` are too early.
    fn judge(
        &self,
        detector: &dyn SeriesDetector,
        from: Option<Date>,
    ) -> anyhow::Result<Vec<Verdict>> {
        let history = detector.history(self.periods_per_year);
        let start = from.map_or(history, |from| self.dates.partition_point(|d| *d < from));
        let start = start.min(self.values.len());
        let series = Series {
            values: &self.values,
            population: self.population.as_deref(),
            dates: Some(&self.dates),
            days_off: None,
            periods_per_year: self.periods_per_year,
        };
        let mut verdicts = vec![Verdict::TooEarly; start];
        verdicts.extend(detector.evaluate(&series, start..self.values.len())?);
        Ok(verdicts)
    }

    /// The verdicts as CSV.
    fn table(&self, verdicts: &[Verdict]) -> String {
        let mut out = "date,value,expected,upper_bound,score,p_value,alarm,verdict\n".to_owned();
        for ((date, value), verdict) in self.dates.iter().zip(&self.values).zip(verdicts) {
            let judged = verdict.judged().copied().unwrap_or_default();
            let [expected, bound, score, p] =
                [judged.expected, judged.upper_bound, judged.score, judged.p_value].map(cell);
            let value = cell(Some(*value).filter(|v| !v.is_nan()));
            let alarm = verdict.judged().map_or("", |j| if j.alarm { "true" } else { "false" });
            let word = word(verdict);
            let _ = writeln!(out, "{date},{value},{expected},{bound},{score},{p},{alarm},{word}");
        }
        out
    }
}

fn number(cell: &str) -> anyhow::Result<f64> {
    let value: f64 = cell.parse().with_context(|| format!("{cell:?} is no number"))?;
    if value.is_finite() { Ok(value) } else { bail!("{cell:?} is no number") }
}

fn cell(figure: Option<f64>) -> String {
    figure.map(|v| v.to_string()).unwrap_or_default()
}

/// Whether a period was judged, or why not.
fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Judged(_) => "judged",
        Verdict::TooEarly => "too_early",
        Verdict::NotDefined(why) => match why {
            Undefined::NoValue => "not_defined: the period has no value",
            Undefined::Gap => "not_defined: a period of its baseline has no value",
            Undefined::NoPopulation => "not_defined: no population",
            Undefined::NoFit => "not_defined: the baseline does not determine the model",
            Undefined::Overflow => "not_defined: the figures leave the range of numbers",
        },
    }
}

/// How far apart the periods of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Days(i32),
    Months(i32),
}

impl Step {
    /// The most frequent distance of two rows.
    fn of(rows: &[(Date, f64, f64)]) -> anyhow::Result<Self> {
        let mut days: Vec<i32> = rows.windows(2).map(|w| (w[1].0 - w[0].0).get_days()).collect();
        days.sort_unstable();
        match days.get(days.len().saturating_sub(1) / 2) {
            None => Ok(Self::Days(7)),
            Some(day) if [1, 7].contains(day) => Ok(Self::Days(*day)),
            Some(28..=31) => Ok(Self::Months(1)),
            Some(89..=92) => Ok(Self::Months(3)),
            Some(365..=366) => Ok(Self::Months(12)),
            Some(other) => bail!(
                "its dates lie {other} days apart: days, weeks, months, quarters or years are understood"
            ),
        }
    }

    fn periods_per_year(self) -> usize {
        match self {
            Self::Days(1) => 365,
            Self::Days(_) => 52,
            Self::Months(months) => usize::try_from(12 / months).unwrap_or(1),
        }
    }

    fn after(self, date: Date) -> Date {
        match self {
            Self::Days(days) => date.saturating_add(jiff::Span::new().days(days)),
            Self::Months(months) => date.saturating_add(jiff::Span::new().months(months)),
        }
    }
}

/// The catalogue, as the doc comments of the detectors tell it.
fn catalogue_text() -> String {
    let mut out = String::new();
    for entry in catalogue::entries() {
        let parameters = entry.parameters.replace('\n', "\n  ");
        let _ = writeln!(
            out,
            "{}\n  {}\n\n  finds: {}\n\n  parameters:\n  {parameters}\n\n  misleads: {}\n\n  source: {}\n",
            entry.name, entry.summary, entry.finds, entry.misleads, entry.source
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_the_year_is_found() {
        let weeks = "date,value\n2031-01-06,3\n2031-01-13,4\n2031-01-27,5\n";
        let input = Input::parse(weeks, None, false).unwrap();
        assert_eq!((input.periods_per_year, input.values.len()), (52, 4));
        assert!(input.values[2].is_nan());
        assert_eq!(Input::parse(weeks, None, true).unwrap().values, [3.0, 4.0, 0.0, 5.0]);
        let months = "date,value,population\n2031-01-01,3,10\n2031-02-01,,10\n2031-04-01,1,30\n";
        let input = Input::parse(months, None, true).unwrap();
        assert_eq!((input.periods_per_year, input.dates[2]), (12, Date::constant(2031, 3, 1)));
        assert_eq!(input.population, Some(vec![10.0, 10.0, 30.0, 30.0]));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, told) in [
            ("day,value\n", "first line"),
            ("date,value\n2031-01-06,three\n", "line 2"),
            ("date,value\n2031-01-06,3\n2031-01-06,4\n", "line 3"),
            ("date,value\n2031-01-06,3,4\n", "3 cells"),
            ("date,value\n2031-01-06,inf\n", "line 2"),
            ("date,value\n2031-01-06,3\n2031-01-09,4\n", "3 days apart"),
        ] {
            let error = format!("{:#}", Input::parse(text, None, false).unwrap_err());
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
