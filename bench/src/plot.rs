//! Plots as SVG: latency by percentile, the spike's second by second, and its payments.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 480);
const FONT: (&str, i32) = ("sans-serif", 18);
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(90, 90, 90),
];
/// Nothing is faster, and a logarithm needs a beginning.
const LATENCY_MS_MIN: f64 = 0.1;

/// One line of a plot.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What a plot says around its lines.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
}

/// Next to the file with the figures: `bench.json` and `latency` make `bench-latency.svg`.
pub(crate) fn beside(out: &Path, name: &str) -> PathBuf {
    let stem = out.file_stem().and_then(|stem| stem.to_str()).unwrap_or("bench");
    out.with_file_name(format!("{stem}-{name}.svg"))
}

pub(crate) fn write(path: &Path, svg: &str) -> anyhow::Result<()> {
    std::fs::write(path, svg).with_context(|| format!("{} cannot be written", path.display()))
}

/// Counts over time, from 1 on: few and many are seen in one plot.
pub(crate) fn counts(words: &Words, series: &[Series]) -> anyhow::Result<String> {
    let raised: Vec<Series> = series
        .iter()
        .map(|each| Series {
            name: each.name.clone(),
            points: each.points.iter().map(|(x, y)| (*x, y.max(1.0))).collect(),
        })
        .collect();
    let (x_most, y_most) = extent(&raised);
    draw(words, &raised, (0.0..x_most, (1.0..y_most * 1.5).log_scale()))
}

/// Over time.
pub(crate) fn lines(words: &Words, series: &[Series]) -> anyhow::Result<String> {
    let (x_most, y_most) = extent(series);
    draw(words, series, (0.0..x_most, 0.0..y_most * 1.05))
}

/// Latencies by how many take no longer: the axis stretches with each nine, so that the rare ones are seen.
pub(crate) fn latencies(words: &Words, series: &[Series]) -> anyhow::Result<String> {
    let nines = |(percent, ms): &(f64, f64)| (-(1.0 - percent / 100.0).max(1e-4).log10(), ms.max(LATENCY_MS_MIN));
    let stretched: Vec<Series> = series
        .iter()
        .map(|each| Series { name: each.name.clone(), points: each.points.iter().map(nines).collect() })
        .collect();
    let (x_most, y_most) = extent(&stretched);
    draw(words, &stretched, (0.0..x_most, (LATENCY_MS_MIN..y_most * 1.5).log_scale()))
}

fn extent(series: &[Series]) -> (f64, f64) {
    let most = |of: fn(&(f64, f64)) -> f64| {
        series.iter().flat_map(|each| each.points.iter().map(of)).fold(0.0_f64, f64::max).max(1.0)
    };
    (most(|point| point.0), most(|point| point.1))
}

fn draw<Y>(words: &Words, series: &[Series], (x, y): (std::ops::Range<f64>, Y)) -> anyhow::Result<String>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(words.title, FONT)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(70)
            .build_cartesian_2d(x, y)?;
        chart.configure_mesh().x_desc(words.x).y_desc(words.y).light_line_style(WHITE).draw()?;
        for (each, colour) in series.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(each.points.iter().copied(), style))?
                .label(each.name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        }
        let labels = &mut chart.configure_series_labels();
        labels.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words { title: "a title", x: "seconds", y: "messages" };

    fn series() -> Vec<Series> {
        let named = |name: &str, points| Series { name: name.to_owned(), points };
        vec![named("pressed", vec![(0.0, 1.0), (1.0, 5.0)]), named("waiting", vec![(0.0, 0.0), (1.0, 3.0)])]
    }

    fn well_formed(svg: &str) -> bool {
        let opened = svg.matches('<').count();
        let ended = svg.matches("/>").count() + svg.matches("</").count() * 2;
        svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && opened == ended
    }

    #[test]
    fn a_plot_is_whole_and_shows_every_line_by_name() {
        let svg = lines(&WORDS, &series()).expect("a plot");
        assert!(well_formed(&svg) && well_formed(&counts(&WORDS, &series()).expect("a plot")), "{svg}");
        for said in ["pressed", "waiting", "a title", "seconds", "messages"] {
            assert!(svg.contains(said), "{said}");
        }
        assert!(svg.matches("<polyline").count() >= 2);
    }

    #[test]
    fn latencies_are_drawn_also_where_there_are_none() {
        assert!(well_formed(&latencies(&WORDS, &[]).expect("an empty plot")));
        let curve = Series { name: "30 %".to_owned(), points: vec![(0.0, 0.5), (50.0, 4.0), (99.9, 40.0)] };
        assert!(latencies(&WORDS, &[curve]).expect("a plot").contains("30 %"));
    }

    #[test]
    fn a_plot_lies_beside_the_figures() {
        assert_eq!(beside(Path::new("/tmp/x/bench.json"), "spike"), Path::new("/tmp/x/bench-spike.svg"));
    }
}
