//! Mann–Kendall and Theil–Sen by series of the side table `input`.

use forewarn::detect::season::mann_kendall;

use super::{case::Case, check::Check};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let input = case.side("input")?.ok_or("no input")?;
    input.ignore(&["t"]);
    let (names, values) = (input.text("series")?, input.numbers("x")?);
    for (row, name) in case.table.text("series")?.into_iter().enumerate() {
        let of_name = names.iter().zip(&values).filter(|(n, _)| **n == name);
        let series: Vec<f64> = of_name.map(|(_, v)| *v).collect();
        let got = mann_kendall::judge(&series, 0.95).map_err(|e| e.to_string())?;
        for (column, got) in [
            ("n", series.len() as f64),
            ("S", got.s as f64),
            ("varS", got.variance),
            ("z", got.z),
            ("p_two_sided", got.p_two_sided),
            ("p_increasing", got.p_increasing),
            ("tau_b", got.tau_b),
            ("theil_sen", got.slope),
            ("intercept", got.intercept),
            ("slope_lo95", got.slope_interval.0),
            ("slope_hi95", got.slope_interval.1),
        ] {
            check.near(column, row, got, case.table.numbers(column)?[row]);
        }
    }
    Ok(())
}
