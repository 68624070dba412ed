// What went wrong, in plain words.

/** An answer that is no success, or none at all (`status` 0). */
export class Failure extends Error {
  constructor(status, problem, retryAfterS) {
    super(problem?.detail ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may do better in a moment. */
  get passes() {
    return this.status === 0 || this.status === 503 || this.status === 429;
  }
}

/** A failure as title and sentence; `what` is what was asked for, as in "this order". */
export function explain(failure, what) {
  const wait = failure.passes ? ` Asking again in ${failure.retryAfterS} s.` : "";
  switch (failure.status) {
    case 0:
      return { title: "No answer", text: `The server cannot be reached.${wait}` };
    case 400:
      return { title: "That cannot be an id", text: `${sentence(failure.message)} An order id is a UUID, such as 0190a5c1-2b3c-7d4e-8f50-617283940516.` };
    case 403:
      return { title: "Not allowed", text: `The API key you logged in with may not read ${what}: ${failure.message}.` };
    case 404:
      return { title: "Not found", text: sentence(failure.message) };
    case 429:
      return { title: "Too many requests", text: `The server asks for a pause.${wait}` };
    case 503:
      return { title: "Not available right now", text: `${sentence(failure.message)}${wait}` };
    default:
      return { title: "Something went wrong", text: `${sentence(failure.message)} ${request(failure)}`.trim() };
  }
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;

const request = (failure) => (failure.problem?.request_id ? `The log has more, under request ${failure.problem.request_id}.` : "");
