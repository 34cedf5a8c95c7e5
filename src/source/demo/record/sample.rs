//! Samples of food: one row for the named maker, one for the party it was taken from.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::Dice,
    line::Line,
    province::{Business, County},
    sheet::Sheet,
};

/// Prefix of sample numbers.
pub(in super::super) const PREFIX: &str = "DC43";

/// A class of food: name, share of samples (of a thousand), failures in ten thousand, items that fail, class of hazard.
type Class = (&'static str, u16, u64, &'static [&'static str], &'static str);

/// The 34 classes of the sampling plan. Packaged food comes first; the last two have no named maker.
pub(in super::super) const CLASSES: [Class; 34] = [
    ("粮食加工品", 40, 54, &["霉菌毒素", "镉", "铅"], "慢性"),
    ("食用油、油脂及其制品", 30, 72, &["酸价", "过氧化值", "苯并[a]芘"], "慢性"),
    ("调味品", 30, 90, &["苯甲酸", "山梨酸", "氨基酸态氮", "甜蜜素"], "品质"),
    ("肉制品", 30, 81, &["菌落总数", "亚硝酸盐", "山梨酸"], "慢性"),
    ("乳制品", 15, 9, &["菌落总数", "大肠菌群", "蛋白质"], "品质"),
    ("饮料", 30, 120, &["铜绿假单胞菌", "溴酸盐", "菌落总数"], "慢性"),
    ("方便食品", 15, 110, &["菌落总数", "霉菌", "酸价"], "品质"),
    ("饼干", 12, 60, &["过氧化值", "酸价", "铝"], "品质"),
    ("罐头", 8, 50, &["商业无菌", "二氧化硫"], "慢性"),
    ("冷冻饮品", 8, 150, &["菌落总数", "大肠菌群"], "品质"),
    ("速冻食品", 12, 70, &["过氧化值", "菌落总数"], "品质"),
    ("薯类和膨化食品", 10, 80, &["酸价", "过氧化值", "菌落总数"], "品质"),
    ("糖果制品", 10, 60, &["色素", "菌落总数"], "品质"),
    ("茶叶及相关制品", 10, 60, &["农药残留"], "慢性"),
    ("酒类", 25, 140, &["酒精度", "甜蜜素", "氰化物"], "品质"),
    ("蔬菜制品", 18, 220, &["二氧化硫", "苯甲酸", "亚硝酸盐"], "慢性"),
    ("水果制品", 12, 200, &["二氧化硫", "甜蜜素", "菌落总数"], "慢性"),
    ("炒货食品及坚果制品", 12, 210, &["过氧化值", "霉菌", "黄曲霉毒素B1"], "慢性"),
    ("蛋制品", 8, 12, &["菌落总数", "铅"], "慢性"),
    ("可可及焙烤咖啡产品", 3, 20, &["重金属"], "慢性"),
    ("食糖", 5, 40, &["色值", "二氧化硫", "螨"], "品质"),
    ("水产制品", 8, 160, &["镉", "苯甲酸", "菌落总数"], "慢性"),
    ("淀粉及淀粉制品", 10, 260, &["铝", "二氧化硫"], "慢性"),
    ("糕点", 30, 190, &["菌落总数", "霉菌", "防腐剂混合使用", "酸价"], "品质"),
    ("豆制品", 18, 150, &["苯甲酸", "铝", "脱氢乙酸"], "慢性"),
    ("蜂产品", 5, 120, &["呋喃类兽药", "果糖和葡萄糖"], "慢性"),
    ("保健食品", 8, 40, &["功效成分不符"], "标签"),
    ("特殊医学用途配方食品", 2, 10, &["营养素含量", "标签"], "标签"),
    ("婴幼儿配方食品", 4, 8, &["营养素含量"], "标签"),
    ("特殊膳食食品", 4, 30, &["营养素含量", "钠"], "标签"),
    ("其他食品", 5, 60, &["标签"], "标签"),
    ("食品添加剂", 3, 30, &["含量", "重金属"], "品质"),
    ("餐饮食品", 160, 480, &["大肠菌群", "阴离子合成洗涤剂"], "品质"),
    ("食用农产品", 400, 430, &["农药残留", "兽药残留", "重金属", "镉"], "慢性"),
];
/// Classes below this have a named maker.
pub(in super::super) const PACKAGED: usize = 32;
/// What must not be in food at all; the background finds it by mistake only.
pub(in super::super) const BANNED: [&str; 6] =
    ["克伦特罗", "氯霉素", "孔雀石绿", "苏丹红", "罂粟碱", "沙丁胺醇"];

/// A sample.
#[derive(Debug, Clone)]
pub(in super::super) struct Sample {
    pub(in super::super) place: Place,
    pub(in super::super) stamp: Stamp,
    pub(in super::super) class: usize,
    pub(in super::super) maker: Option<Business>,
    /// Whether the maker's code is given.
    pub(in super::super) coded: bool,
    pub(in super::super) taken_from: Business,
    pub(in super::super) county: &'static County,
    pub(in super::super) stage: &'static str,
    pub(in super::super) sampled_on: i32,
    pub(in super::super) reported_on: i32,
    pub(in super::super) failed: bool,
    pub(in super::super) item: &'static str,
    pub(in super::super) more: &'static str,
    pub(in super::super) recheck: &'static str,
}

impl Sample {
    /// Makes it fail with `item`, or pass where that is empty.
    pub(in super::super) fn finds(&mut self, item: &'static str) {
        (self.failed, self.item, self.more, self.recheck) = (!item.is_empty(), item, "", "");
    }

    /// Dates its report `day`, and its sampling four weeks before.
    pub(in super::super) fn reported(&mut self, day: i32) {
        (self.reported_on, self.sampled_on) = (day, day - 28);
    }
}

impl Record for Sample {
    const FEED: Feed = Feed::Sampling;
    const FATES: Fates = Fates { twice: 8, corrected: 30, withdrawn: 1, lag_max: 30 };

    fn draw(world: &World, mut dice: Dice, place: Place, fate: Fate) -> Self {
        let d = &mut dice;
        let reported_on = delay::decided(d, place.day, 2, 10);
        let mut left = d.below(1000) as i32;
        let class = CLASSES.iter().position(|c| {
            left -= i32::from(c.1);
            left < 0
        });
        let class = class.unwrap_or(CLASSES.len() - 1);
        let (_, _, fails, items, _) = CLASSES[class];
        let failed = d.below(10_000) < fails;
        // Large makers are sampled often and well; failures are spread over the small.
        let maker = (class < PACKAGED)
            .then(|| if failed { world.province.any(d) } else { world.province.complained_of(d) });
        let taken_from = world.province.any(d);
        let (mut item, mut more) = ("", "");
        if failed {
            item = d.one(items);
            more = if d.per_mille(120) { d.one(items) } else { "" };
            // A false positive: the recheck overturns it.
            if let Fate::Corrected { roll, .. } = fate
                && roll % 24 == 0
            {
                item = d.one(&BANNED);
            }
        }
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            class,
            maker,
            coded: d.per_mille(400),
            taken_from,
            county: taken_from.county,
            stage: if class == 32 {
                "餐饮"
            } else {
                d.one(&["流通", "流通", "流通", "生产"])
            },
            sampled_on: reported_on - d.within(12, 34),
            reported_on,
            failed,
            item,
            more: if more == item { "" } else { more },
            recheck: "",
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, roll: u64) {
        if self.failed {
            self.recheck =
                if roll.is_multiple_of(2) { "复检合格" } else { "维持初检结论" };
        } else {
            self.sampled_on -= 1;
        }
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        if let Some(maker) = self.maker {
            out.add(Feed::Sampling, self.stamp.received_ms, |b| self.line(b, Some(maker)));
        }
        out.add(Feed::Sampling, self.stamp.received_ms, |b| self.line(b, None));
    }
}

impl Sample {
    /// The row of the maker, or without one that of the party it was taken from.
    fn line(&self, bytes: &mut Vec<u8>, maker: Option<Business>) {
        let (name, _, _, _, hazard) = CLASSES[self.class];
        let mut line = Line::new(bytes);
        line.with("sample_no", |out| self.place.write(out, PREFIX));
        line.text("role", if maker.is_some() { "maker" } else { "sampled" });
        self.stamp.write(&mut line);
        if let Some(maker) = maker {
            if self.coded {
                line.with("ucc", |out| out.extend_from_slice(&maker.ucc()));
            }
            line.with("maker_name", |out| maker.write_name(out));
        } else {
            line.with("sampled_ucc", |out| out.extend_from_slice(&self.taken_from.ucc()));
            line.with("sampled_name", |out| self.taken_from.write_name(out));
        }
        line.text("region", self.county.code);
        line.text("stage", self.stage);
        line.text("food_l1", name);
        line.day("sampled_on", self.sampled_on);
        line.day("reported_on", self.reported_on);
        line.text("conclusion", if self.failed { "不合格样品" } else { "合格样品" });
        if self.failed {
            line.with("product_name", |out| {
                out.extend_from_slice("样例".as_bytes());
                out.extend_from_slice(name.as_bytes());
            });
            line.text("item", self.item);
            if self.more.is_empty() {
                line.texts("items", &[self.item]);
            } else {
                line.texts("items", &[self.item, self.more]);
            }
            line.text("hazard_class", if BANNED.contains(&self.item) { "急性" } else { hazard });
        }
        line.text_if("recheck", self.recheck);
        line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_a_thousand_and_about_three_per_cent_fail() {
        assert_eq!(CLASSES.iter().map(|c| c.1).sum::<u16>(), 1000);
        let fails: u64 = CLASSES.iter().map(|c| u64::from(c.1) * c.2).sum();
        assert!((280_000..340_000).contains(&fails), "{fails}");
    }
}
