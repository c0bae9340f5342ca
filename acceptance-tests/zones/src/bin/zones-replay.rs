//! A market through the real controller and the pure function: `cargo run -p streamverse-zones-stand-in --bin zones-replay -- [DAYS [NOTICE
//! [keeps]]]`, after `cargo build -p streamverse-zones-stand-in`. It fails where they are apart by more than one percent. The market is the
//! recorded one, or the checked-in traces where that is absent; with `--burstiness B --seed SEED` before all of it, that of `streamverse
//! simulate spot` with the same.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measured is its answer")]

use std::process::ExitCode;
use std::time::Instant;

use streamverse_compute::simulate::{Setting, Synthetic, table};
use streamverse_zones_stand_in::{differences, first_days, made_up, pure, recorded, through_controller};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let synthetic = match &words[..] {
        [b, burstiness, s, seed, ..] if b == "--burstiness" && s == "--seed" => {
            Some((burstiness.parse().ok(), seed.parse().ok()))
        }
        _ => None,
    };
    if synthetic.is_some() {
        words.drain(..4);
    }
    let number = |at: usize, usual: f64| words.get(at).map_or(Some(usual), |it| it.parse().ok());
    let (Some(days), Some(notice)) = (number(0, 45.0), number(1, 0.0)) else {
        eprintln!("usage: zones-replay [--burstiness B --seed SEED] [DAYS [NOTICE-SECONDS [keeps]]]");
        return ExitCode::from(2);
    };
    let keeps = words.get(2).is_some_and(|it| it == "keeps");
    let market = match synthetic {
        None => first_days(&recorded().unwrap_or_else(made_up), days),
        Some((Some(burstiness), Some(seed))) => {
            first_days(&Synthetic { burstiness, seed, ..Synthetic::default() }.market(), days)
        }
        Some(_) => {
            eprintln!("zones-replay: --burstiness is a number, --seed a whole one");
            return ExitCode::from(2);
        }
    };
    let setting = Setting { notice_ms: (notice * 1000.0) as u64, ..Setting::default() };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("zones-replay: {error}");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    let controller = runtime.block_on(through_controller(&market, &setting, keeps));
    let took = began.elapsed();
    let pure = pure(&market, &setting);
    let apart = differences(&controller, &pure, &market, &setting);
    print!("{}", table(&[controller, pure], &setting));
    let length = market.length_ms() as f64 / 86_400_000.0;
    println!(
        "{length:.2} days of {} zones, notice {notice} s, groups that keep their size: {keeps}; {took:.1?}",
        market.zones.len()
    );
    if apart.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("zones-replay: apart by more than one percent: {}", apart.join("; "));
    ExitCode::FAILURE
}
