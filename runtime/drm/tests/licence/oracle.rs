//! What is true, and what may be given: the true time, the terms and the rights, and nothing of how the service works.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kit::{ASSETS, SKEW, START};

/// What may be granted: the kind, and the package, the asset or the event.
pub(crate) const RIGHTS: [(&str, &str); 6] = [
    ("subscription", "basic"),
    ("purchase", "other"),
    ("rental", "rented"),
    ("event", "final"),
    ("purchase", "match"),
    ("subscription", "wide"),
];

/// A policy. Times are milliseconds; instants are seconds from the start.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What the package `basic` has beside the film.
    pub(crate) more: Option<usize>,
    pub(crate) purchases: bool,
    /// How long it may be watched, and how long it may wait.
    pub(crate) rental: Option<(u64, u64)>,
    pub(crate) event: (u64, u64),
    /// Of the match, in Germany.
    pub(crate) blackout: Option<(Option<u64>, Option<u64>)>,
    pub(crate) streams: usize,
    pub(crate) devices: usize,
    pub(crate) lease: u64,
}

impl Terms {
    pub(crate) fn json(&self) -> Value {
        let instant = |second: u64| format!("2027-01-15T08:{:02}:{:02}Z", second / 60, second % 60);
        let mut basic = vec!["film"];
        basic.extend(self.more.map(|it| ASSETS[it]));
        let blackouts = self.blackout.map(|(from, to)| {
            json!([{
                "countries": ["DE"], "assets": ["mat*"], "from": from.map(instant), "to": to.map(instant),
            }])
        });
        let rental = self.rental.map(
            |(window, wait)| json!({ "window": format!("{window}ms"), "start_within": format!("{wait}ms") }),
        );
        json!({
            "packages": [{ "name": "basic", "assets": basic }, { "name": "wide", "assets": ["film", "rented"] }],
            "purchases": self.purchases, "rental": rental, "blackouts": blackouts,
            "events": [{
                "name": "final", "assets": ["match"], "from": instant(self.event.0), "to": instant(self.event.1),
            }],
            "streams": self.streams, "devices": self.devices,
            "licence_duration": format!("{}ms", self.lease),
        })
    }
}

/// What the catalogue says of an asset's licences. Milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    pub(crate) expiry: Option<u64>,
    pub(crate) offline: bool,
    /// How long it may be watched, and how long it may wait.
    pub(crate) rental: Option<(u64, u64)>,
}

impl Usage {
    pub(crate) fn json(&self) -> Value {
        let rental = self.rental.map(|(watch, wait)| {
            json!({ "watch_within": format!("{watch}ms"), "start_within": format!("{wait}ms") })
        });
        let expiry = self.expiry.map(|it| format!("{it}ms"));
        json!({ "expiry": expiry, "offline": self.offline, "rental": rental, "tracks": null })
    }
}

/// A right of an account: which of [`RIGHTS`] is its key.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    pub(crate) since: u64,
    pub(crate) until: Option<u64>,
    /// When something was first given that nothing else gave a right to.
    pub(crate) played: Option<u64>,
    /// When something else gave a right to it for the last time that a clock which is off may have seen at its end: the
    /// service may have begun the rental then.
    pub(crate) maybe: Option<u64>,
}

/// A licence as it was given: for what token, under what terms.
pub(crate) struct Licence {
    pub(crate) claims: Value,
    pub(crate) terms: Terms,
    pub(crate) body: Value,
}

/// A key that was given.
#[derive(Clone, Debug)]
struct Given {
    account: String,
    device: String,
    session: String,
    asset: &'static str,
    at: u64,
    /// When this session had the first of those that followed one another.
    since: u64,
    /// The limits that it was given under.
    streams: usize,
    devices: usize,
    lease: u64,
    /// The device was removed since.
    removed: bool,
}

/// How often was given what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) licences: usize,
    pub(crate) kept: usize,
    pub(crate) of_two: usize,
    pub(crate) nowhere: usize,
    pub(crate) limited: usize,
}

