//! A picture of a replay: capacity, cost and outages over the days. One file, no script.

use super::run::{Report, Setting};

const WIDTH: f64 = 1200.0;
const PLOT: f64 = 180.0;
const LEFT: f64 = 60.0;

/// The picture.
pub fn svg(report: &Report, setting: &Setting, gap_ms: u64) -> String {
    let ticks = report.moments.len().max(1);
    let columns = (WIDTH as usize).min(ticks);
    let of = |column: usize| {
        let (from, to) =
            (column * ticks / columns, ((column + 1) * ticks / columns).max(column * ticks / columns + 1));
        report.moments.get(from..to.min(ticks)).unwrap_or(&[])
    };
    let mean = |column: usize, of_one: &dyn Fn(&super::run::Moment) -> f32| {
        let all = of(column);
        all.iter().map(|it| f64::from(of_one(it))).sum::<f64>() / all.len().max(1) as f64
    };
    let need = f64::from(setting.workers.max(1));
    let scale = WIDTH / columns as f64;
    let (capacity, cost) = (50.0, 50.0 + PLOT + 50.0);
    let height = |value: f64, most: f64| (value / most).clamp(0.0, 1.0) * PLOT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"24\">{}: {} ready {:.2} %, 0 ready {:.3} %, cost {:.3} of all on demand</text>\n",
        WIDTH + LEFT + 20.0,
        cost + PLOT + 60.0,
        escaped(&report.name),
        setting.workers,
        report.all_ready * 100.0,
        report.none_ready * 100.0,
        report.cost
    );
    let mut bars =
        |y: f64, most: f64, colour: &str, lower: &dyn Fn(usize) -> f64, upper: &dyn Fn(usize) -> f64| {
            let mut path = String::new();
            for column in 0..columns {
                let (low, high) = (height(lower(column), most), height(upper(column), most));
                if high > low {
                    let x = LEFT + column as f64 * scale;
                    path +=
                        &format!("M{x:.1} {:.1}h{scale:.2}v{:.1}h-{scale:.2}z", y + PLOT - low, low - high);
                }
            }
            out += &format!("<path d=\"{path}\" fill=\"{colour}\"/>\n");
        };
    let spot = |column: usize| mean(column, &|it| it.spot).min(need);
    let both = |column: usize| mean(column, &|it| it.spot + it.on_demand).min(need);
    bars(capacity, need, "#4a90d9", &|_| 0.0, &spot);
    bars(capacity, need, "#f5a623", &spot, &both);
    let out_of = |column: usize| if of(column).iter().any(|it| it.none > 0.0) { need } else { 0.0 };
    bars(capacity, need, "#d0021b", &|_| 0.0, &|column| out_of(column) * 0.06);
    bars(cost, 1.0, "#7b8a99", &|_| 0.0, &|column| mean(column, &|it| it.cost));
    for (y, label, most) in [
        (capacity, "workers ready: spot, on demand; red: none", format!("{need}")),
        (cost, "cost, 1 = all on demand", "1".to_owned()),
    ] {
        out += &format!(
            "<text x=\"{LEFT}\" y=\"{:.0}\">{label}</text>\n<path d=\"M{LEFT} {y}v{PLOT}h{WIDTH}\" fill=\"none\" stroke=\"#333\"/>\n<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{most}</text>\n<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">0</text>\n",
            y - 8.0,
            LEFT - 8.0,
            y + 10.0,
            LEFT - 8.0,
            y + PLOT
        );
    }
    let days = ticks as f64 * gap_ms as f64 / 86_400_000.0;
    let every = (days / 10.0).ceil().max(1.0);
    let mut day = 0.0;
    while day <= days {
        let x = LEFT + day / days.max(1e-9) * WIDTH;
        out += &format!(
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">day {day:.0}</text>\n",
            cost + PLOT + 20.0
        );
        day += every;
    }
    out + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
