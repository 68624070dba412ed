// What an order looks like: where it stands, what it is made of, what can be done with it.

import { h, shape } from "./dom.js";
import { copyButton } from "./feed.js";
import { clockOrDay, count, date, money, whole } from "./format.js";
import { ICONS } from "./icons.js";
import { heldPill, statusPill } from "./status.js";

/** The head of the pane; `title` is an order id. */
export function head(title, order) {
  return h("div", { class: "head" },
    h("div", { class: "title" }, h("h2", {}, "Order"), order && statusPill(order.status), order?.held && heldPill()),
    h("a", { class: "close", href: "#/", "aria-label": "Close the order" }, shape(ICONS.close)),
    h("p", { class: "order-id" }, h("span", { class: "code" }, title), copyButton(title, "order id")),
  );
}

export const nothingChosen = () =>
  h("div", { class: "placeholder" }, shape(ICONS.other, "big"),
    h("p", {}, h("b", {}, "No order chosen")), h("p", {}, "Choose a row, or show an order by its id."));

export const loading = () => h("p", { class: "empty" }, "Reading …");

export const failed = ({ title, text }) => h("div", { class: "placeholder failed", role: "alert" }, h("p", {}, h("b", {}, title)), h("p", {}, text));

/** Reasons to wait, in a word; a server may know more of them. */
const WAITS = {
  parked: "Parked", paused: "Paused", releasing: "Released",
  shard_paused: "Shard paused", shard_draining: "Waits for a resize", no_owner: "No worker",
};

/** Whom to ask about a pause. */
function pausedBy({ paused }) {
  if (!paused) return "";
  return ` Paused by ${paused.by}${paused.until ? `, until ${date(Date.parse(paused.until))}` : ""}.`;
}

/** Why it does not move, where it does not. */
export function notices(order) {
  const { waiting } = order;
  return [
    order.held && h("p", { class: "notice" }, h("b", {}, "Held: "), order.hold_reason ?? ""),
    waiting && h("p", { class: "notice" },
      h("b", {}, `${WAITS[waiting.reason] ?? "Waiting"}${waiting.since ? ` since ${date(Date.parse(waiting.since))}` : ""}: `),
      `${waiting.detail}.${waiting.commands == null ? "" : ` ${count(waiting.commands, "command")} in its lane.`}${pausedBy(waiting)}`),
  ];
}

export function facts(order, etag) {
  const moved = [["Captured", order.captured], ["Refunded", order.refunded], ["Refund pending", order.refund_pending]];
  const short = [
    ["Total", h("b", {}, amount(order.total))],
    ...moved.filter(([, sum]) => sum.amount_minor > 0).map(([name, sum]) => [name, amount(sum)]),
    ["Customer", order.customer_id],
    ["Version", [`v${order.version}`, etag && h("code", { title: "ETag: to be sent as If-Match" }, etag)]],
    ["Placed", time(order.created_at)],
    ["Last event", time(order.updated_at)],
  ];
  const long = [
    order.address && ["Address", address(order.address)],
    order.note && ["Note", order.note],
    ...Object.entries(order.annotations),
    ...order.payments.map((payment) => ["Payment", `${amount(payment.amount)} · ${payment.method} · ${payment.status}`]),
    ...order.refunds.map((refund) => ["Refund", `${amount(refund.amount)} · ${refund.status}`]),
    ["Allowed", commands(order.allowed_commands)],
  ].filter(Boolean);
  return [
    h("dl", { class: "facts" }, ...short.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...[value].flat())))),
    h("dl", { class: "long-facts" }, ...long.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  ];
}

const address = ({ name, street, postal_code: code, city, region, country }) =>
  [name, ...street, [code, city].filter(Boolean).join(" "), region, country].filter(Boolean).join(", ");

export function lines(order) {
  const columns = ["Qty", "Shipped", "Returned", "Price", "Sum"];
  return h("table", { class: "facts-table" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Line"), ...columns.map((title) => h("th", { scope: "col", class: "number" }, title)))),
    h("tbody", {}, ...order.lines.map(line)));
}

function line({ line: number, sku, quantity, shipped, returned, unit_price: price }) {
  const cell = (text) => h("td", { class: "number" }, text);
  const none = (pieces) => (pieces ? cell(whole(pieces)) : h("td", { class: "number quiet" }, "0"));
  return h("tr", {}, h("th", { scope: "row", class: "code" }, h("span", { class: "quiet" }, `${number} `), sku),
    cell(whole(quantity)), none(shipped), none(returned), cell(amount(price)), cell(money(quantity * price.amount_minor, price.currency)));
}

const commands = (names) =>
  names.length
    ? h("ul", { class: "chips", "aria-label": "Allowed commands" }, ...names.map((name) => h("li", {}, h("code", {}, name))))
    : h("span", { class: "quiet" }, "no command any more");

/** A part of the pane with its title. */
export const part = (title, ...content) => h("section", { class: "part" }, h("h3", {}, title), ...content);

const amount = ({ amount_minor: minor, currency }) => money(minor, currency);

const time = (text) => h("time", { datetime: text, title: text }, clockOrDay(Date.parse(text)));
