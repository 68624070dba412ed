// The events of one order on a line of time, newest first.

import { h } from "./dom.js";
import { copyButton } from "./feed.js";
import { date, clockOrDay, count, money, shortId } from "./format.js";
import { eventName, eventWord } from "./status.js";

/** The list; `earlier` loads what came before, where there is more. */
export function timeline(events, earlier) {
  const items = [...events].sort((a, b) => b.data.version - a.data.version).map(item);
  return [
    h("ol", { class: "timeline" }, ...items),
    earlier && h("button", { type: "button", onclick: earlier }, "Show earlier events"),
  ];
}

function item({ type, time, data, causationid }) {
  const at = Date.parse(time);
  const name = eventName(type);
  const words = detail(name, data);
  return h("li", { "data-event": name, "data-version": data.version },
    h("span", { class: "what" }, h("span", { class: "word" }, eventWord(name)), h("span", { class: "version" }, `v${data.version}`)),
    h("time", { datetime: time, title: date(at) }, clockOrDay(at)),
    h("p", {}, words ?? ""),
    h("span", { class: "cause" }, h("span", { class: "code", title: `by command ${causationid}` }, shortId(causationid)), copyButton(causationid, "command id")),
  );
}

/** What an event says beyond its name. */
function detail(name, data) {
  const amount = Number.isInteger(data.amount_minor) ? money(data.amount_minor, data.currency) : null;
  switch (name) {
    case "placed":
    case "amended":
      return joined(count(data.lines.length, "line"), money(data.total_minor, data.currency), data.note);
    case "address_set":
      return joined(data.address.name, data.address.city, data.address.country);
    case "annotated":
      return `${data.key}: ${data.value}`;
    case "held":
      return data.reason;
    case "cancelled":
      return joined(data.reason, effect(data));
    case "payment_requested":
      return joined(amount, data.method);
    case "payment_waived":
      return joined("nothing to pay", data.method);
    case "payment_authorized":
    case "payment_captured":
      return joined(amount, data.reference, effect(data));
    case "payment_declined":
      return data.reference;
    case "shipped":
      return joined(pieces(data.lines), data.carrier, data.tracking);
    case "returned":
      return pieces(data.lines);
    case "refund_requested":
      return joined(amount, data.reason);
    default:
      return amount;
  }
}

const joined = (...parts) => parts.filter(Boolean).join(" · ");

const pieces = (lines) => lines.map(({ line, quantity }) => `${quantity} of line ${line}`).join(", ");

function effect({ effect: caused, currency }) {
  if (!caused) return null;
  return caused.type === "refund" ? `refunds ${money(caused.amount_minor, currency)}` : "voids the payment";
}
