//! Bars: the length is a ratio, the label says the value too.

use std::io;

use bench::results::Spread;

use crate::{
    axis::{Axis, WIDEST_BARS},
    picture::{From, MARGIN, Picture, Series, Size, Tone, WIDTH},
};

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) series: Series,
    pub(crate) name: String,
    /// In the unit of the panel.
    pub(crate) value: Spread,
}

/// Bars that have one thing in common.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// What the bars are ratios to: a value in the same unit.
    pub(crate) base: f64,
    pub(crate) bars: Vec<Bar>,
}

/// A whole picture of them.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) below: String,
    /// What a ratio of 1 is.
    pub(crate) base_name: &'static str,
    /// Writes a value with its unit.
    pub(crate) label: fn(f64) -> String,
    pub(crate) panels: Vec<Panel>,
}

const NAMES: i32 = 168;
const LABELS: i32 = 176;
const TOP: i32 = 76;
const ROW: i32 = 24;
const BAR: i32 = 16;
const PANEL_HEAD: i32 = 28;
const PANEL_GAP: i32 = 12;
const AXIS: i32 = 52;

impl Bars {
    /// The SVG; `None` where nothing was measured.
    pub(crate) fn draw(&self) -> io::Result<Option<String>> {
        let panels: Vec<&Panel> = self
            .panels
            .iter()
            .filter(|panel| panel.bars.len() > 1)
            .collect();
        if panels.is_empty() {
            return Ok(None);
        }
        let ratios = panels.iter().flat_map(|panel| {
            let ends = |bar: &Bar| [bar.value.median / panel.base, bar.value.high / panel.base];
            panel.bars.iter().flat_map(ends)
        });
        let axis = Axis::of(ratios, WIDEST_BARS, (MARGIN + NAMES, WIDTH - LABELS));
        let of_panel = |panel: &&Panel| PANEL_HEAD + panel.bars.len() as i32 * ROW + PANEL_GAP;
        let inner: i32 = panels.iter().map(of_panel).sum();
        let svg = Picture::draw(TOP + inner + AXIS, &self.title, &self.below, |picture| {
            self.scale(picture, axis, TOP + inner)?;
            let mut y = TOP;
            for panel in &panels {
                picture.text(
                    MARGIN,
                    y + 4,
                    Size::Words,
                    Tone::Muted,
                    From::Left,
                    &panel.name,
                )?;
                y += PANEL_HEAD;
                let rows = panel.bars.len() as i32 * ROW;
                for x in axis.marks().into_iter().map(|mark| axis.place(mark)) {
                    picture.grid(vec![(x, y), (x, y + rows)])?;
                }
                for bar in &panel.bars {
                    self.bar(picture, axis, panel, bar, y)?;
                    y += ROW;
                }
                y += PANEL_GAP;
            }
            Ok(())
        })?;
        Ok(Some(svg))
    }

    fn scale(&self, picture: &Picture<'_>, axis: Axis, bottom: i32) -> io::Result<()> {
        for mark in axis.marks() {
            let label = format!("{} ×", short(mark));
            let x = axis.place(mark);
            picture.text(
                x,
                bottom + 6,
                Size::Small,
                Tone::Muted,
                From::Middle,
                &label,
            )?;
        }
        let how = if axis.is_logarithmic() {
            ", logarithmic"
        } else {
            ""
        };
        let words = format!("× {}{how}; lower is better", self.base_name);
        let left = MARGIN + NAMES;
        picture.text(
            left,
            bottom + 26,
            Size::Small,
            Tone::Muted,
            From::Left,
            &words,
        )
    }

    fn bar(
        &self,
        picture: &Picture<'_>,
        axis: Axis,
        panel: &Panel,
        bar: &Bar,
        y: i32,
    ) -> io::Result<()> {
        let [low, median, high] =
            [bar.value.low, bar.value.median, bar.value.high].map(|value| value / panel.base);
        let (left, end) = (MARGIN + NAMES, axis.place(median));
        let top = y + (ROW - BAR) / 2;
        picture.text(
            left - 8,
            y + 6,
            Size::Words,
            Tone::Ink,
            From::Right,
            &bar.name,
        )?;
        picture.bar(bar.series, (left, top), (end, top + BAR))?;
        let middle = top + BAR / 2;
        let (from, to) = (axis.place(low), axis.place(high));
        if to > from {
            picture.noise(vec![(from, middle), (to, middle)])?;
            for x in [from, to] {
                picture.noise(vec![(x, middle - 4), (x, middle + 4)])?;
            }
        }
        let label = format!("{} · {} ×", (self.label)(bar.value.median), two(median));
        picture.text(
            to.max(end) + 8,
            y + 6,
            Size::Words,
            Tone::Ink,
            From::Left,
            &label,
        )
    }
}

/// With two digits behind the point where they matter.
pub(crate) fn two(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}"),
        ..100.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

/// A round number without needless digits.
pub(crate) fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
