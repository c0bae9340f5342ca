//! The stand-in as a process: `zones-stand-in CONFIG LEDGER`. It says where it listens, and ends when its standard input does.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let [config, ledger] = words.as_slice() else {
        eprintln!("usage: zones-stand-in CONFIG LEDGER");
        return ExitCode::from(2);
    };
    match streamverse_zones_stand_in::run(Path::new(config), Path::new(ledger)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zones-stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}
