//! Bodies of the requests that carry a command. Faults point into the body as the client sent it.

use orderly_domain::{Action, ActionKind, OrderId};
use serde_json::{Map, Value};

use crate::FieldFault;
use crate::action::{read_action, read_place, unknown_type};
use crate::field::Faults;
use crate::pointer::Pointer;
use crate::read::Fields;

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
    let data = body
        .get_mut("data")
        .map(Value::take)
        .filter(|data| !data.is_null());
    Ok(CommandRequest {
        action,
        data: data.unwrap_or_else(no_data),
    })
}

fn read_command_request(body: &Value, faults: &mut Faults) -> Option<Action> {
    let mut fields = Fields::of(body, Pointer::Root, faults)?;
    let name = fields.required_with("type", |value, at, faults| {
        let name = <String as crate::read::FromJson>::read(value, at, faults)?;
        if ActionKind::parse(&name).is_none() {
            unknown_type(&name, at, faults);
            return None;
        }
        Some(name)
    });
    let data = fields.take("data").filter(|data| !data.is_null());
    fields.close();
    let absent = no_data();
    let at = Pointer::Field(&Pointer::Root, "data");
    read_action(&name?, data.unwrap_or(&absent), at, faults)
}

fn no_data() -> Value {
    Value::Object(Map::new())
}
