//! A request that carries a command: whether it may, whether it can be right, and which command it is.

use orderly_domain::{Action, CommandId, OrderId, ProducerId};
use orderly_http::{Caller, ProblemResponse, Traceparent};
use orderly_protocol::api_key::Scope;
use orderly_protocol::{
    CommandRequest, FieldFault, Fingerprint, Problem, ProblemCode, fingerprint, ids,
};
use serde_json::Value;

use crate::header::Steering;

/// By which route a command came: what differs between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /v1/orders`.
    PlacePost,
    /// `PUT /v1/orders/{order_id}`.
    PlacePut,
    /// `POST /v1/orders/{order_id}/commands`.
    Command,
    /// A line of `POST /v1/commands/batch`.
    Batch,
}

impl Route {
    /// Where the command's data stands in the body.
    pub(crate) fn data_pointer(self) -> &'static str {
        match self {
            Self::PlacePost | Self::PlacePut => "",
            Self::Command | Self::Batch => CommandRequest::DATA_POINTER,
        }
    }
}

/// A request as read.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) route: Route,
    pub(crate) caller: Caller,
    pub(crate) steering: Steering,
    pub(crate) traceparent: Option<Traceparent>,
    /// The order that the client named, in the path or the body.
    pub(crate) order_id: Option<OrderId>,
    pub(crate) action: Action,
    /// The command's data as sent.
    pub(crate) data: Value,
}

/// Which command a request is. A function of the request alone wherever a retry must find the same one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) command_id: CommandId,
    pub(crate) order_id: OrderId,
    pub(crate) producer: ProducerId,
    pub(crate) fingerprint: Fingerprint,
    /// Whether the same request again is the same command.
    pub(crate) repeatable: bool,
}

impl Submission {
    /// Whether the caller may send this command. What a gateway said of money is for the payments role alone to say.
    pub(crate) fn authorize(&self) -> Result<(), ProblemResponse> {
        let scope = match self.action {
            Action::RecordPayment(_) | Action::RecordRefund(_) => Scope::PaymentsWrite,
            _ => Scope::CommandsWrite,
        };
        self.caller.require(scope)
    }

    /// Everything that is wrong with the command whatever its order looks like.
    pub(crate) fn check(&self) -> Result<(), ProblemResponse> {
        let faults = self.action.faults();
        if faults.is_empty() {
            return Ok(());
        }
        let pointer = self.route.data_pointer();
        Err(invalid_command(
            faults
                .iter()
                .map(|fault| FieldFault::from(fault).under(pointer))
                .collect(),
        ))
    }

    /// The command's ids and its fingerprint.
    pub(crate) fn identify(&self) -> Identity {
        let producer = self.caller.producer;
        let key = self
            .steering
            .key
            .as_ref()
            .map(|key| ids::command_id(producer, key.as_str()));
        let repeatable = match (self.route, self.order_id) {
            (Route::PlacePut, Some(order_id)) => {
                key.or_else(|| Some(ids::put_command_id(producer, order_id)))
            }
            _ => key,
        };
        let command_id = repeatable.unwrap_or_else(ids::mint_command_id);
        let order_id = self.order_id.unwrap_or_else(|| match repeatable {
            Some(command_id) => ids::order_id_for(command_id),
            None => ids::mint_order_id(),
        });
        Identity {
            command_id,
            order_id,
            producer,
            fingerprint: fingerprint(
                self.action.name(),
                self.order_id,
                &self.data,
                self.steering.expected_version,
            ),
            repeatable: repeatable.is_some(),
        }
    }
}

/// 422 with every fault.
pub(crate) fn invalid_command(faults: Vec<FieldFault>) -> ProblemResponse {
    let detail = match faults.len() {
        1 => "1 fault was found; errors says what and where".to_owned(),
        count => format!("{count} faults were found; errors says what and where"),
    };
    Problem::new(ProblemCode::InvalidCommand, detail)
        .with_errors(faults)
        .into()
}
