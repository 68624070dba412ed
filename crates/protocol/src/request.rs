//! Bodies of the requests that carry a command. Faults point into the body as the client sent it.

use orderly_domain::{Action, ActionKind, OrderId, Version};
use serde_json::{Map, Value};

use crate::FieldFault;
use crate::action::{read_action, read_place, unknown_type};
use crate::field::{Faults, INVALID_VALUE, MISSING_FIELD};
use crate::limits;
use crate::pointer::Pointer;
use crate::read::{Fields, text};

/// The body of `POST /v1/orders` and `PUT /v1/orders/{id}`: the data of `place`, and for POST an `order_id` if the client
/// wants to name the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The order that the client named in the body.
    pub order_id: Option<OrderId>,
    /// The command.
    pub action: Action,
    /// The command's data as sent: the body without `order_id`.
    pub data: Value,
}

/// The body of `POST /v1/orders/{id}/commands`: `{"type", "data"}`. Without `data` it is `{}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// The command.
    pub action: Action,
    /// The command's data as sent.
    pub data: Value,
}

impl CommandRequest {
    /// Where the command's data stands in the body: prefix of pointers that the domain gives.
    pub const DATA_POINTER: &str = "/data";
}

/// One line of `POST /v1/commands/batch`: `{"order_id", "type", "data", "idempotency_key", "expected_version"}`. Only `place`
/// does without an `order_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCommand {
    /// The order that the line names.
    pub order_id: Option<OrderId>,
    /// As the header `Idempotency-Key` of a single request, without quotes.
    pub idempotency_key: Option<String>,
    /// As the header `If-Match` of a single request.
    pub expected_version: Option<Version>,
    /// The command.
    pub action: Action,
    /// The command's data as sent.
    pub data: Value,
}

/// Reads the body of a request that places an order. With `order_id_in_path` (PUT) an `order_id` in the body is an unknown
/// field.
///
/// # Errors
/// Every fault at once.
pub fn parse_place_request(
    mut body: Value,
    order_id_in_path: bool,
) -> Result<PlaceRequest, Vec<FieldFault>> {
    let mut faults = Faults::default();
    let read = read_place_request(&body, order_id_in_path, &mut faults);
    let (order_id, action) = faults.settle(read)?;
    if let Value::Object(fields) = &mut body {
        fields.remove("order_id");
    }
    Ok(PlaceRequest {
        order_id,
        action,
        data: body,
    })
}

fn read_place_request(
    body: &Value,
    order_id_in_path: bool,
    faults: &mut Faults,
) -> Option<(Option<OrderId>, Action)> {
    let mut fields = Fields::of(body, Pointer::Root, faults)?;
    let order_id = if order_id_in_path {
        Some(None)
    } else {
        fields.optional("order_id")
    };
    let place = read_place(&mut fields);
    fields.close();
    Some((order_id?, Action::Place(place?)))
}

/// Reads the body of a request that commands an order.
///
/// # Errors
/// Every fault at once.
pub fn parse_command_request(mut body: Value) -> Result<CommandRequest, Vec<FieldFault>> {
    let mut faults = Faults::default();
    let read = read_command_request(&body, &mut faults);
    let action = faults.settle(read)?;
    let data = take_data(&mut body);
    Ok(CommandRequest { action, data })
}

fn take_data(body: &mut Value) -> Value {
    let data = body.get_mut("data").map(Value::take);
    data.filter(|data| !data.is_null()).unwrap_or_else(no_data)
}

/// Reads one line of a batch.
///
/// # Errors
/// Every fault at once, with the order that the line names if that could be read: nothing later for it may be taken.
pub fn parse_batch_command(
    mut line: Value,
) -> Result<BatchCommand, (Option<OrderId>, Vec<FieldFault>)> {
    let mut faults = Faults::default();
    let (order_id, read) = read_batch_command(&line, &mut faults);
    let (idempotency_key, expected_version, action) =
        faults.settle(read).map_err(|faults| (order_id, faults))?;
    Ok(BatchCommand {
        order_id,
        idempotency_key,
        expected_version,
        action,
        data: take_data(&mut line),
    })
}

type Steered = (Option<String>, Option<Version>, Action);

fn read_batch_command(line: &Value, faults: &mut Faults) -> (Option<OrderId>, Option<Steered>) {
    let Some(mut fields) = Fields::of(line, Pointer::Root, faults) else {
        return (None, None);
    };
    let order_id = fields.optional::<OrderId>("order_id");
    let key = fields.optional_with("idempotency_key", |value, at, faults| {
        text(
            value,
            at,
            faults,
            "1 to 255 visible ASCII characters",
            |key| {
                let fits = (1..=limits::IDEMPOTENCY_KEY_CHARS).contains(&key.len());
                (fits && key.bytes().all(|c| c.is_ascii_graphic())).then(|| key.to_owned())
            },
        )
    });
    let version = fields.optional::<Version>("expected_version");
    let action = read_command(fields);
    let mut refuse = |field, code, detail| {
        faults.add(Pointer::Field(&Pointer::Root, field), code, detail);
    };
    match (&action, order_id, version) {
        (Some(Action::Place(_)), _, Some(Some(_))) => refuse(
            "expected_version",
            INVALID_VALUE,
            "An order that is placed has no version yet.",
        ),
        (Some(action), Some(None), _) if !matches!(action, Action::Place(_)) => {
            refuse("order_id", MISSING_FIELD, "Is required.");
        }
        (_, _, Some(Some(Version(0)))) => {
            refuse("expected_version", INVALID_VALUE, "Versions begin at 1.");
        }
        _ => {}
    }
    let steered = key
        .zip(version)
        .zip(action)
        .map(|((key, version), action)| (key, version, action));
    (order_id.flatten(), steered.filter(|_| order_id.is_some()))
}

fn read_command_request(body: &Value, faults: &mut Faults) -> Option<Action> {
    Fields::of(body, Pointer::Root, faults).and_then(read_command)
}

fn read_command(mut fields: Fields<'_, '_>) -> Option<Action> {
    let name = fields.required_with("type", |value, at, faults| {
        let name = <String as crate::read::FromJson>::read(value, at, faults)?;
        if ActionKind::parse(&name).is_none() {
            unknown_type(&name, at, faults);
            return None;
        }
        Some(name)
    });
    let data = fields.take("data").filter(|data| !data.is_null());
    let faults = fields.close();
    let absent = no_data();
    let at = Pointer::Field(&Pointer::Root, "data");
    read_action(&name?, data.unwrap_or(&absent), at, faults)
}

fn no_data() -> Value {
    Value::Object(Map::new())
}
