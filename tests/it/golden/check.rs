//! Check: counts values that equal the reference, and keeps the first that do not.

/// |got − want| ≤ absolute + relative·|want|.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Tolerance {
    pub(super) relative: f64,
    pub(super) absolute: f64,
}

/// Shown of a case's failures.
const SHOWN: usize = 6;

/// The comparison of one case.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) tolerance: Tolerance,
    pub(super) passed: usize,
    pub(super) wrong: usize,
    shown: Vec<String>,
}

impl Check {
    /// A number within the case's tolerance; NaN is `NA`, and equals only itself.
    pub(super) fn near(&mut self, what: &str, at: usize, got: f64, want: f64) {
        self.within(self.tolerance, what, at, got, want);
    }

    /// As [`Self::near`], for what may be absent.
    pub(super) fn near_or_none(&mut self, what: &str, at: usize, got: Option<f64>, want: f64) {
        self.near(what, at, got.unwrap_or(f64::NAN), want);
    }

    /// A number within a tolerance that the case gives in words.
    pub(super) fn within(&mut self, by: Tolerance, what: &str, at: usize, got: f64, want: f64) {
        let equal = got == want || (got.is_nan() && want.is_nan());
        let near = (got - want).abs() <= by.absolute + by.relative * want.abs();
        self.tell(equal || (near && want.is_finite()), what, at, &got, &want);
    }

    /// A number, a flag or a text without tolerance.
    pub(super) fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        at: usize,
        got: T,
        want: T,
    ) {
        self.tell(got == want, what, at, &got, &want);
    }

    /// A flag against a cell of 0, 1 or NA.
    pub(super) fn flag(&mut self, what: &str, at: usize, got: Option<bool>, want: f64) {
        self.within(Tolerance::default(), what, at, got.map_or(f64::NAN, f64::from), want);
    }

    /// What keeps the case from passing as a whole.
    pub(super) fn fail(&mut self, why: String) {
        self.wrong += 1;
        self.shown.insert(0, why);
    }

    /// What went wrong, if anything did.
    pub(super) fn failures(&self) -> Option<String> {
        let shown = self.shown[..self.shown.len().min(SHOWN + 1)].join("\n    ");
        let all = self.passed + self.wrong;
        (self.wrong > 0).then(|| format!("{} of {all} values are wrong\n    {shown}", self.wrong))
    }

    fn tell(
        &mut self,
        right: bool,
        what: &str,
        at: usize,
        got: &dyn std::fmt::Debug,
        want: &dyn std::fmt::Debug,
    ) {
        if right {
            self.passed += 1;
            return;
        }
        self.wrong += 1;
        if self.shown.len() <= SHOWN {
            self.shown.push(format!("row {}: {what} is {got:?}, not {want:?}", at + 1));
        }
    }
}
