//! The visual language: which colour is whose, what a picture looks like in light and in dark.

use std::{fmt::Write as _, io};

use plotters::{
    coord::Shift,
    prelude::{DrawingArea, IntoDrawingArea as _, PathElement, Rectangle, SVGBackend, Text},
    style::{
        Color as _, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Whose a bar or a line is. The order is that of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Series {
    Limit,
    Raw,
    Wire,
    HubMessagePack,
    HubJson,
    HubSse,
    HubPolling,
    Peer,
}

impl Series {
    /// In light and in dark.
    fn colours(self) -> [u32; 2] {
        match self {
            Self::Limit => [0x8a_8f_98, 0x8a_8f_98],
            Self::Raw => [0x00_72_b2, 0x56_b4_e9],
            Self::Wire => [0x00_9e_73, 0x2f_c7_9a],
            Self::HubMessagePack => [0xd5_5e_00, 0xff_8a_3d],
            Self::HubJson => [0xcc_79_a7, 0xe6_a1_c8],
            Self::HubSse => [0xe6_9f_00, 0xf0_b8_3a],
            Self::HubPolling => [0x7a_51_95, 0xb1_8a_d0],
            Self::Peer => [0x9a_a1_ac, 0x6b_73_80],
        }
    }

    pub(crate) fn colour(self) -> RGBColor {
        rgb(self.colours()[0])
    }

    const ALL: [Self; 8] = [
        Self::Limit,
        Self::Raw,
        Self::Wire,
        Self::HubMessagePack,
        Self::HubJson,
        Self::HubSse,
        Self::HubPolling,
        Self::Peer,
    ];
}

/// What is no series: in light and in dark.
const GROUND: [u32; 2] = [0xff_ff_ff, 0x14_18_1d];
const INK: [u32; 2] = [0x1b_1f_24, 0xe6_e9_ee];
const MUTED: [u32; 2] = [0x4d_55_62, 0xb8_be_c8];
const GRID: [u32; 2] = [0xdd_e1_e6, 0x33_3a_43];
/// The colour of the limit, a hair beside it: what is drawn in it is dashed.
const DASHED: [u32; 2] = [0x8a_8f_99, 0x8a_8f_99];

/// The three sizes of letters.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Title,
    Words,
    Small,
}

#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Ink,
    Muted,
}

/// Where the point of a text is in it.
#[derive(Clone, Copy)]
pub(crate) enum From {
    Left,
    Middle,
    Right,
}

pub(crate) const WIDTH: i32 = 800;
pub(crate) const MARGIN: i32 = 24;

/// A drawing that becomes an SVG.
pub(crate) struct Picture<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl Picture<'_> {
    /// Draws a picture of this height, with its title and what is below that; gives the SVG.
    pub(crate) fn draw(
        height: i32,
        title: &str,
        below: &str,
        content: impl FnOnce(&Picture<'_>) -> io::Result<()>,
    ) -> io::Result<String> {
        let mut svg = String::new();
        {
            let size = (WIDTH as u32, height as u32);
            let backend = SVGBackend::with_string(&mut svg, size);
            let picture = Picture {
                area: backend.into_drawing_area(),
            };
            picture
                .area
                .fill(&rgb(GROUND[0]))
                .map_err(io::Error::other)?;
            picture.text(MARGIN, 20, Size::Title, Tone::Ink, From::Left, title)?;
            picture.text(MARGIN, 46, Size::Small, Tone::Muted, From::Left, below)?;
            content(&picture)?;
            picture.area.present().map_err(io::Error::other)?;
        }
        Ok(with_both_grounds(&svg, title))
    }

    /// A text whose point is at its top, and left, in the middle or right.
    pub(crate) fn text(
        &self,
        x: i32,
        y: i32,
        size: Size,
        tone: Tone,
        from: From,
        text: &str,
    ) -> io::Result<()> {
        let (size, style) = match size {
            Size::Title => (17.0, FontStyle::Bold),
            Size::Words => (13.0, FontStyle::Normal),
            Size::Small => (12.0, FontStyle::Normal),
        };
        let colour = match tone {
            Tone::Ink => rgb(INK[0]),
            Tone::Muted => rgb(MUTED[0]),
        };
        let horizontal = match from {
            From::Left => HPos::Left,
            From::Middle => HPos::Center,
            From::Right => HPos::Right,
        };
        let font = FontDesc::new(FontFamily::Name("system-ui"), size, style);
        let style = TextStyle::from(font)
            .color(&colour)
            .pos(Pos::new(horizontal, VPos::Top));
        let text = Text::new(text.to_owned(), (x, y), style);
        self.area.draw(&text).map_err(io::Error::other)
    }

    /// A bar; the limit's is an outline of dashes.
    pub(crate) fn bar(&self, series: Series, from: (i32, i32), to: (i32, i32)) -> io::Result<()> {
        let style = match series {
            Series::Limit => rgb(DASHED[0]).stroke_width(2),
            _ => series.colour().filled(),
        };
        self.area
            .draw(&Rectangle::new([from, to], style))
            .map_err(io::Error::other)
    }

    /// A line through these points.
    pub(crate) fn line(&self, series: Series, points: Vec<(i32, i32)>) -> io::Result<()> {
        let style = match series {
            Series::Limit => rgb(DASHED[0]).stroke_width(2),
            _ => series.colour().stroke_width(2),
        };
        self.path(points, style)
    }

    /// A thin line that shows how far the rounds are apart.
    pub(crate) fn noise(&self, points: Vec<(i32, i32)>) -> io::Result<()> {
        self.path(points, rgb(INK[0]).stroke_width(1))
    }

    /// The same beside others, in the colour of its own.
    pub(crate) fn noise_of(&self, series: Series, points: Vec<(i32, i32)>) -> io::Result<()> {
        self.path(points, series.colour().stroke_width(1))
    }

    pub(crate) fn grid(&self, points: Vec<(i32, i32)>) -> io::Result<()> {
        self.path(points, rgb(GRID[0]).stroke_width(1))
    }

    fn path(&self, points: Vec<(i32, i32)>, style: ShapeStyle) -> io::Result<()> {
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(io::Error::other)
    }
}

/// Gives the picture its title for who hears it, and the colours that it has on a dark ground.
fn with_both_grounds(svg: &str, title: &str) -> String {
    let mut dark = String::new();
    let others = [GROUND, INK, MUTED, GRID, DASHED];
    let all = Series::ALL.into_iter().map(Series::colours).chain(others);
    for [light, night] in all.filter(|[light, night]| light != night) {
        for property in ["fill", "stroke"] {
            let _ = write!(
                dark,
                "[{property}=\"#{light:06X}\"]{{{property}:#{night:06x}}}"
            );
        }
    }
    let [dashed, _] = DASHED;
    let style = format!(
        "<title>{}</title>\n<style>text{{font-variant-numeric:tabular-nums}}\
         [stroke=\"#{dashed:06X}\"]{{stroke-dasharray:5 3}}\
         @media (prefers-color-scheme:dark){{{dark}}}</style>\n",
        escaped(title)
    );
    let head_ends = svg
        .find("<svg")
        .and_then(|at| Some(at + svg[at..].find('>')? + 1));
    let at = head_ends.unwrap_or_default();
    let (head, rest) = svg.split_at(at);
    let rest = rest.replace(
        "font-family=\"system-ui\"",
        "font-family=\"system-ui, sans-serif\"",
    );
    format!("{head}\n{style}{}\n", rest.trim())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn rgb(colour: u32) -> RGBColor {
    let [_, red, green, blue] = colour.to_be_bytes();
    RGBColor(red, green, blue)
}
