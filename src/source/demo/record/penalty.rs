//! Penalties, under the field names of the national publication standard; fines in units of ten thousand yuan.

use rand_distr::{Distribution, LogNormal};

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::Dice,
    line::{Line, date, digits},
    province::Business,
    sheet::Sheet,
};

const KINDS: [(&str, u16); 5] = [
    ("罚款", 520),
    ("警告", 150),
    ("警告;罚款", 160),
    ("罚款;没收违法所得", 120),
    ("没收非法财物", 50),
];
const BREACHES: [&str; 8] = [
    "经营标签不符合规定的食品",
    "未取得食品经营许可",
    "销售不合格产品",
    "发布虚假广告",
    "未明码标价",
    "侵犯注册商标专用权",
    "未建立进货查验记录制度",
    "使用未经检定的计量器具",
];
/// The largest fine of the background, in yuan: what is larger is an incident, or a slip of the pen.
const FINE_MAX: f64 = 80_000.0;

/// A penalty.
#[derive(Debug, Clone)]
pub(in super::super) struct Penalty {
    pub(in super::super) place: Place,
    pub(in super::super) stamp: Stamp,
    pub(in super::super) party: Business,
    pub(in super::super) decided_on: i32,
    pub(in super::super) kinds: &'static str,
    pub(in super::super) breach: &'static str,
    pub(in super::super) fine_yuan: u64,
    /// It orders the breach to be put right by a day.
    pub(in super::super) orders: bool,
    /// The fine with two noughts too many, as it was first published.
    slip: bool,
    repaired: bool,
}

impl Record for Penalty {
    const FEED: Feed = Feed::Penalties;
    const FATES: Fates = Fates { twice: 8, corrected: 25, withdrawn: 4, lag_max: 45 };

    fn draw(world: &World, mut dice: Dice, place: Place, fate: Fate) -> Self {
        let d = &mut dice;
        let kinds = d.weighted(&KINDS);
        let fine = if kinds.contains("罚款") {
            // The median is 3,000 yuan.
            LogNormal::new(3_000_f64.ln(), 1.1)
                .map_or(3_000.0, |l| l.sample(d))
                .clamp(100.0, FINE_MAX)
        } else {
            0.0
        };
        // Decisions are published within 7 to 20 working days.
        let decided_on = delay::decided(d, place.day, 3, 25);
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            party: world.province.any(d),
            decided_on,
            kinds,
            breach: d.one(&BREACHES),
            fine_yuan: (fine / 100.0).round() as u64 * 100,
            orders: false,
            slip: fine >= 1_500.0
                && matches!(fate, Fate::Corrected { roll, .. } if roll % 120 == 0),
            repaired: false,
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, _: u64) {
        if self.slip {
            self.slip = false;
        } else {
            self.repaired = true;
        }
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Penalties, self.stamp.received_ms, |bytes| self.line(bytes));
    }
}

impl Penalty {
    fn line(&self, bytes: &mut Vec<u8>) {
        let fine = if self.slip { self.fine_yuan * 100 } else { self.fine_yuan };
        let mut line = Line::new(bytes);
        line.with("CF_WSH", |out| {
            out.extend_from_slice("样市监处罚〔".as_bytes());
            date(out, self.place.day, b"");
            out.extend_from_slice("〕".as_bytes());
            digits(out, self.place.index, 7);
            out.extend_from_slice("号".as_bytes());
        });
        line.with("CF_XDR_SHXYM", |out| out.extend_from_slice(&self.party.ucc()));
        self.stamp.write(&mut line);
        line.with("CF_XDR_MC", |out| self.party.write_name(out));
        line.text("CF_XDR_LB", "法人及非法人组织");
        line.day("CF_JDRQ", self.decided_on);
        line.text("CF_WFXW", self.breach);
        line.text("CF_CFLB", self.kinds);
        line.with("CF_NR", |out| {
            out.extend_from_slice(self.kinds.as_bytes());
            if self.orders {
                out.extend_from_slice(",责令限期改正".as_bytes());
            }
        });
        if fine > 0 {
            // Six decimals of ten thousand yuan.
            line.with("CF_NR_FK", |out| {
                digits(out, fine / 10_000, 1);
                out.push(b'.');
                digits(out, fine % 10_000 * 100, 6);
            });
        }
        line.day("CF_GSJZQ", self.decided_on + 3 * 365);
        line.with("CF_CFJG", |out| {
            out.extend_from_slice(self.party.county.name.as_bytes());
            out.extend_from_slice("市场监督管理局".as_bytes());
        });
        line.text("region", self.party.county.code);
        if self.repaired {
            line.day("repaired_on", super::super::line::day_of(self.stamp.received_ms));
        }
        line.end();
    }
}
