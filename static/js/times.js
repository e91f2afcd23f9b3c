/** Times by the clock that the server's pages go by: the customer's, `<html data-time-zone>`. */
const zone = document.documentElement.dataset.timeZone || undefined;
const formats = new Map();

/** Give a formatter of local times; `options` are those of Intl.DateTimeFormat. */
export function timeFormat(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return formats.get(key);
}

const DAY = { day: "numeric", month: "short" };
const TIME = { hour: "2-digit", minute: "2-digit" };

/** Say a day and a time, 24 Dec, 18:00. */
export const moment = (date) => timeFormat({ ...DAY, ...TIME }).format(date);

/** Say a time of the day, 18:00:05. */
export const timeOfDay = (date) => timeFormat({ ...TIME, second: "2-digit" }).format(date);

/** Tell the server which clock this browser goes by, for who has not chosen one. */
export function tellTimeZone() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own) document.cookie = `time_zone=${own}; path=/; max-age=31536000; samesite=lax`;
}