/// What is true.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) usages: BTreeMap<&'static str, Usage>,
    pub(crate) rights: BTreeMap<(String, usize), Right>,
    given: Vec<Given>,
    tokens: BTreeSet<String>,
    pub(crate) count: Count,
}

impl Model {
    /// Judges what was given at once.
    pub(crate) fn judge(&mut self, at: u64, licences: &[Licence]) -> Result<(), String> {
        for licence in licences {
            self.licence(at, licence).map_err(|why| {
                format!("{why}\nat {at}: {} under {:?}\n{:?}", licence.claims, licence.terms, self.usages)
            })?;
        }
        self.limits(at)
    }

    fn licence(&mut self, at: u64, licence: &Licence) -> Result<(), String> {
        let Licence { claims, terms, body } = licence;
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        if !self.tokens.insert(text("jti")) {
            return Err("twice for one token".to_owned());
        }
        let (issued, expires) =
            (claims["iat"].as_u64().unwrap() * 1000, claims["exp"].as_u64().unwrap() * 1000);
        if at >= expires + 2 * SKEW || issued > at + 2 * SKEW {
            return Err("for a token of another time".to_owned());
        }
        let account = text("sub");
        let is_kept = body["type"] == "persistent-license";
        // What is in the licence counts, not what was asked for.
        let keys = body["keys"].as_array().unwrap();
        let assets: BTreeSet<&'static str> = keys.iter().map(|it| crate::kit::asset_of(&it["kid"])).collect();
        for asset in &assets {
            let right = self.entitled(at, &account, asset, claims["country"].as_str(), terms);
            right.map_err(|why| format!("{asset}: {why}, of {:?}", self.rights))?;
            if is_kept {
                self.for_good(at, &account, asset, terms).map_err(|why| format!("{asset} is kept: {why}"))?;
            }
            let given = Given {
                account: account.clone(),
                device: text("device"),
                session: text("session"),
                asset,
                at,
                since: at,
                streams: terms.streams,
                devices: terms.devices,
                lease: terms.lease,
                removed: false,
            };
            self.went_on(given)?;
        }
        self.count.licences += 1;
        self.count.kept += usize::from(is_kept);
        self.count.of_two += usize::from(assets.len() > 1);
        self.count.nowhere += usize::from(claims["country"].is_null());
        Ok(())
    }

    /// A licence that is not over when the next one is given goes on, whatever else the stream had between or beside them.
    fn went_on(&mut self, mut given: Given) -> Result<(), String> {
        let is_same = |it: &&Given| {
            (&it.account, &it.device, &it.session, it.asset)
                == (&given.account, &given.device, &given.session, given.asset)
        };
        let before = self.given.iter().rev().find(is_same);
        if let Some(before) = before.filter(|it| it.at + it.lease > given.at) {
            given.since = before.since;
        }
        if let Some(expiry) = self.usages.get(given.asset).and_then(|it| it.expiry) {
            self.count.limited += usize::from(given.since < given.at);
            // The first one is one, however short.
            if given.at > given.since && given.at >= given.since + expiry {
                return Err(format!("goes on for more than {expiry} ms: {given:?}"));
            }
        }
        self.given.push(given);
        Ok(())
    }

    /// Terms that were once wider may have let in more. But what has as few places as these terms, or fewer, fits into them.
    fn limits(&self, at: u64) -> Result<(), String> {
        for last in self.given.iter().filter(|it| it.at == at) {
            let own = || self.given.iter().filter(|it| it.account == last.account);
            let running: BTreeSet<_> = own()
                .filter(|it| it.streams <= last.streams && it.at + it.lease > at)
                .map(|it| (&it.device, &it.session))
                .collect();
            if running.len() > last.streams {
                return Err(format!("{running:?} run at once at {at}, of {}", last.streams));
            }
            let devices: BTreeSet<_> =
                own().filter(|it| it.devices <= last.devices && !it.removed).map(|it| &it.device).collect();
            if devices.len() > last.devices {
                return Err(format!("{devices:?} are more devices than may be, {}", last.devices));
            }
        }
        Ok(())
    }

