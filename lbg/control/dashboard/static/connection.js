// Whether lbg answers, and since when it does not.
import { Refused } from "./api.js";
import { byId, setText } from "./dom.js";
import { clock } from "./format.js";

const PATIENCE = 3000; // ms: a reload exchanges the process that answers
const CONFIRMED = 2; // failures in a row
let answeredAt = null;
let failures = 0;

export function answered() {
  answeredAt = Date.now();
  failures = 0;
  show("");
}

export function failed(error) {
  failures += 1;
  if (error instanceof Refused && error.status < 500) {
    show(`lbg refuses to tell: ${error.message}`);
  } else if (answeredAt === null) {
    show("No answer from lbg yet; trying again.");
  } else if (failures >= CONFIRMED || Date.now() - answeredAt > PATIENCE) {
    show(`No answer since ${clock(answeredAt / 1000)}; trying again. What is shown is from then.`);
  }
}

export const isLost = () => failures > 0;

function show(text) {
  const banner = byId("banner");
  if (banner.hidden !== (text === "")) banner.hidden = text === "";
  setText(banner, text);
  document.body.classList.toggle("lost", text !== "");
}
