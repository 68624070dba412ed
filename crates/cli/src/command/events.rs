//! `orderly events`: the stream of status events as it is.

use serde_json::Value;
use uuid::Uuid;

use super::{
    filter,
    follow::{Heard, Listener},
    history,
};
use crate::{
    client::{ClientFlags, EventFeed, FeedStart},
    exit::Exit,
    output::Format,
};

/// Read status events
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "\
Examples:
  orderly events tail
  orderly events tail --from first -o jsonl"
)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    action: EventsAction,
}

#[derive(Debug, clap::Subcommand)]
enum EventsAction {
    Tail(TailArgs),
}

/// Print status events as they happen, and those before them
///
/// Every event comes at least once, and after a restart of the server perhaps again: drop what has a version that you
/// have seen. In JSON, position is its place in the stream, to go on after with --from. Goes on until Ctrl-C, which is its
/// normal end (exit code 0), and reconnects by itself; with -n, it exits with 3 if it was ended before.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  orderly events tail
  orderly events tail --from first --type shipped --type delivered
  orderly events tail --from 41.7 -o jsonl >> events.jsonl
  orderly events tail --order 018f6d1e-7a1b-7c2d-9e3f-0a1b2c3d4e5f -n 1")]
struct TailArgs {
    /// Where to begin: first (the oldest that is kept), next (from now on), or after the event at this position
    #[arg(long, value_name = "first|next|POSITION", default_value = "next", value_parser = start, hide_default_value = true)]
    from: FeedStart,
    /// Only events of this type, such as shipped; may be given several times
    #[arg(long = "type", value_name = "EVENT", value_parser = filter::event_type)]
    types: Vec<String>,
    /// Only events of this order; may be given several times
    #[arg(long, value_name = "ORDER_ID", value_parser = filter::order_id)]
    order: Vec<Uuid>,
    /// End after so many events
    #[arg(short = 'n', long = "count", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    connection: ClientFlags,
}

fn start(text: &str) -> Result<FeedStart, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "first" => Ok(FeedStart::First),
        "next" => Ok(FeedStart::Next),
        text if text
            .split_once('.')
            .is_some_and(|(offset, index)| number(offset) && number(index)) =>
        {
            Ok(FeedStart::After(text.to_owned()))
        }
        _ => Err("first, next, or a position such as 41.7".to_owned()),
    }
}

pub(crate) async fn run(args: EventsArgs, format: Format) -> anyhow::Result<Exit> {
    let EventsAction::Tail(args) = args.action;
    let client = args.connection.client()?;
    let types = args.types.iter().map(|name| ("type", name.clone()));
    let orders = args.order.iter().map(|id| ("order_id", id.to_string()));
    let feed = EventFeed::open(client, types.chain(orders).collect(), args.from).await?;
    let mut listener = Listener::new(feed)?;
    let mut rows = history::event_rows(format);
    let most = args.count.unwrap_or(u64::MAX);
    while rows.rows() as u64 != most {
        match listener.next().await? {
            Heard::Event { mut event, place } => {
                if let Value::Object(event) = &mut event {
                    event.insert("position".to_owned(), place.into());
                }
                rows.print(&event)?;
            }
            Heard::Gap => {}
            Heard::Signal => break,
        }
    }
    let complete = args.count.is_none_or(|count| rows.rows() as u64 == count);
    rows.finish()?;
    if let Some(place) = listener.place() {
        eprintln!("to go on from here: --from {place}");
    }
    Ok(if complete { Exit::Ok } else { Exit::Partly })
}

#[cfg(test)]
mod tests {
    use super::{FeedStart, start};

    #[test]
    fn a_start_is_a_word_or_a_position() {
        assert_eq!(start("first"), Ok(FeedStart::First));
        assert_eq!(start("next"), Ok(FeedStart::Next));
        assert_eq!(start("41.7"), Ok(FeedStart::After("41.7".to_owned())));
        for text in ["", "last", "41", "41.", ".7", "-1.0", "1.2.3"] {
            assert!(start(text).is_err(), "{text}");
        }
    }
}
