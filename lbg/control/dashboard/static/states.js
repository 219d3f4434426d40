// States of endpoints in words. The colour and the shape beside a word are in style.css.

const WORDS = {
  up: "UP",
  down: "DOWN",
  ejected: "EJECTED",
  trial: "TRIAL",
  draining: "DRAINING",
  maint: "MAINT",
  unknown: "unknown",
  unchecked: "unchecked",
  stale: "stale",
};

export const word = (state) => WORDS[state] ?? String(state);

/** Return the class that gives a state, or a kind of event, its colour and shape. */
export function look(state) {
  switch (state) {
    case "up":
    case "restored":
    case "ready":
      return "good";
    case "down":
    case "ejected":
    case "failed":
      return "bad";
    case "trial":
    case "stale":
    case "slow":
    case "draining":
    case "drain":
    case "checks_stale":
      return "warn";
    case "maint":
      return "held";
    default:
      return "neutral";
  }
}

/** Return what is said of an endpoint that has changed its state. */
export function sentence(endpoint) {
  const reason = endpoint.reason ? `: ${endpoint.reason}` : "";
  return `${endpoint.pool}/${endpoint.name} is ${word(endpoint.state)}${reason}`;
}
