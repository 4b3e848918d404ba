//! From a value to a place, and where the marks are.

/// An axis from one end of the picture to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    /// The values at both ends.
    values: (f64, f64),
    /// Their places.
    places: (i32, i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// Beyond this ratio between the largest and the smallest bar the small ones would be seen no more.
pub(crate) const WIDEST_BARS: f64 = 20.0;
/// Lines lie beside each other, and lie on each other sooner.
pub(crate) const WIDEST_LINES: f64 = 6.0;

impl Axis {
    /// One for these values: from zero, or logarithmic where they are further apart than `widest`.
    pub(crate) fn of(
        values: impl IntoIterator<Item = f64>,
        widest: f64,
        places: (i32, i32),
    ) -> Self {
        let values = values.into_iter().filter(|value| *value > 0.0);
        let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if high <= low * widest {
            return Self {
                scale: Scale::Linear,
                values: (0.0, high * 1.02),
                places,
            };
        }
        Self::logarithmic((low / 1.3, high * 1.05), places)
    }

    pub(crate) fn logarithmic(values: (f64, f64), places: (i32, i32)) -> Self {
        Self {
            scale: Scale::Logarithmic,
            values,
            places,
        }
    }

    pub(crate) fn is_logarithmic(self) -> bool {
        self.scale == Scale::Logarithmic
    }

    pub(crate) fn place(self, value: f64) -> i32 {
        let (first, last) = self.values;
        let share = match self.scale {
            Scale::Linear => (value - first) / (last - first),
            Scale::Logarithmic => (value / first).ln() / (last / first).ln(),
        };
        let (from, to) = self.places;
        from + (share.clamp(0.0, 1.0) * f64::from(to - from)).round() as i32
    }

    /// Round values to be marked, a handful of them.
    pub(crate) fn marks(self) -> Vec<f64> {
        let (first, last) = self.values;
        match self.scale {
            Scale::Linear => {
                let step = round_up((last - first) / 6.0);
                let count = ((last - first) / step).floor() as usize;
                (0..=count).map(|n| first + step * n as f64).collect()
            }
            Scale::Logarithmic => {
                let decades = (last / first).log10();
                let steps: &[f64] = match decades {
                    ..1.5 => &[1.0, 2.0, 5.0],
                    ..2.5 => &[1.0, 3.0],
                    _ => &[1.0],
                };
                let exponents = first.log10().floor() as i32..=last.log10().ceil() as i32;
                let all = exponents.flat_map(|exponent| {
                    steps.iter().map(move |step| step * 10_f64.powi(exponent))
                });
                all.filter(|mark| (first..=last).contains(mark)).collect()
            }
        }
    }
}

/// The next of 1, 2, 5, 10, …
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digits = [1.0, 2.0, 5.0].into_iter();
    digits
        .map(|digit| digit * power)
        .find(|round| *round >= value)
        .unwrap_or(10.0 * power)
}
