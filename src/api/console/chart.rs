//! Chart: a series with its limit as SVG, and the same as a table.
//!
//! Windows stand at their ends. Those in which the rule fires are triangles, the others dots; the limit is dashed; the
//! window of the alert is shaded. Colours come from the style sheet, so the picture is right in the dark and on paper.

use maud::{Markup, html};

use super::{
    axis::{Axis, instants, numbers, px},
    condition::plain,
    language::Language,
    show, words,
};
use crate::{
    engine::view::{Point, Series, Window},
    model::time::Zone,
};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
/// Left, right, top, bottom.
const MARGINS: (f64, f64, f64, f64) = (56.0, 14.0, 14.0, 26.0);
/// With more windows, only those that fire are marked.
const DOTS_MAX: usize = 130;

/// The picture, and what it shows as a table.
pub(super) fn figure(series: &Series, window: &Window, zone: &Zone, l: Language) -> Markup {
    let title = words::CHART_TITLE.with(l, &[("value", &plain(&series.value))]);
    html! {
        figure.chart {
            @if series.points.iter().all(|p| p.value.is_none()) {
                p { (words::CHART_NONE.of(l)) }
            } @else {
                figcaption {
                    span.key-value { code { (plain(&series.value)) } }
                    @if let Some(limit) = &series.limit {
                        span.key-limit { (words::CHART_LIMIT.with(l, &[("limit", "")])) code { (series.operator.as_deref().unwrap_or_default()) " " (plain(limit)) } }
                    }
                    @if series.expects { span.key-expected { (words::CHART_EXPECTED.of(l)) } }
                    span.key-fires { (words::CHART_FIRES.of(l)) }
                    span.key-window { (words::TIMELINE_WINDOW.of(l)) }
                }
                div.scroll tabindex="0" role="group" aria-label=(title) { (picture(series, window, zone, &title, l)) }
                (table(series, l))
            }
        }
    }
}

fn picture(series: &Series, window: &Window, zone: &Zone, title: &str, l: Language) -> Markup {
    let points = &series.points;
    let (left, right, top, bottom) = MARGINS;
    let all = || points.iter().flat_map(|p| [p.value, p.limit, p.expected]).flatten();
    let least = all().fold(0.0, f64::min);
    let greatest = all().fold(f64::MIN, f64::max).max(least + 1e-9);
    let room = (greatest - least) * 0.08;
    let y = Axis::new((least, greatest + room), (HEIGHT - bottom, top));
    let ends = (points.first().map_or(0, |p| p.end_ms), points.last().map_or(1, |p| p.end_ms));
    let x = Axis::of_time(ends.0, ends.1, (left + 6.0, WIDTH - right - 6.0));
    let shade = zone.parse_instant(&window.start).zip(zone.parse_instant(&window.end));
    let base = y.at(least);
    let place = |p: &Point, v: f64| (x.at_ms(p.end_ms), y.at(v));
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="chart-title chart-desc" {
            title #chart-title { (title) }
            desc #chart-desc { (described(series, l)) }
            @if let Some((from, to)) = shade {
                @let (a, b) = (x.at_ms(from), x.at_ms(to));
                rect.window x=(px(a)) y=(px(top)) width=(px((b - a).max(1.0))) height=(px(base - top)) {}
            }
            g.grid {
                @for v in numbers(least, greatest + room, 5) {
                    line x1=(px(left)) x2=(px(WIDTH - right)) y1=(px(y.at(v))) y2=(px(y.at(v))) {}
                    text.y x=(px(left - 8.0)) y=(px(y.at(v) + 4.0)) { (show::decimal(v)) }
                }
                @for (ms, text) in instants(zone, ends.0, ends.1, 9) {
                    line.tick x1=(px(x.at_ms(ms))) x2=(px(x.at_ms(ms))) y1=(px(base)) y2=(px(base + 4.0)) {}
                    text.x x=(px(x.at_ms(ms).min(WIDTH - 22.0))) y=(px(base + 18.0)) { (text) }
                }
            }
            @for line in lines(points, |p| p.limit.map(|v| place(p, v))) { polyline.limit points=(line) {} }
            @for line in lines(points, |p| p.expected.map(|v| place(p, v))) { polyline.expected points=(line) {} }
            @for line in lines(points, |p| p.value.map(|v| place(p, v))) { polyline.value points=(line) {} }
            g.marks {
                @for p in points {
                    @if let Some(v) = p.value {
                        @let (px_x, px_y) = place(p, v);
                        @if p.fires || points.len() <= DOTS_MAX { (mark(p, px_x, px_y, v)) }
                    }
                }
            }
        }
    }
}

/// One window's mark; what it says when one points at it.
fn mark(p: &Point, x: f64, y: f64, value: f64) -> Markup {
    let limit = p.limit.map_or_else(String::new, |v| format!(" / {}", show::decimal(v)));
    let says = format!("{}: {}{limit}", show::clipped(&p.end), show::decimal(value));
    html! {
        @if p.fires {
            path.fires d={ "M" (px(x)) " " (px(y - 5.5)) "l5 9h-10z" } { title { (says) } }
        } @else {
            circle cx=(px(x)) cy=(px(y)) r="2.5" { title { (says) } }
        }
    }
}

