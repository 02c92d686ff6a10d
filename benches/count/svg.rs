//! A curve or two as SVG: size on a logarithmic axis, cost beside the smallest size on the other. No measuring.

use std::fmt::Write as _;

/// One line of a drawing.
#[derive(Debug)]
pub(crate) struct Curve {
    /// What it is.
    pub(crate) name: &'static str,
    /// Sizes with costs, in order.
    pub(crate) points: Vec<(usize, f64)>,
}

const LEFT: f64 = 60.0;
const TOP: f64 = 30.0;
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 200.0;

/// The most growth that a drawing has room for without being made smaller.
const GROWTH: f64 = 1.5;

const COLOURS: [&str; 4] = ["#0b5394", "#b45f06", "#38761d", "#741b47"];

impl Curve {
    /// Each cost beside the first.
    pub(crate) fn growth(&self) -> Vec<f64> {
        let first = self.points.first().map_or(1.0, |(_, cost)| *cost);
        self.points.iter().map(|(_, cost)| cost / first).collect()
    }
}

/// The drawing; the dashed line is the growth that is permitted.
pub(crate) fn draw(of: &str, curves: &[Curve]) -> String {
    let highest = curves.iter().flat_map(Curve::growth).fold(GROWTH, f64::max);
    let vertical = |growth: f64| TOP + HEIGHT * (1.0 - growth / highest);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"300\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"640\" height=\"300\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\">instructions by unit, beside those with the fewest {of}</text>\n"
    );
    for growth in [0.0, 0.5, 1.0, 1.2] {
        let dash = if growth > 1.0 { " stroke-dasharray=\"4\"" } else { "" };
        let (y, right) = (vertical(growth), LEFT + WIDTH);
        let _infallible = writeln!(
            text,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#bbbbbb\"{dash}/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{growth:.1}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        text += &line(curve, colour, &vertical);
        let y = [250.0, 268.0, 286.0].get(number).copied().unwrap_or(286.0) + 8.0;
        let _infallible =
            writeln!(text, "<text x=\"{LEFT}\" y=\"{y}\" fill=\"{colour}\">{}</text>", curve.name);
    }
    text + &sizes(curves) + "</svg>\n"
}

fn line(curve: &Curve, colour: &str, vertical: &impl Fn(f64) -> f64) -> String {
    let spots: Vec<_> = curve
        .points
        .iter()
        .zip(curve.growth())
        .map(|((size, _), growth)| (across(curve, *size), vertical(growth)))
        .collect();
    let joined: Vec<_> = spots.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let mut dots = String::new();
    for (x, y) in &spots {
        let _infallible =
            write!(dots, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    let joined = joined.join(" ");
    format!(
        "<polyline points=\"{joined}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>{dots}\n"
    )
}

/// The sizes under the axis.
fn sizes(curves: &[Curve]) -> String {
    let Some(curve) = curves.first() else { return String::new() };
    let mut text = String::new();
    for (size, _) in &curve.points {
        let (x, y) = (across(curve, *size), TOP + HEIGHT + 16.0);
        let _infallible =
            writeln!(text, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{size}</text>");
    }
    text
}

fn across(curve: &Curve, size: usize) -> f64 {
    let log = |size: usize| f64::from(u32::try_from(size.max(1)).unwrap_or(u32::MAX)).ln();
    let first = curve.points.first().map_or(0.0, |(size, _)| log(*size));
    let last = curve.points.last().map_or(1.0, |(size, _)| log(*size));
    LEFT + WIDTH * (log(size) - first) / (last - first).max(1e-9)
}
