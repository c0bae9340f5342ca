//! What a policy refuses.

use std::time::Duration;

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::spec::{EntitlementPolicySpec, EntitlementPolicySpecView, instant};

/// The shortest licence: a player asks for the next one after half of it.
const SHORTEST: Duration = Duration::from_secs(10);
/// The longest: nobody waits longer for the place of a player that is gone.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The longest rental, and the longest wait for its first play.
const YEARS: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The codes of ISO 3166-1 alpha-2 that are officially assigned, as of 2026-11 without a look-up: general knowledge.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM \
JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS \
MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM \
US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// Whether a text is a country's code.
fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split(' ').any(|it| it == code)
}

/// Whether a text is an asset's name, with a `*` at its end if need be.
fn is_asset(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let name = text.strip_suffix('*').unwrap_or(text);
    text.len() <= 41 && !text.is_empty() && name.bytes().all(fits) && !name.starts_with('-')
}

/// Refuses what cannot work. What is not known yet is not judged.
pub fn check(view: &EntitlementPolicySpecView, out: &mut Diagnostics) {
    if view.licence_duration.known().is_some_and(|it| it.0 < SHORTEST || it.0 > LONGEST) {
        out.error_at(
            EntitlementPolicySpec::licence_duration(),
            "Unusable licence duration",
            "A licence lasts 10 s to 24 h: players ask again after half of it, and the place of one that is gone is free after all of it.",
        );
    }
    if let Some(rental) = view.rental.known() {
        let place = Path::attribute("rental");
        for (name, value) in [("window", &rental.window), ("start_within", &rental.start_within)] {
            if value.known().is_some_and(|it| it.0 < Duration::from_secs(60) || it.0 > YEARS) {
                out.error_at(place.clone().attr(name), "Unusable rental", "It must be 1 minute to 10 years.");
            }
        }
    }
    let mut names: Vec<&String> = Vec::new();
    for (at, package) in known(&view.packages) {
        let place = Path::attribute("packages").index(at);
        name_once(package.name.known(), &mut names, place.clone(), "package", out);
        assets(&package.assets, &place, out);
    }
    let mut names: Vec<&String> = Vec::new();
    for (at, event) in known(&view.events) {
        let place = Path::attribute("events").index(at);
        name_once(event.name.known(), &mut names, place.clone(), "event", out);
        assets(&event.assets, &place, out);
        let (from, to) = (
            time(&event.from, place.clone().attr("from"), out),
            time(&event.to, place.clone().attr("to"), out),
        );
        window(from, to, place, out);
    }
    for (at, blackout) in known(&view.blackouts) {
        let place = Path::attribute("blackouts").index(at);
        assets(&blackout.assets, &place, out);
        let mut seen: Vec<&String> = Vec::new();
        for (number, country) in texts(&blackout.countries) {
            let at = place.clone().attr("countries").index(number);
            if !is_country(country) {
                out.error_at(
                    at,
                    "No country",
                    format!("{country:?} is no code of ISO 3166-1 alpha-2, such as \"DE\" or \"US\"."),
                );
            } else if seen.contains(&country) {
                out.error_at(at, "A country twice", format!("{country} stands there before: remove one."));
            }
            seen.push(country);
        }
        let (from, to) = (
            time(&blackout.from, place.clone().attr("from"), out),
            time(&blackout.to, place.clone().attr("to"), out),
        );
        window(from, to, place, out);
    }
}

fn known<T>(all: &Maybe<Vec<Maybe<T>>>) -> impl Iterator<Item = (usize, &T)> {
    all.known().into_iter().flatten().enumerate().filter_map(|(at, it)| Some((at, it.known()?)))
}

fn texts(all: &Maybe<Vec<Maybe<String>>>) -> impl Iterator<Item = (usize, &String)> {
    known(all)
}

fn name_once<'a>(
    name: Option<&'a String>,
    names: &mut Vec<&'a String>,
    place: Path,
    what: &str,
    out: &mut Diagnostics,
) {
    let Some(name) = name else { return };
    if names.contains(&name) {
        out.error_at(
            place.attr("name"),
            "Name taken",
            format!("There is another {what} {name:?}: grants name one of them."),
        );
    }
    names.push(name);
}

fn assets(all: &Maybe<Vec<Maybe<String>>>, place: &Path, out: &mut Diagnostics) {
    let mut seen = std::collections::BTreeSet::new();
    for (number, asset) in texts(all) {
        let at = place.clone().attr("assets").index(number);
        if !is_asset(asset) {
            out.error_at(at, "No asset's name", format!("{asset:?} must be 1 to 40 characters of a-z, 0-9 and -, with a * at its end if it means all that begin so."));
        } else if !seen.insert(asset) {
            out.error_at(at, "An asset twice", format!("{asset:?} stands there before: remove one."));
        }
    }
}

fn time(text: &Maybe<String>, place: Path, out: &mut Diagnostics) -> Option<u64> {
    let text = text.known()?;
    let at = instant(text);
    if at.is_none() {
        out.error_at(
            place,
            "No instant",
            format!("{text:?} is no RFC 3339 instant after 1970 such as \"2026-12-01T18:00:00Z\"."),
        );
    }
    at
}

fn window(from: Option<u64>, to: Option<u64>, place: Path, out: &mut Diagnostics) {
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        out.error_at(place.attr("to"), "It ends before it begins", "`to` must come after `from`.");
    }
}
