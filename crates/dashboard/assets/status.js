// What statuses and events are called on the page, and how a status looks: a word, a shape, a colour.

import { h, shape } from "./dom.js";
import { ICONS } from "./icons.js";

export const STATUSES = {
  placed: "Placed",
  payment_pending: "Payment pending",
  paid: "Paid",
  partially_shipped: "Partially shipped",
  shipped: "Shipped",
  delivered: "Delivered",
  cancelled: "Cancelled",
  returned: "Returned",
};

export const EVENTS = {
  placed: "Placed",
  amended: "Amended",
  address_set: "Address set",
  annotated: "Annotated",
  held: "Held",
  released: "Released",
  payment_requested: "Payment requested",
  payment_waived: "Payment waived",
  payment_authorized: "Payment authorized",
  payment_captured: "Payment captured",
  payment_declined: "Payment declined",
  shipped: "Shipped",
  delivered: "Delivered",
  cancelled: "Cancelled",
  refund_requested: "Refund requested",
  refund_completed: "Refund completed",
  refund_failed: "Refund failed",
  returned: "Returned",
};

/** `order.placed.v1` as `placed`; a type of a later version as it is. */
export const eventName = (type) => /^order\.(.+)\.v1$/.exec(type)?.[1] ?? type;

/** An event's name in words; one that this page does not know as it is. */
export const eventWord = (name) => (Object.hasOwn(EVENTS, name) ? EVENTS[name] : name);

/** A status as a word with its shape. */
export function statusPill(status) {
  const known = Object.hasOwn(STATUSES, status);
  const icon = shape(known ? ICONS[status] : ICONS.other, "icon");
  return h("span", { class: "pill", "data-status": known ? status : "other" }, icon, known ? STATUSES[status] : status);
}

/** The flag beside the status of an order that is held. */
export const heldPill = () => h("span", { class: "pill", "data-status": "held" }, shape(ICONS.held, "icon"), "Held");
