//! The stand-in as a process: `runpod-stand-in LEDGER`. It says where it listens, and ends when its standard input does.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(ledger) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: runpod-stand-in LEDGER");
        return ExitCode::from(2);
    };
    match streamverse_runpod_stand_in::run(&ledger) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runpod-stand-in: {error}");
            ExitCode::FAILURE
        }
    }
}