/// Runs of places without a gap, each as the points of a line.
fn lines(points: &[Point], place: impl Fn(&Point) -> Option<(f64, f64)>) -> Vec<String> {
    let runs = points.split(|p| place(p).is_none()).filter(|run| !run.is_empty());
    let line = |run: &[Point]| {
        let places = run.iter().filter_map(&place).map(|(x, y)| format!("{},{}", px(x), px(y)));
        places.collect::<Vec<_>>().join(" ")
    };
    runs.map(line).collect()
}

/// The picture in a sentence.
fn described(series: &Series, l: Language) -> String {
    let points = &series.points;
    let end = |p: Option<&Point>| p.map_or_else(String::new, |p| show::clipped(&p.end));
    let max = points.iter().filter_map(|p| p.value).fold(f64::MIN, f64::max);
    let fires = points.iter().filter(|p| p.fires).count() as u64;
    let n = show::count(points.len() as u64);
    let (from, to) = (end(points.first()), end(points.last()));
    words::CHART_DESC.with(
        l,
        &[
            ("n", n.as_str()),
            ("from", &from),
            ("to", &to),
            ("max", &show::decimal(max)),
            ("fires", &show::count(fires)),
        ],
    )
}

fn table(series: &Series, l: Language) -> Markup {
    let cell = |v: Option<f64>| v.map_or_else(|| show::NOTHING.to_owned(), show::decimal);
    html! {
        details {
            summary { (words::CHART_TABLE.of(l)) }
            table.numbers {
                thead { tr {
                    th scope="col" { (words::WINDOW_END.of(l)) } th scope="col" { (words::VALUE.of(l)) }
                    @if series.expects { th scope="col" { (words::CHART_EXPECTED.of(l)) } }
                    th scope="col" { (words::LIMIT.of(l)) } th scope="col" { (words::HOLDS.of(l)) }
                } }
                tbody {
                    @for p in series.points.iter().rev() {
                        tr {
                            td { (show::instant(&p.end)) } td { (cell(p.value)) }
                            @if series.expects { td { (cell(p.expected)) } }
                            td { (cell(p.limit)) }
                            td { (if p.fires { words::YES } else { words::NO }.of(l)) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        let point = |(i, value): (usize, &Option<f64>)| Point {
            start: String::new(),
            end: format!("2026-03-{:02}T00:00:00Z", i + 1),
            end_ms: i as i64 * 86_400_000,
            value: *value,
            limit: Some(3.0),
            expected: None,
            fires: value.is_some_and(|v| v >= 3.0),
        };
        Series {
            value: "n < '<b>'".into(),
            limit: Some("3".into()),
            operator: Some(">=".into()),
            expects: false,
            points: values.iter().enumerate().map(point).collect(),
        }
    }

    fn drawn(values: &[Option<f64>]) -> String {
        let window = Window { start: "1970-01-02".into(), end: "1970-01-03".into() };
        figure(&series(values), &window, &Zone::utc(), Language::Zh).into_string()
    }

    #[test]
    fn a_gap_is_a_gap_and_what_fires_is_marked_by_shape() {
        let text = drawn(&[Some(1.0), Some(2.0), None, Some(4.0), Some(0.0)]);
        assert_eq!(text.matches("class=\"value\"").count(), 2, "{text}");
        assert_eq!(text.matches("class=\"limit\"").count(), 1);
        assert_eq!(text.matches("class=\"fires\"").count(), 1);
        assert_eq!(text.matches("<circle").count(), 3);
        assert!(text.contains("最大值 4，1 个窗口") && !text.contains("<b>"), "{text}");
        assert!(!text.contains("style=") && !text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn what_a_detector_expected_is_a_line_and_a_column() {
        let mut series = series(&[Some(1.0), Some(2.0), Some(9.0)]);
        series.expects = true;
        series.points.iter_mut().for_each(|p| p.expected = Some(1.5));
        let window = Window { start: "1970-01-02".into(), end: "1970-01-03".into() };
        let text = figure(&series, &window, &Zone::utc(), Language::En).into_string();
        assert_eq!(text.matches("<polyline class=\"expected\"").count(), 1, "{text}");
        assert_eq!(text.matches("<td>1.5</td>").count(), 3, "{text}");
    }

    #[test]
    fn pictures_of_little_are_drawn_too() {
        for values in [&[Some(0.0)][..], &[Some(-5.0), Some(-5.0)], &[Some(1e300), Some(1e-300)]] {
            let text = drawn(values);
            assert!(text.contains("<svg") && !text.contains("NaN"), "{text}");
        }
        for values in [&[][..], &[None, None]] {
            assert!(!drawn(values).contains("<svg"));
        }
    }
}
