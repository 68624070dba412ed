//! Requests, formatted once: a send only overwrites the order's id, the key and the value in place.

use orderly_domain::{CommandId, ProducerId};
use orderly_protocol::ids;
use serde_json::json;
use uuid::Uuid;

/// Characters of an idempotency key: 16 hex digits, unique within the database.
const KEY_CHARS: usize = 16;
/// Of the text that `annotate` carries, its key apart. Brings a command message to about 400 bytes, as measured yardsticks have.
const PADDING: &str = "left at the door, ring twice ";
/// Products of every placed order.
pub(crate) const SKUS: [&str; 2] = ["BENCH-CUP", "BENCH-TEA"];
/// Annotations of an order stay at one: the state must not grow while it is measured.
const ANNOTATION: &str = "gift";

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `POST /v1/orders/{id}/commands`: always legal on a placed order, always one event.
    Annotate,
    /// `PUT /v1/orders/{id}`.
    Place,
    /// `POST /v1/commands/batch`: so many `annotate` commands, each of its own order.
    Batch(usize),
}

/// A caller of one contestant.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) token: String,
    pub(crate) producer: ProducerId,
    /// Ask for the outcome instead of the acceptance.
    pub(crate) wait: bool,
}

/// A request in memory, and where its changing parts are.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Of each command: where its order, its key and its value stand.
    parts: Vec<Parts>,
}

#[derive(Clone, Copy, Debug)]
struct Parts {
    order: usize,
    key: Option<usize>,
    value: Option<usize>,
}

impl Template {
    pub(crate) fn new(kind: Kind, caller: &Caller) -> Self {
        let blank = Uuid::nil().to_string();
        let key = "0".repeat(KEY_CHARS);
        match kind {
            Kind::Annotate => {
                let body = json!({"type": "annotate", "data": annotation(&key)}).to_string();
                let path = format!("POST /v1/orders/{blank}/commands");
                let header = format!("Idempotency-Key: {key}\r\n");
                let text = request(&path, caller, "application/json", &header, &body);
                let mut keys = memchr::memmem::find_iter(&text, &key);
                let parts = Parts {
                    order: find(&text, &blank),
                    key: keys.next(),
                    value: keys.next(),
                };
                Self {
                    parts: vec![parts],
                    bytes: text,
                }
            }
            Kind::Place => {
                let path = format!("PUT /v1/orders/{blank}");
                let body = place_data().to_string();
                let text = request(&path, caller, "application/json", "", &body);
                let parts = Parts {
                    order: find(&text, &blank),
                    key: None,
                    value: None,
                };
                Self {
                    parts: vec![parts],
                    bytes: text,
                }
            }
            Kind::Batch(lines) => {
                let line = json!({"order_id": blank, "type": "annotate", "data": annotation(&key),
                    "idempotency_key": key});
                let body = format!("{line}\n").repeat(lines);
                let path = "POST /v1/commands/batch";
                let text = request(path, caller, "application/x-ndjson", "", &body);
                Self {
                    parts: batch_parts(&text, &blank, &key),
                    bytes: text,
                }
            }
        }
    }

    /// Commands of one request.
    pub(crate) fn commands(&self) -> usize {
        self.parts.len()
    }

