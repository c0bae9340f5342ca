//! A controller as a process of its own, on the stand-in: `zones-controller ENDPOINT FOLDER LIMIT`. The folder holds its catalogue and its
//! lock file; it says `leads` and `stands by`, and ends when its standard input does.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, folder, limit] = words.as_slice() else {
        eprintln!("usage: zones-controller ENDPOINT FOLDER LIMIT");
        return ExitCode::from(2);
    };
    let Ok(limit) = limit.parse() else {
        eprintln!("zones-controller: the limit {limit:?} is no number");
        return ExitCode::from(2);
    };
    match streamverse_zones_stand_in::controllers::run(endpoint, Path::new(folder), limit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zones-controller: {error}");
            ExitCode::FAILURE
        }
    }
}
