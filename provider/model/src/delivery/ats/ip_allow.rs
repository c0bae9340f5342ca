//! Our own check of `ip_allow.yaml`: Traffic Server 9.2's `verify_config` passes a broken one, and then serves nobody or
//! everybody.

/// Whether the text is what we write: a list of rules with addresses, an action and methods.
///
/// # Errors
/// The first line that is not.
pub fn check_ip_allow(text: &str) -> Result<(), String> {
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    if lines.next() != Some("ip_allow:") {
        return Err("ip_allow.yaml: the first line must be `ip_allow:`".to_owned());
    }
    let (mut rules, mut complete) = (0, 4);
    for line in lines {
        let (begins, rest) = match line.strip_prefix("  - ") {
            Some(rest) => (true, rest),
            None => (false, line.strip_prefix("    ").unwrap_or_default()),
        };
        if begins {
            if complete != 4 {
                return Err(format!("ip_allow.yaml: rule {rules} is not complete"));
            }
            (rules, complete) = (rules + 1, 0);
        }
        let Some((key, value)) = rest.split_once(": ") else {
            return Err(format!("ip_allow.yaml: {line:?} is no `key: value` of a rule"));
        };
        let good = match key {
            "apply" => value == "in" || value == "out",
            "ip_addrs" => {
                value.split('/').next().is_some_and(|address| address.parse::<std::net::IpAddr>().is_ok())
            }
            "action" => ["allow", "deny", "set_allow", "set_deny"].contains(&value),
            "methods" => value == "ALL" || value.starts_with('[') && value.ends_with(']'),
            _ => false,
        };
        if !good {
            return Err(format!("ip_allow.yaml: {key:?} cannot be {value:?}"));
        }
        complete += 1;
    }
    if rules == 0 || complete != 4 {
        return Err("ip_allow.yaml: a rule is not complete, or there is none".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_is_found() {
        let good = "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n";
        assert_eq!(check_ip_allow(good), Ok(()));
        for (from, to) in [
            ("127.0.0.1", "nobody"),
            ("allow\n", "permit\n"),
            ("    action: allow\n", ""),
            ("ip_allow:\n", ""),
            (": in", " in"),
        ] {
            let bad = good.replacen(from, to, if from == "allow\n" { 2 } else { 1 });
            assert!(check_ip_allow(&bad).is_err(), "{bad}");
        }
    }
}