    /// Bytes of one request.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the `index`th command one for `order` under the key `number`.
    pub(crate) fn set(&mut self, index: usize, order: Uuid, number: u64) {
        let Parts {
            order: at,
            key,
            value,
        } = self.parts[index];
        order
            .hyphenated()
            .encode_lower(&mut self.bytes[at..at + uuid::fmt::Hyphenated::LENGTH]);
        let digits = key_of(number);
        for place in [key, value].into_iter().flatten() {
            self.bytes[place..place + KEY_CHARS].copy_from_slice(&digits);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The id of the command that `producer` sends under the key `number`.
pub(crate) fn command_id(producer: ProducerId, number: u64) -> CommandId {
    let digits = key_of(number);
    let text = std::str::from_utf8(&digits).expect("hex digits are ASCII");
    ids::command_id(producer, text)
}

/// The data of every `place`.
pub(crate) fn place_data() -> serde_json::Value {
    let line =
        |sku: &str, price: i64| json!({"sku": sku, "quantity": 1, "unit_price_minor": price});
    json!({
        "customer_id": "bench-customer",
        "currency": "EUR",
        "lines": [line(SKUS[0], 1_250), line(SKUS[1], 480)],
    })
}

/// The data of an `annotate`.
pub(crate) fn annotation(key: &str) -> serde_json::Value {
    json!({"key": ANNOTATION, "value": format!("{PADDING}{key}")})
}

fn request(path: &str, caller: &Caller, mime: &str, header: &str, body: &str) -> Vec<u8> {
    let Caller { token, wait, .. } = caller;
    let prefer = if *wait { "Prefer: wait=30\r\n" } else { "" };
    format!(
        "{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: {mime}\r\n\
         {header}{prefer}Content-Length: {length}\r\n\r\n{body}",
        length = body.len(),
    )
    .into_bytes()
}

/// Each line names its order once and its key twice: as the value of the annotation and as its key.
fn batch_parts(text: &[u8], blank: &str, key: &str) -> Vec<Parts> {
    let orders = memchr::memmem::find_iter(text, blank);
    // The id of zeros holds no 16 of them in a row, so these are keys alone.
    let keys: Vec<usize> = memchr::memmem::find_iter(text, key).collect();
    orders
        .zip(keys.chunks_exact(2))
        .map(|(order, keys)| Parts {
            order,
            key: Some(keys[0]),
            value: Some(keys[1]),
        })
        .collect()
}

fn find(text: &[u8], part: &str) -> usize {
    memchr::memmem::find(text, part.as_bytes()).expect("the text was made with this part")
}

fn key_of(number: u64) -> [u8; KEY_CHARS] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; KEY_CHARS];
    for (index, digit) in text.iter_mut().enumerate() {
        let shift = 4 * (KEY_CHARS - 1 - index);
        *digit = DIGITS[usize::try_from(number >> shift & 15).unwrap_or(0)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            token: "ord_bench_key".to_owned(),
            producer: ProducerId(Uuid::from_u128(7)),
            wait: false,
        }
    }

    #[test]
    fn a_request_names_its_order_and_a_fresh_key() {
        let mut template = Template::new(Kind::Annotate, &caller());
        let order = Uuid::from_u128(0xfeed);
        template.set(0, order, 0xabc);
        let text = String::from_utf8(template.bytes().to_vec()).unwrap();
        assert!(
            text.starts_with(&format!("POST /v1/orders/{order}/commands ")),
            "{text}"
        );
        assert!(
            text.contains("Idempotency-Key: 0000000000000abc\r\n"),
            "{text}"
        );
        assert!(
            text.contains(&format!("{PADDING}0000000000000abc\"")),
            "{text}"
        );
        let body = text.split("\r\n\r\n").nth(1).unwrap();
        assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(
            orderly_protocol::parse_command_request(serde_json::from_str(body).unwrap()).is_ok()
        );
    }

    #[test]
    fn each_line_of_a_batch_is_its_own_command() {
        let mut template = Template::new(Kind::Batch(3), &caller());
        assert_eq!(template.commands(), 3);
        for index in 0..3_u8 {
            template.set(index.into(), Uuid::from_u128(index.into()), index.into());
        }
        let text = String::from_utf8(template.bytes().to_vec()).unwrap();
        for (line, number) in text
            .lines()
            .skip_while(|line| !line.starts_with('{'))
            .zip(0_u32..)
        {
            assert!(
                line.contains(&Uuid::from_u128(number.into()).to_string()),
                "{line}"
            );
            assert_eq!(line.matches(&format!("{number:016x}")).count(), 2, "{line}");
        }
    }

    #[test]
    fn ids_of_commands_follow_the_contract() {
        let expected = ids::command_id(caller().producer, "00000000000000ff");
        assert_eq!(command_id(caller().producer, 255), expected);
    }
}
