//! Fingerprints: equal for the same request however it is spelled.

use orderly_domain::Version;
use orderly_protocol::{Fingerprint, fingerprint, parse_json};
use sha2::{Digest, Sha256};

use crate::sample;

fn of(data: &str) -> Fingerprint {
    fingerprint("hold", None, &parse_json(data.as_bytes()).unwrap(), None)
}

/// The fingerprint of a command whose canonical data is `data`.
fn of_canonical(data: &str) -> Fingerprint {
    Fingerprint(Sha256::digest(format!(r#"{{"data":{data},"type":"hold"}}"#)).into())
}

#[test]
fn canonical_form_is_that_of_rfc_8785() {
    // Section 3.2.2.
    let sent = r#"{
       "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
       "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
       "literals": [null, true, false]
     }"#;
    let canonical = concat!(
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
        r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
    assert_eq!(of(sent), of_canonical(canonical));
    // Section 3.2.3: keys sort as UTF-16, so that the emoji comes before U+FB33.
    let sent = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
       "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
       "\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let canonical = concat!(
        r#"{"\r":"Carriage Return","1":"One",""#,
        "\u{80}",
        r#"":"Control",""#,
        "ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",",
        "\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
    );
    assert_eq!(of(sent), of_canonical(canonical));
}

#[test]
fn spelling_does_not_matter_and_content_does() {
    assert_eq!(
        of(r#"{"a":1,"b":"x"}"#),
        of(r#"{ "b" : "\u0078", "a" : 1.0 }"#)
    );
    assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
    assert_ne!(of(r#"{"a":null}"#), of("{}"));
    let data = parse_json(b"{}").unwrap();
    let plain = fingerprint("release", None, &data, None);
    assert_ne!(plain, fingerprint("deliver", None, &data, None));
    assert_ne!(
        plain,
        fingerprint("release", Some(sample::ORDER), &data, None)
    );
    assert_ne!(plain, fingerprint("release", None, &data, Some(Version(1))));
}

#[test]
fn the_worked_example_of_the_readme_holds() {
    let data = br#"{"lines": [{"sku": "85123A", "quantity": 6, "unit_price_minor": 255}],
                    "customer_id": "17850", "currency": "GBP"}"#;
    let fingerprint = fingerprint(
        "place",
        Some(sample::ORDER),
        &parse_json(data).unwrap(),
        None,
    );
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&fingerprint.to_string()), "{fingerprint}");
    let id = orderly_protocol::ids::command_id(sample::PRODUCER, "retail/536365/place");
    assert!(readme.contains(&id.to_string()), "{id}");
    let order_id = orderly_protocol::ids::order_id_for(id);
    assert!(readme.contains(&order_id.to_string()), "{order_id}");
    let id = orderly_protocol::ids::put_command_id(sample::PRODUCER, sample::ORDER);
    assert!(readme.contains(&id.to_string()), "{id}");
}

#[test]
fn only_64_lower_case_hex_digits_are_a_fingerprint() {
    let text = of("{}").to_string();
    assert_eq!(text.parse::<Fingerprint>().unwrap(), of("{}"));
    for wrong in [
        "",
        &text[1..],
        &text.to_uppercase(),
        &format!("{text}0"),
        &text.replace(&text[..1], "g"),
    ] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}
