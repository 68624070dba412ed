// Requests to the server, with the cookie of the session.

import { Failure } from "./failure.js";

// Reads are by primary key; the server itself gives up sooner.
const TIMEOUT_MS = 10_000;
// What to wait where the server does not say.
const RETRY_AFTER_S = 2;

/** Reads JSON. Answers with the body and the ETag; fails with a [`Failure`], also for want of an answer. */
export async function get(path, signal) {
  const response = await send("GET", path, { signal });
  return { body: response.status === 204 ? null : await json(response), etag: response.headers.get("ETag") };
}

/** Sends a request; answers with the response if it is a success, else fails with a [`Failure`]. */
export async function send(method, path, { body, signal } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const request = { method, signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
  if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, null, RETRY_AFTER_S);
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

/** The failure that a response speaks of. */
export async function failureOf(response) {
  const problem = await response.json().catch(() => null);
  const retryAfterS = Number(response.headers.get("Retry-After")) || RETRY_AFTER_S;
  return new Failure(response.status, problem, retryAfterS);
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    // Cut off midway.
    throw new Failure(0, null, RETRY_AFTER_S);
  }
}
