// Numbers and times in words. Null, which means "not known", is a dash.

const NONE = "–";

const known = (number) => typeof number === "number" && Number.isFinite(number);

export function count(number) {
  return known(number) ? number.toLocaleString("en-US", { maximumFractionDigits: 0 }) : NONE;
}

export function rate(number) {
  if (!known(number)) return NONE;
  return number > 0 && number < 10 ? number.toFixed(1) : count(number);
}

/** `fraction` is from 0 to 1. Few errors are never rounded to none, nor most of them to all. */
export function percent(fraction) {
  if (!known(fraction)) return NONE;
  if (fraction <= 0) return "0 %";
  if (fraction >= 1) return "100 %";
  const number = Math.min(99.9, Math.max(0.1, fraction * 100));
  return `${number < 10 || number > 99 ? number.toFixed(1) : number.toFixed(0)} %`;
}

export function milliseconds(number) {
  if (!known(number)) return NONE;
  if (number >= 10000) return `${(number / 1000).toFixed(1)} s`;
  return number < 10 ? number.toFixed(1) : count(number);
}

export function duration(seconds) {
  if (!known(seconds)) return "";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Return the local time of day, with the date when that is another one than today's. */
export function clock(moment) {
  const date = new Date(typeof moment === "number" ? moment * 1000 : moment);
  if (Number.isNaN(date.getTime())) return NONE;
  const pad = (number) => String(number).padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${time}`;
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
