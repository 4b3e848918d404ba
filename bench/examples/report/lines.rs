//! Lines, each with its name at its end.

use std::io;

use bench::results::Spread;

use crate::{
    axis::{Axis, WIDEST_LINES},
    bars::short,
    picture::{From, MARGIN, Picture, Series, Size, Tone, WIDTH},
};

/// One line: a value for each step, `None` where it was not measured.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) series: Series,
    pub(crate) name: String,
    pub(crate) values: Vec<Option<Spread>>,
}

/// A whole picture of them.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) below: String,
    /// What the steps from left to right are.
    pub(crate) steps: Vec<String>,
    pub(crate) steps_are: &'static str,
    /// The unit of the values, and which are better.
    pub(crate) values_are: &'static str,
    pub(crate) lines: Vec<Line>,
}

const LEFT: i32 = MARGIN + 56;
const RIGHT: i32 = WIDTH - 208;
const TOP: i32 = 104;
const BOTTOM: i32 = 404;
const HEIGHT: i32 = 460;
/// Two names need so much between their tops.
const NAME: i32 = 17;

impl Lines {
    /// The SVG; `None` where nothing was measured.
    pub(crate) fn draw(&self) -> io::Result<Option<String>> {
        let measured = self
            .lines
            .iter()
            .flat_map(|line| line.values.iter().flatten());
        let values: Vec<f64> = measured
            .flat_map(|spread| [spread.low, spread.high])
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        let axis = Axis::of(values, WIDEST_LINES, (BOTTOM, TOP));
        let svg = Picture::draw(HEIGHT, &self.title, &self.below, |picture| {
            self.scale(picture, axis)?;
            let mut ends = Vec::new();
            for (nth, line) in self.lines.iter().enumerate() {
                // Ranges of the same step stand beside each other.
                let aside = 5 * nth as i32 - 5 * (self.lines.len() as i32 - 1) / 2;
                if let Some(end) = self.line(picture, axis, line, aside)? {
                    ends.push((end, line));
                }
            }
            self.names(picture, ends)
        })?;
        Ok(Some(svg))
    }

    fn x(&self, step: usize) -> i32 {
        let gaps = self.steps.len().saturating_sub(1).max(1) as i32;
        LEFT + 24 + (RIGHT - LEFT - 48) * step as i32 / gaps
    }

    fn scale(&self, picture: &Picture<'_>, axis: Axis) -> io::Result<()> {
        let how = if axis.is_logarithmic() {
            ", logarithmic"
        } else {
            ""
        };
        let words = format!("{}{how}", self.values_are);
        picture.text(
            MARGIN,
            TOP - 28,
            Size::Small,
            Tone::Muted,
            From::Left,
            &words,
        )?;
        for mark in axis.marks() {
            let y = axis.place(mark);
            picture.grid(vec![(LEFT, y), (RIGHT, y)])?;
            picture.text(
                LEFT - 8,
                y - 6,
                Size::Small,
                Tone::Muted,
                From::Right,
                &short(mark),
            )?;
        }
        for (step, name) in self.steps.iter().enumerate() {
            picture.text(
                self.x(step),
                BOTTOM + 8,
                Size::Small,
                Tone::Muted,
                From::Middle,
                name,
            )?;
        }
        picture.text(
            (LEFT + RIGHT) / 2,
            BOTTOM + 28,
            Size::Small,
            Tone::Muted,
            From::Middle,
            self.steps_are,
        )
    }

    /// Gives where it ends.
    fn line(
        &self,
        picture: &Picture<'_>,
        axis: Axis,
        line: &Line,
        aside: i32,
    ) -> io::Result<Option<i32>> {
        let mut points = Vec::new();
        for (step, value) in line.values.iter().enumerate() {
            let Some(Spread { low, median, high }) = value else {
                continue;
            };
            let x = self.x(step);
            points.push((x, axis.place(*median)));
            let (low, high) = (axis.place(*low), axis.place(*high));
            if low != high {
                let x = x + aside;
                picture.noise_of(line.series, vec![(x, low), (x, high)])?;
                for y in [low, high] {
                    picture.noise_of(line.series, vec![(x - 2, y), (x + 2, y)])?;
                }
            }
        }
        let end = points.last().map(|(_, y)| *y);
        picture.line(line.series, points)?;
        Ok(end)
    }

    /// The names at the ends, moved apart where they would cover each other.
    fn names(&self, picture: &Picture<'_>, mut ends: Vec<(i32, &Line)>) -> io::Result<()> {
        ends.sort_by_key(|(y, _)| *y);
        let mut lowest = i32::MIN;
        // So that those at the bottom have room, they are laid from there.
        let count = ends.len() as i32;
        for (nth, (y, line)) in ends.into_iter().enumerate() {
            let most = BOTTOM - (count - 1 - nth as i32) * NAME;
            let at = (y - 7).max(lowest).min(most);
            lowest = at + NAME;
            let x = self.x(self.steps.len() - 1);
            picture.line(
                line.series,
                vec![(x + 6, y), (x + 18, at + 7), (x + 26, at + 7)],
            )?;
            let last = line.values.iter().flatten().last();
            let value =
                last.map_or_else(String::new, |last| format!(" {}", short_value(last.median)));
            let name = format!("{}{value}", line.name);
            picture.text(x + 32, at, Size::Words, Tone::Ink, From::Left, &name)?;
        }
        Ok(())
    }
}

fn short_value(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
