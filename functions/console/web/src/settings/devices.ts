// A browser's User-Agent as a person would say it: "Firefox, Linux".
const BROWSERS: [RegExp, string][] = [
  [/\bEdg\w*\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bFirefox\//, "Firefox"],
  [/\b(Headless)?Chrome\//, "Chrome"],
  [/\bSafari\//, "Safari"],
  [/^curl\//, "curl"],
  [/python/i, "Python"],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** The browser and the system, or what was sent if neither is known; null if nothing was. */
export function deviceName(userAgent: string): string | null {
  const known = [BROWSERS, SYSTEMS].map((table) => table.find(([pattern]) => pattern.test(userAgent))?.[1]).filter(Boolean);
  return known.length ? known.join(", ") : userAgent.slice(0, 60) || null;
}
