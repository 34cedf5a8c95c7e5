//! Lanes: things of several kinds on one axis of time, a lane for each kind with its title and how many there are.

use maud::{Markup, html};

use super::axis::{Axis, instants, px};
use crate::model::time::Zone;

pub(super) const WIDTH: f64 = 960.0;
pub(super) const TOP: f64 = 8.0;
const LABELS: f64 = 190.0;
const ROW: f64 = 26.0;
const FOOT: f64 = 26.0;
/// Letters of a title that fit.
const TITLE_MAX: usize = 11;
/// So many marks may lie beside each other above one instant before they overlap.
const BESIDE: usize = 3;
/// Instants that are written at most.
const INSTANTS: usize = 8;

/// The frame of such a picture.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    pub(super) zone: &'a Zone,
    /// The first and the last instant.
    pub(super) ends: (i64, i64),
    /// Titles, and how many there are.
    pub(super) lanes: Vec<(String, usize)>,
}

impl Lanes<'_> {
    /// Where instants stand.
    pub(super) fn x(&self) -> Axis {
        Axis::of_time(self.ends.0, self.ends.1, (LABELS + 8.0, WIDTH - 12.0))
    }

    /// The lower end of the last lane.
    pub(super) fn bottom(&self) -> f64 {
        TOP + ROW * self.lanes.len() as f64
    }

    /// Height of the whole.
    pub(super) fn height(&self) -> f64 {
        self.bottom() + FOOT
    }

    /// Where the `n`-th thing of a lane stands: neighbours a little above and below each other.
    pub(super) fn y(&self, lane: usize, n: usize) -> f64 {
        TOP + ROW * (lane as f64 + 0.5) + ((n % BESIDE) as f64 - 1.0) * 4.0
    }

    /// Lines, titles and instants.
    pub(super) fn grid(&self) -> Markup {
        let (x, bottom) = (self.x(), self.bottom());
        html! {
            g.grid {
                @for (i, (title, n)) in self.lanes.iter().enumerate() {
                    @let y = TOP + ROW * (i as f64 + 1.0);
                    line x1="0" x2=(px(WIDTH)) y1=(px(y)) y2=(px(y)) {}
                    text.feed x="4" y=(px(y - 8.0)) { (shortened(title)) }
                    text.n x=(px(LABELS - 8.0)) y=(px(y - 8.0)) { (n) }
                }
                @for (ms, text) in instants(self.zone, self.ends.0, self.ends.1, INSTANTS) {
                    line.tick x1=(px(x.at_ms(ms))) x2=(px(x.at_ms(ms))) y1=(px(TOP)) y2=(px(bottom + 4.0)) {}
                    text.x x=(px(x.at_ms(ms).min(WIDTH - 22.0))) y=(px(bottom + 18.0)) { (text) }
                }
            }
        }
    }
}

fn shortened(title: &str) -> String {
    // Wide letters take two places.
    let mut room = 2 * TITLE_MAX;
    let fits = |c: &char| {
        let wide = if c.is_ascii() { 1 } else { 2 };
        let fits = room >= wide;
        room = room.saturating_sub(wide);
        fits
    };
    let short: String = title.chars().take_while(fits).collect();
    if short.len() < title.len() { format!("{short}…") } else { short }
}
