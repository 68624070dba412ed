// Elements from data. Text goes in as text only: nothing here, or that uses it, writes markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** An element: `h("a", { href: "#/", class: "x" }, "text", child)`. Children that are null or false are left out. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  set(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An SVG of one 16 by 16 path, for the eye alone. */
export function shape(path, className) {
  const svg = document.createElementNS(SVG, "svg");
  set(svg, { viewBox: "0 0 16 16", class: className, "aria-hidden": "true" });
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

/** Sets the text of an element, if it is another one: screen readers speak what is set. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows an element with this text, or hides it when there is none. */
export function sayOrHide(element, text) {
  element.hidden = !text;
  say(element, text ?? "");
}

function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
}
