// The admin API of the lbg that served this page.
import { askForToken, currentToken } from "./token.js";

const TIMEOUT = 5000; // ms
const ABSENT = 60000; // ms until something this lbg does not have is asked for again
const absentUntil = new Map();

/** lbg answered, but not with what was asked for; `message` says why in a sentence. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Return whether `error` means that lbg did not answer, or cannot for now. */
export function isSilence(error) {
  if (error instanceof Refused) return error.status >= 500;
  return error instanceof TypeError || ["AbortError", "TimeoutError", "SyntaxError"].includes(error.name);
}

/** Return the document at `path`. Throws Refused, or another error when there is no answer. */
export async function get(path) {
  return (await answered(path, {})).json();
}

/** Return the document at `path`, or null where this lbg has none. `part` names what may be absent. */
export async function getIfThere(path, part) {
  if (performance.now() < (absentUntil.get(part) ?? 0)) return null;
  try {
    return await get(path);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    absentUntil.set(part, performance.now() + ABSENT);
    return null;
  }
}

/** Change something; return the document that tells how it is then. */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await answered(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

export async function remove(path) {
  return (await answered(path, { method: "DELETE" })).json();
}

/** Call `receive` with each server-sent event of a stream, until it ends or `signal` says so. */
export async function follow(path, receive, signal) {
  const response = await answered(path, { headers: { Accept: "text/event-stream" } }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.map(dataOf).filter(Boolean).forEach((data) => receive(JSON.parse(data)));
  }
}

function dataOf(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}

async function answered(path, options, signal = null) {
  for (;;) {
    const token = currentToken();
    const response = await fetch(path, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: signal ?? AbortSignal.timeout(TIMEOUT),
      ...options,
      headers: { ...options.headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
    });
    if (response.ok) return response;
    if (response.status !== 401) throw new Refused(response.status, await detailOf(response));
    await askForToken(token);
  }
}

async function detailOf(response) {
  try {
    return String((await response.json()).detail);
  } catch {
    return `lbg answered ${response.status}.`;
  }
}
