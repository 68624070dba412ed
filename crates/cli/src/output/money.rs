//! Money for people: `{"amount_minor": 1099, "currency": "EUR"}` is 10.99 EUR. In JSON it stays as it came.

use serde_json::Value;

use super::plain;

/// Currencies without a minor unit, and those of a thousand: ISO 4217 List One (SIX, as of 2026-01-01). All others of the
/// list under which people pay have a hundred.
const NO_DIGITS: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
];
const THREE_DIGITS: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// An amount with its currency; nothing for what is none.
pub(crate) fn amount(money: &Value) -> String {
    let minor = money.get("amount_minor").and_then(Value::as_i64);
    let currency = money.get("currency").map(plain).unwrap_or_default();
    minor.map_or_else(String::new, |minor| {
        format!("{} {currency}", decimal(minor, &currency))
    })
}

fn decimal(minor: i64, currency: &str) -> String {
    let digits = if NO_DIGITS.contains(&currency) {
        0
    } else if THREE_DIGITS.contains(&currency) {
        3
    } else {
        2
    };
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::amount;

    #[test]
    fn the_point_stands_where_the_currency_has_it() {
        let of = |minor: i64, currency: &str| {
            amount(&json!({ "amount_minor": minor, "currency": currency }))
        };
        assert_eq!(of(1099, "EUR"), "10.99 EUR");
        assert_eq!(of(5, "EUR"), "0.05 EUR");
        assert_eq!(of(-250, "USD"), "-2.50 USD");
        assert_eq!(of(1099, "JPY"), "1099 JPY");
        assert_eq!(of(1099, "KWD"), "1.099 KWD");
        assert_eq!(of(i64::MAX, "EUR"), "92233720368547758.07 EUR");
        assert_eq!(amount(&json!(null)), "");
    }
}
