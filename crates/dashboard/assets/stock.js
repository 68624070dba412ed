// The stock of an order's SKUs: what is in the house, what is promised, what is left.

import { get } from "./api.js";
import { h } from "./dom.js";
import { count, whole } from "./format.js";

// One request each; an order may have 1,000 lines.
const SKUS = 12;
// Requests at a time: a browser has six connections for a server, and the events hold one.
const AT_A_TIME = 3;

/** The SKUs of an order that are looked up, each once, in the order of its lines. */
export const skusOf = (order) => [...new Set(order.lines.map((line) => line.sku))];

/** Their stock: a list of `{ sku, level }`, where `level` is null for a SKU that has none. */
export async function readStock(skus, signal) {
  const levels = [];
  const wanted = skus.slice(0, SKUS);
  const next = async () => {
    for (let sku; (sku = wanted.shift()) !== undefined; ) {
      const at = levels.push({ sku, level: null }) - 1;
      try {
        levels[at].level = (await get(`/v1/stock/${encodeURIComponent(sku)}`, signal)).body;
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, next));
  return levels;
}

export function stockTable(levels, skus) {
  const rest = skus.length - levels.length;
  return [
    h("table", { class: "facts-table" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "SKU"), ...["On hand", "Reserved", "Available"].map((title) => h("th", { scope: "col", class: "number" }, title)))),
      h("tbody", {}, ...levels.map(row)),
    ),
    rest > 0 && h("p", { class: "quiet" }, `and ${count(rest, "SKU")} more`),
  ];
}

function row({ sku, level }) {
  const name = h("th", { scope: "row", class: "code" }, sku);
  if (!level) return h("tr", {}, name, h("td", { colspan: "3", class: "quiet number" }, "never in stock"));
  const numbers = [level.on_hand, level.reserved, level.available];
  return h("tr", { "data-sku": sku }, name, ...numbers.map((number) => h("td", { class: "number" }, whole(number))));
}