    /// The admin removed a device. What it has, it plays on.
    pub(crate) fn removed(&mut self, account: &str, device: &str) {
        for it in self.given.iter_mut().filter(|it| it.account == account && it.device == device) {
            it.removed = true;
        }
    }

    fn entitled(
        &mut self,
        at: u64,
        account: &str,
        asset: &str,
        country: Option<&str>,
        terms: &Terms,
    ) -> Result<(), String> {
        if let Some((from, to)) = terms.blackout.filter(|_| asset == "match") {
            let is_on = from.is_none_or(|it| at >= second(it)) && to.is_none_or(|it| at < second(it));
            if is_on && country.is_none_or(|it| it == "DE") {
                return Err(format!("blacked out in {country:?}"));
            }
        }
        let of_asset = self.usages.get(asset).and_then(|it| it.rental);
        let (mut rented, mut barely) = (None, false);
        let close = 2 * SKEW;
        for ((_, which), right) in self.rights.iter_mut().filter(|((of, _), _)| of == account) {
            if right.since > at || right.until.is_some_and(|until| at >= until) {
                continue;
            }
            let (kind, of) = RIGHTS[*which];
            match kind {
                "rental" if of == asset => rented = Some(right),
                "event"
                    if asset == "match" && (second(terms.event.0)..second(terms.event.1)).contains(&at) =>
                {
                    return Ok(());
                }
                _ if gives(kind, of, asset, terms) => {
                    if at >= right.since + close && right.until.is_none_or(|until| at + close < until) {
                        return Ok(());
                    }
                    barely = true;
                }
                _ => {}
            }
        }
        let (Some(right), Some(sold)) = (rented, terms.rental) else {
            return if barely { Ok(()) } else { Err("no right".to_owned()) };
        };
        let (watch, wait) = of_asset.map_or(sold, |it| (it.0.min(sold.0), it.1.min(sold.1)));
        let begun = right.maybe.map_or(0, |maybe| maybe + watch);
        let ends = right.played.map_or((right.since + wait).max(begun), |played| played + watch);
        if barely {
            right.maybe = Some(at).filter(|at| *at < ends).or(right.maybe);
            return Ok(());
        }
        if at >= ends {
            return Err(format!("rented until {ends}"));
        }
        right.played.get_or_insert(at);
        Ok(())
    }

    /// What is kept obeys nobody any more.
    fn for_good(&self, at: u64, account: &str, asset: &str, terms: &Terms) -> Result<(), &'static str> {
        let Some(usage) = self.usages.get(asset) else { return Err("the catalogue says nothing") };
        if !usage.offline {
            return Err("it is not for offline use");
        }
        if usage.expiry.is_some() || usage.rental.is_some() {
            return Err("it has an end");
        }
        if asset == "match" && terms.blackout.is_some_and(|(_, to)| to.is_none_or(|it| at < second(it))) {
            return Err("a blackout is on or to come");
        }
        let mut own = self.rights.iter().filter(|((of, _), _)| of == account);
        let endless = own.any(|((_, which), right)| {
            let (kind, of) = RIGHTS[*which];
            right.until.is_none() && right.since <= at && gives(kind, of, asset, terms)
        });
        if endless { Ok(()) } else { Err("each right to it ends") }
    }
}

/// Whether a subscription or a purchase is for an asset.
fn gives(kind: &str, of: &str, asset: &str, terms: &Terms) -> bool {
    match (kind, of) {
        ("subscription", "basic") => asset == "film" || terms.more.is_some_and(|it| ASSETS[it] == asset),
        ("subscription", _) => ["film", "rented"].contains(&asset),
        ("purchase", of) => terms.purchases && of == asset,
        _ => false,
    }
}

fn second(it: u64) -> u64 {
    START + it * 1000
}
