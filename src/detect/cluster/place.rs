//! Places and who is near whom.

use crate::detect::Error;

/// How far two places are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// `x`, `y` in any one unit.
    #[default]
    Planar,
    /// `x` longitude, `y` latitude in degrees; along the sphere.
    Sphere,
}

/// Where something is counted; mostly the middle of a district.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// East.
    pub x: f64,
    /// North.
    pub y: f64,
}

/// Most places that are scanned; the work grows with their square.
pub(super) const PLACES_MAX: usize = 5_000;

/// For every place all places, nearest first, itself at the head; of equally near ones the earlier in the list.
///
/// # Errors
/// No place, more than 5,000, a coordinate that is not finite or beyond ±1e150.
pub(super) fn neighbours(places: &[Place], metric: Metric) -> Result<Vec<Vec<usize>>, Error> {
    if places.is_empty() {
        return Err(Error::TooFew { what: "places", got: 0, needed: 1 });
    }
    if places.len() > PLACES_MAX {
        return Err(Error::TooMany { what: "places", got: places.len(), max: PLACES_MAX });
    }
    let outside = |p: &Place| !(p.x.abs() < 1e150 && p.y.abs() < 1e150);
    if let Some(at) = places.iter().position(outside) {
        let value = if places[at].x.abs() < 1e150 { places[at].y } else { places[at].x };
        return Err(Error::Value { what: "coordinate", at, value, range: "a finite number" });
    }
    Ok((0..places.len())
        .map(|centre| {
            let distance: Vec<f64> =
                places.iter().map(|p| apart(places[centre], *p, metric)).collect();
            let mut order: Vec<usize> = (0..places.len()).collect();
            let rank = |&i: &usize| (i != centre, distance[i]);
            order.sort_by(|i, j| {
                let ((a, da), (b, db)) = (rank(i), rank(j));
                a.cmp(&b).then(da.total_cmp(&db)).then(i.cmp(j))
            });
            order
        })
        .collect())
}

fn apart(a: Place, b: Place, metric: Metric) -> f64 {
    match metric {
        Metric::Planar => (a.x - b.x).hypot(a.y - b.y),
        Metric::Sphere => {
            let half = |d: f64| (d.to_radians() / 2.0).sin().powi(2);
            let along = a.y.to_radians().cos() * b.y.to_radians().cos() * half(a.x - b.x);
            (half(a.y - b.y) + along).clamp(0.0, 1.0).sqrt().asin()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_first_itself_at_the_head() {
        let at = |x, y| Place { x, y };
        let places = [at(0.0, 0.0), at(3.0, 0.0), at(1.0, 1.0), at(0.0, 0.0)];
        let near = neighbours(&places, Metric::Planar).unwrap();
        assert_eq!(near[0], [0, 3, 2, 1]);
        assert_eq!(near[3], [3, 0, 2, 1]);
        // Across the date line Fiji is nearer to Samoa than to Sydney.
        let places = [at(178.0, -18.0), at(-172.0, -13.0), at(151.0, -34.0)];
        assert_eq!(neighbours(&places, Metric::Sphere).unwrap()[0], [0, 1, 2]);
        assert_eq!(neighbours(&places, Metric::Planar).unwrap()[0], [0, 2, 1]);
    }

    #[test]
    fn bad_places_are_errors() {
        assert!(neighbours(&[], Metric::Planar).is_err());
        assert!(neighbours(&[Place { x: 0.0, y: f64::NAN }], Metric::Planar).is_err());
        assert!(neighbours(&vec![Place { x: 0.0, y: 0.0 }; 5_001], Metric::Planar).is_err());
    }
}
