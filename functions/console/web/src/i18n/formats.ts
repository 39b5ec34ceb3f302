// Dates, sizes and numbers as the person's locale writes them: the browser's, if it speaks the language shown.
import { i18n } from "./index";

function locale(): string {
  const language = i18n.global.locale.value;
  return navigator.languages.find((one) => one.toLowerCase().startsWith(language)) ?? language;
}

const kept = new Map<string, unknown>();

function cached<T>(kind: string, make: (locale: string) => T): T {
  const key = `${locale()} ${kind}`;
  if (!kept.has(key)) kept.set(key, make(locale()));
  return kept.get(key) as T;
}

export function number(value: number): string {
  return cached("number", (l) => new Intl.NumberFormat(l)).format(value);
}

/** A fraction of one as percent, rounded down: 100 % is said only when it is. */
export function percent(value: number): string {
  return cached("percent", (l) => new Intl.NumberFormat(l, { style: "percent" })).format(Math.floor(value * 100) / 100);
}

/** An amount in US dollars, which is what providers charge; of less than a cent, more digits. */
export function dollars(value: number): string {
  const digits = value > 0 && value < 0.01 ? 4 : 2;
  const options = { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits } as const;
  return cached(`dollars ${digits}`, (l) => new Intl.NumberFormat(l, options)).format(value);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** Bytes, in thousands as disks are sold and systems count them. */
export function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return cached(
    `size ${unit} ${digits}`,
    (l) => new Intl.NumberFormat(l, { style: "unit", unit: UNITS[unit], unitDisplay: unit === 0 ? "long" : "short", maximumFractionDigits: digits }),
  ).format(value);
}

/** The date on a paper, `2026-11-26`, which is of no time zone. */
export function day(isoDate: string): string {
  return cached("day", (l) => new Intl.DateTimeFormat(l, { dateStyle: "medium", timeZone: "UTC" })).format(new Date(`${isoDate}T00:00:00Z`));
}

export function date(iso: string): string {
  return cached("date", (l) => new Intl.DateTimeFormat(l, { dateStyle: "medium" })).format(new Date(iso));
}

export function dateTime(iso: string): string {
  return cached("dateTime", (l) => new Intl.DateTimeFormat(l, { dateStyle: "medium", timeStyle: "short" })).format(new Date(iso));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["minute", 60],
  ["hour", 3600],
  ["day", 86_400],
];

/** "5 minutes ago" for what is younger than a week, else the date. */
export function ago(iso: string, now: number = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  if (Math.abs(seconds) > 7 * 86_400) return date(iso);
  const [unit, length] = [...STEPS].reverse().find(([, length]) => Math.abs(seconds) >= length) ?? ["minute", 60];
  const value = Math.abs(seconds) < 60 ? 0 : Math.round(seconds / length);
  return cached("ago", (l) => new Intl.RelativeTimeFormat(l, { numeric: "auto" })).format(value, unit as Intl.RelativeTimeFormatUnit);
}

/** A language's name by its code. */
export function languageName(code: string): string {
  try {
    return cached("languages", (l) => new Intl.DisplayNames(l, { type: "language" })).of(code) ?? code;
  } catch {
    return code;
  }
}
