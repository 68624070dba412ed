// Logging in and out. The key is sent once, for a cookie that no script can read, and kept nowhere.

import { get, send } from "./api.js";
import { byId, sayOrHide } from "./dom.js";

const LINK = "#key=";

/** Who is logged in, or null. */
export const whoIs = async () => (await get("/session")).body;

export const logIn = (key) => send("POST", "/session", { body: { api_key: key } });

export const logOut = () => send("DELETE", "/session");

/** The key in the link that `orderly dev` prints, taken out of the address bar and the history. What follows a # is never sent. */
export function takeLinkedKey() {
  if (!location.hash.startsWith(LINK)) return null;
  const key = location.hash.slice(LINK.length);
  history.replaceState(null, "", "#/");
  return key;
}

/** Asks for a key until one opens a session; `reason` says why it asks. */
export function askForKey(reason) {
  const [view, form, field, failure] = ["login", "login-form", "api-key", "login-failure"].map(byId);
  view.hidden = false;
  sayOrHide(failure, reason);
  field.value = "";
  field.focus();
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      form.inert = true;
      try {
        await logIn(field.value);
        view.hidden = true;
        form.onsubmit = null;
        field.value = "";
        resolve();
      } catch (error) {
        sayOrHide(failure, words(error));
      } finally {
        form.inert = false;
        if (!view.hidden) field.select();
      }
    };
  });
}

/** Why a key did not open a session. */
export function words(error) {
  switch (error.status) {
    case 401:
      return "This is no valid API key: it is mistyped, unknown or revoked.";
    case 0:
      return "The server cannot be reached.";
    case undefined:
      throw error;
    default:
      return `The server did not take it: ${error.message}.`;
  }
}
