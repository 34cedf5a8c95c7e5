//! A drawing of a series and its verdicts as SVG.
//!
//! Observed values as a line with points, expected values as a line, what is ordinary as a band up to the upper bound, alarms as
//! rings with their date. Self-contained: no script, no font, no colour that needs a second look in print.

use std::fmt::Write as _;

use forewarn::detect::Verdict;
use jiff::civil::Date;

/// Size of the drawing and its margins, pixels.
const SIZE: (f64, f64) = (960.0, 360.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 36.0;
/// Labels below and beside the axes.
const LABELS: usize = 6;

/// Draws a series; all three of one length.
pub(crate) fn svg(dates: &[Date], values: &[f64], verdicts: &[Verdict]) -> String {
    let scale = Scale::of(values, verdicts);
    let (width, height) = SIZE;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    );
    axes(&mut out, &scale, dates);
    for run in runs(verdicts, |v| Some((v.judged()?.expected?, v.judged()?.upper_bound?))) {
        let upper = run.iter().map(|(i, (_, bound))| scale.point(*i, *bound));
        let lower = run.iter().rev().map(|(i, (expected, _))| scale.point(*i, *expected));
        let points: Vec<String> = upper.chain(lower).collect();
        let _ = writeln!(
            out,
            "<polygon class=\"band\" points=\"{}\" fill=\"#c6dbef\" stroke=\"none\"/>",
            points.join(" ")
        );
    }
    for run in runs(verdicts, |v| v.judged()?.expected) {
        line(&mut out, &scale, "expected", &run, "#2171b5\" stroke-dasharray=\"4 2");
    }
    let known: Vec<Option<f64>> = values.iter().map(|v| Some(*v).filter(|v| !v.is_nan())).collect();
    for run in runs(&known, |v| *v) {
        line(&mut out, &scale, "observed", &run, "#252525");
    }
    for (i, _) in verdicts.iter().enumerate().filter(|(_, v)| v.alarm()) {
        let (x, y) = (scale.x(i), scale.y(values[i]));
        let _ = writeln!(
            out,
            "<circle class=\"alarm\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"none\" \
             stroke=\"#cb181d\" stroke-width=\"2\"><title>{}: {}</title></circle>",
            dates[i], values[i]
        );
    }
    out.push_str(
        "<text x=\"56\" y=\"16\"><tspan fill=\"#252525\">── 观测值 observed</tspan>  \
         <tspan fill=\"#2171b5\" dx=\"12\">- - 预期值 expected</tspan>  \
         <tspan fill=\"#6baed6\" dx=\"12\">▇ 正常范围 ordinary</tspan>  \
         <tspan fill=\"#cb181d\" dx=\"12\">○ 预警 alarm</tspan></text>\n</svg>\n",
    );
    out
}

/// Positions of periods and values.
struct Scale {
    periods: f64,
    least: f64,
    most: f64,
}

impl Scale {
    fn of(values: &[f64], verdicts: &[Verdict]) -> Self {
        let judged = verdicts.iter().filter_map(Verdict::judged);
        let figures = judged.flat_map(|j| [j.expected, j.upper_bound]).flatten();
        let (mut least, mut most) = (0.0_f64, 1.0_f64);
        for value in values.iter().copied().filter(|v| !v.is_nan()).chain(figures) {
            (least, most) = (least.min(value), most.max(value));
        }
        Self { periods: values.len() as f64, least, most }
    }

    fn x(&self, period: usize) -> f64 {
        LEFT + (SIZE.0 - LEFT - RIGHT) * (period as f64 + 0.5) / self.periods.max(1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.least) / (self.most - self.least);
        SIZE.1 - BOTTOM - (SIZE.1 - TOP - BOTTOM) * share
    }

    fn point(&self, period: usize, value: f64) -> String {
        format!("{:.1},{:.1}", self.x(period), self.y(value))
    }
}

fn axes(out: &mut String, scale: &Scale, dates: &[Date]) {
    for i in 0..=LABELS {
        let value = scale.least + (scale.most - scale.least) * i as f64 / LABELS as f64;
        let (y, right) = (scale.y(value), SIZE.0 - RIGHT);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#e0e0e0\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#525252\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            label(value)
        );
    }
    let step = dates.len().div_ceil(LABELS).max(1);
    for (i, date) in dates.iter().enumerate().step_by(step) {
        let (x, y) = (scale.x(i), SIZE.1 - BOTTOM + 18.0);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#525252\">{date}</text>"
        );
    }
}

/// A value at an axis: three digits, whole where it is large.
fn label(value: f64) -> String {
    if value.abs() >= 100.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn line(out: &mut String, scale: &Scale, class: &str, run: &[(usize, f64)], stroke: &str) {
    let points: Vec<String> = run.iter().map(|(i, v)| scale.point(*i, *v)).collect();
    let _ = writeln!(
        out,
        "<polyline class=\"{class}\" points=\"{}\" fill=\"none\" stroke=\"{stroke}\"/>",
        points.join(" ")
    );
}

/// The stretches of neighbouring items that have a figure.
fn runs<T, F>(items: &[T], figure: impl Fn(&T) -> Option<F>) -> Vec<Vec<(usize, F)>> {
    let mut out = Vec::new();
    let mut open = Vec::new();
    for (i, item) in items.iter().enumerate() {
        match figure(item) {
            Some(f) => open.push((i, f)),
            None if !open.is_empty() => out.push(std::mem::take(&mut open)),
            None => {}
        }
    }
    if !open.is_empty() {
        out.push(open);
    }
    out
}

#[cfg(test)]
mod tests {
    use forewarn::detect::Judgement;

    use super::*;

    #[test]
    fn gaps_break_lines_and_alarms_are_ringed() {
        let dates: Vec<Date> = (1..=5).map(|day| Date::constant(2031, 1, day)).collect();
        let values = [1.0, f64::NAN, 3.0, 9.0, 2.0];
        let judged = |alarm| Judgement::new(alarm).expected(2.0).upper_bound(5.0).into();
        let verdicts =
            [Verdict::TooEarly, judged(false), judged(false), judged(true), judged(false)];
        let drawing = svg(&dates, &values, &verdicts);
        assert_eq!(drawing.matches("class=\"observed\"").count(), 2);
        assert_eq!(drawing.matches("class=\"expected\"").count(), 1);
        assert_eq!(drawing.matches("class=\"band\"").count(), 1);
        assert_eq!(drawing.matches("class=\"alarm\"").count(), 1);
        assert!(drawing.contains("2031-01-04: 9") && !drawing.contains("NaN"));
        assert!(svg(&[], &[], &[]).ends_with("</svg>\n"));
    }
}
