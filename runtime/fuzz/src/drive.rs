//! Drives a target without a fuzzer, in the tests of the crates that targets are about: with its seeds, with seeds that were
//! changed here and there, and with noise.

use std::path::Path;

/// Calls `body` with each file of `seeds/TARGET`, with `rounds` changed copies of each, and with as much noise. What the
/// chances are made of is a constant: the same calls each time.
pub(crate) fn drive(target: &str, rounds: u32, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(|it| {
        let seeds = it.join("runtime/fuzz/seeds").join(target);
        seeds.is_dir().then_some(seeds)
    });
    let folder = folder.unwrap_or_else(|| panic!("no seeds of {target}"));
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("seeds").map(|it| it.expect("a seed").path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    let seeds: Vec<Vec<u8>> = files.iter().map(|it| std::fs::read(it).expect("a seed")).collect();
    seeds.iter().for_each(|it| body(it));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        for _ in 0..rounds {
            let other = &seeds[chance.below(seeds.len())];
            body(&changed(seed, other, &mut chance));
            let noise: Vec<u8> = (0..chance.below(200)).map(|_| chance.byte()).collect();
            body(&noise);
        }
    }
}

/// One to four changes: a byte, a stretch that goes, a stretch that comes again, a piece of another, a token of JSON.
fn changed(seed: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    const TOKENS: &[&str] = &[
        "null",
        "0",
        "-1",
        "1e308",
        "-1e999",
        "18446744073709551616",
        "0.5",
        "\"\"",
        "[]",
        "{}",
        "[",
        "}",
        "\\ud800",
        "\0",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "&",
        "=",
        "%",
        "\n",
        ".",
        "true",
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let to = (at + chance.below(16)).min(bytes.len());
        match chance.below(5) {
            0 if at < bytes.len() => bytes[at] = chance.byte(),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            3 => {
                let from = chance.below(other.len() + 1);
                let piece = &other[from..(from + chance.below(24)).min(other.len())];
                bytes.splice(at..to, piece.iter().copied());
            }
            _ => drop(bytes.splice(at..to, TOKENS[chance.below(TOKENS.len())].bytes())),
        }
    }
    bytes
}

/// xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}
