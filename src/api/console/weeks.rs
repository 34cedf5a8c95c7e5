//! Weeks: how many alerts of a rule fired in each week of a year, as a picture.

use maud::{Markup, html};

use super::{
    axis::{Axis, numbers, px},
    language::Language,
    show, words,
};
use crate::engine::view::RuleWeek;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 150.0;
/// Left, right, top, bottom.
const MARGINS: (f64, f64, f64, f64) = (44.0, 8.0, 10.0, 24.0);

/// The picture; nothing where no week has an alert.
pub(super) fn figure(weeks: &[RuleWeek], l: Language) -> Markup {
    let most = weeks.iter().map(|w| w.alerts).max().unwrap_or(0);
    let all: u64 = weeks.iter().map(|w| w.alerts).sum();
    let (left, right, top, bottom) = MARGINS;
    let y = Axis::new((0.0, most as f64 * 1.05), (HEIGHT - bottom, top));
    let width = (WIDTH - left - right) / weeks.len().max(1) as f64;
    let day = |week: &RuleWeek| week.start[..10].to_owned();
    let ends = weeks.first().zip(weeks.last());
    let described = ends.map(|(first, last)| {
        let (n, from, to) = (show::count(all), day(first), day(last));
        words::WEEKS_DESC.with(l, &[("n", &n), ("from", &from), ("to", &to)])
    });
    html! {
        @if most == 0 { p.muted { (words::WEEKS_NONE.of(l)) } }
        @else {
            figure.weeks {
                figcaption {
                    span.key-fired { (words::WEEKS_FIRED.of(l)) }
                    @if weeks.iter().any(|w| w.retracted > 0) { span.key-retracted { (words::WEEKS_RETRACTED.of(l)) } }
                }
                div.scroll tabindex="0" role="group" aria-label=(words::WEEKS_TITLE.of(l)) {
                    svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="weeks-title weeks-desc" {
                        title #weeks-title { (words::WEEKS_TITLE.of(l)) }
                        desc #weeks-desc { (described.unwrap_or_default()) }
                        g.grid {
                            @for n in numbers(0.0, most as f64, 3).into_iter().filter(|n| n.fract() == 0.0) {
                                line x1=(px(left)) x2=(px(WIDTH - right)) y1=(px(y.at(n))) y2=(px(y.at(n))) {}
                                text.y x=(px(left - 8.0)) y=(px(y.at(n) + 4.0)) { (show::count(n as u64)) }
                            }
                            @for (i, week) in months(weeks) {
                                text.x x=(px(left + width * (i as f64 + 0.5))) y=(px(HEIGHT - 6.0)) { (week) }
                            }
                        }
                        g.bars {
                            @for (i, week) in weeks.iter().enumerate().filter(|(_, w)| w.alerts > 0) {
                                @let x = left + width * i as f64 + 1.5;
                                @let (base, kept) = (y.at(0.0), y.at((week.alerts - week.retracted) as f64));
                                g {
                                    title { (bar_says(week, l)) }
                                    rect x=(px(x)) width=(px(width - 3.0)) y=(px(kept)) height=(px(base - kept)) {}
                                    @if week.retracted > 0 {
                                        @let above = y.at(week.alerts as f64);
                                        rect.retracted x=(px(x)) width=(px(width - 3.0)) y=(px(above)) height=(px(kept - above)) {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bar_says(week: &RuleWeek, l: Language) -> String {
    let (n, retracted) = (show::count(week.alerts), show::count(week.retracted));
    let word = if week.retracted > 0 { words::WEEK_RETRACTED } else { words::WEEK };
    word.with(l, &[("day", &week.start[..10]), ("n", &n), ("retracted", &retracted)])
}

/// The first week of every second month, with what is written below it.
fn months(weeks: &[RuleWeek]) -> Vec<(usize, String)> {
    let month = |w: &RuleWeek| w.start[..7].to_owned();
    let starts = (1..weeks.len()).filter(|i| month(&weeks[*i]) != month(&weeks[i - 1]));
    starts.map(|i| (i, month(&weeks[i]))).step_by(2).collect()
}
