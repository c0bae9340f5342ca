//! Spans of time such as `"20m"` and `"1h30m"`, read at compile time.

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// A constant expression of the framework's `Duration`.
pub(crate) fn tokens(text: &LitStr) -> syn::Result<TokenStream> {
    match milliseconds(&text.value()) {
        Some(millis) => Ok(quote! {
            ::tfplugin_framework::schema::Duration(::core::time::Duration::from_millis(#millis))
        }),
        None => Err(syn::Error::new(
            text.span(),
            "not a span of time: write a number and a unit (`ms`, `s`, `m`, `h`, `d`), such as \"20m\" or \"1h30m\"",
        )),
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(scale)?;
        total = total.checked_add(part)?;
        rest = after.trim_start();
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn spans_of_time_have_numbers_and_units() {
        assert_eq!(milliseconds("20m"), Some(1_200_000));
        assert_eq!(milliseconds("1h30m"), Some(5_400_000));
        assert_eq!(milliseconds("1h 250ms"), Some(3_600_250));
        for wrong in ["", "20", "m", "5 parsecs", "0s", "99999999999999999999h", "-1s"] {
            assert_eq!(milliseconds(wrong), None, "{wrong:?}");
        }
    }
}
