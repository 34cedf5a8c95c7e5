//! Profile: what a method asks for and what it tells, so that a rule that cannot work is refused before any record comes.

/// What a method asks for, and what it tells beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Profile {
    /// What a verdict rests on.
    pub looks: Looks,
    /// Whether it reads the population behind the values.
    pub population: Population,
    /// Whether verdicts have a p-value.
    pub p_value: bool,
    /// Whether periods must be weeks.
    pub weeks_only: bool,
    /// What it makes of days off.
    pub calendar: Calendar,
}

/// What a method makes of days off that move through the year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calendar {
    /// Nothing: it needs all periods, one behind the other.
    #[default]
    Blind,
    /// It takes periods by their order alone, so that it can be given those alone that are like the one judged.
    Order,
    /// Its regression has a term for them, see [`super::Series::days_off`].
    Term,
}

/// What a verdict on one period rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Looks {
    /// The last periods before it, [`super::SeriesDetector::reach`] of them.
    #[default]
    Back,
    /// A chart that was set to the periods before its beginning and is drawn from there to the period judged.
    Chart,
    /// All periods before it.
    All,
}

/// Whether a method reads the population behind the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Population {
    /// It does not.
    #[default]
    Ignored,
    /// Where there is one.
    Read,
    /// It has no answer without one.
    Needed,
}

impl Profile {
    /// Looks back a bounded number of periods and gives p-values.
    pub const TESTS: Self = Self {
        looks: Looks::Back,
        population: Population::Ignored,
        p_value: true,
        weeks_only: false,
        calendar: Calendar::Blind,
    };

    /// Draws a chart.
    pub const CHART: Self = Self { looks: Looks::Chart, p_value: false, ..Self::TESTS };

    /// Fits all periods before.
    pub const FITS_ALL: Self = Self { looks: Looks::All, ..Self::TESTS };

    /// The same, reading the population where there is one.
    #[must_use]
    pub const fn with_population(self) -> Self {
        Self { population: Population::Read, ..self }
    }

    /// The same, taking periods by their order alone.
    #[must_use]
    pub const fn by_order(self) -> Self {
        Self { calendar: Calendar::Order, ..self }
    }
}
