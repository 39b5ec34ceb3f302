// What the library shows, as an address says it, as the API takes it, and as one types it (`topic:`, `sender:`, `after:`, `type:` …).
import type { ListQuery, ViewQuery } from "@/api/types";

export interface Filters {
  q: string;
  topics: string[];
  senders: string[];
  statuses: string[];
  types: string[];
  languages: string[];
  issuedAfter: string;
  issuedBefore: string;
  createdAfter: string;
  createdBefore: string;
  sort: string;
}

export const NO_FILTERS: Filters = {
  q: "",
  topics: [],
  senders: [],
  statuses: [],
  types: [],
  languages: [],
  issuedAfter: "",
  issuedBefore: "",
  createdAfter: "",
  createdBefore: "",
  sort: "",
};

/** The name of each member in an address. */
const NAMES: Record<keyof Filters, string> = {
  q: "q",
  topics: "topic",
  senders: "sender",
  statuses: "status",
  types: "type",
  languages: "language",
  issuedAfter: "after",
  issuedBefore: "before",
  createdAfter: "added-after",
  createdBefore: "added-before",
  sort: "sort",
};

type RouteQuery = Record<string, undefined | null | string | (string | null)[]>;

export function fromRoute(query: RouteQuery): Filters {
  const filters = structuredClone(NO_FILTERS) as Filters & Record<string, unknown>;
  for (const [member, name] of Object.entries(NAMES)) {
    const values = [query[name]].flat().filter((value): value is string => typeof value === "string" && value !== "");
    if (values.length) filters[member] = Array.isArray(filters[member]) ? values : values[0];
  }
  return filters;
}

export function toRoute(filters: Filters): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const [member, name] of Object.entries(NAMES)) {
    const value = filters[member as keyof Filters];
    if (value.length) query[name] = Array.isArray(value) && value.length === 1 ? value[0]! : value;
  }
  return query;
}

/** What list_documents takes, but for the page; without the order it is what bulk_documents takes as a filter. */
export function toQuery(filters: Filters, trashed: boolean): ListQuery {
  const query: Record<string, unknown> = {
    q: filters.q.trim(),
    topic_id: filters.topics,
    sender_id: filters.senders,
    status: filters.statuses,
    content_type: filters.types,
    language: filters.languages,
    issued_after: filters.issuedAfter,
    issued_before: filters.issuedBefore,
    created_after: filters.createdAfter,
    created_before: filters.createdBefore,
    sort: filters.sort,
    trashed: trashed || undefined,
  };
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && (value as string | unknown[]).length !== 0)) as ListQuery;
}

export function fromView(query: ViewQuery): Filters {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
  return {
    q: text(query.q),
    topics: list(query.topic_id),
    senders: list(query.sender_id),
    statuses: list(query.status),
    types: list(query.content_type),
    languages: list(query.language),
    issuedAfter: text(query.issued_after),
    issuedBefore: text(query.issued_before),
    createdAfter: text(query.created_after),
    createdBefore: text(query.created_before),
    sort: text(query.sort),
  };
}

/** As many words as the server takes on both sides of an "or". */
const ALTERNATIVE = 4;

/** The query while its last word is being typed: that word, or whatever begins so. */
export function unfinished(q: string): string {
  const text = q.trim();
  const words = text.split(/\s+/);
  const plain = /^[\p{L}\p{N}]{2,}$/u.test(words.at(-1) ?? "") && !words.some((word) => word.toLowerCase() === "or" || /["“”„]/.test(word));
  return plain && words.length <= ALTERNATIVE ? `${text} or ${text}*` : q;
}

/** The query that was typed, of what `unfinished` made of it. */
export const finished = (q: string): string => /^(.+) or \1\*$/.exec(q)?.[1] ?? q;

/** How many things narrow the list, words aside. */
export function narrowed(filters: Filters): number {
  const lists = [filters.topics, filters.senders, filters.statuses, filters.types, filters.languages];
  const dates = [filters.issuedAfter || filters.issuedBefore, filters.createdAfter || filters.createdBefore];
  return lists.reduce((sum, list) => sum + list.length, 0) + dates.filter(Boolean).length;
}

/** Short names of content types, to type and to show. */
export const TYPES: Record<string, string> = {
  pdf: "application/pdf",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  tiff: "image/tiff",
  heic: "image/heic",
  text: "text/plain",
  markdown: "text/markdown",
  csv: "text/csv",
  html: "text/html",
  mail: "message/rfc822",
  word: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  excel: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  powerpoint: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  odt: "application/vnd.oasis.opendocument.text",
  ods: "application/vnd.oasis.opendocument.spreadsheet",
  rtf: "application/rtf",
};

const SHORT = new Map(Object.entries(TYPES).map(([short, type]) => [type, short]));

/** "PDF" for `application/pdf`. */
export function typeName(contentType: string): string {
  const short = SHORT.get(contentType);
  if (!short) return contentType.split("/").pop() ?? contentType;
  return short.length <= 4 && short !== "word" && short !== "text" && short !== "mail" ? short.toUpperCase() : short[0]!.toUpperCase() + short.slice(1);
}

export interface Named {
  id: string;
  name: string;
}

/** `2024` or `2024-07` or `2024-07-15` as a day; null if it is none. `end`: the first day after it. */
export function dayOf(text: string, end = false): string | null {
  const found = /^(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?$/.exec(text);
  if (!found) return null;
  const [year, month, day] = [Number(found[1]), Number(found[2] ?? 1), Number(found[3] ?? 1)];
  const first = new Date(Date.UTC(year, month - 1, day));
  if (Number.isNaN(first.getTime()) || first.getUTCMonth() !== month - 1 || first.getUTCDate() !== day) return null;
  if (end) {
    if (found[3]) first.setUTCDate(day + 1);
    else if (found[2]) first.setUTCMonth(month);
    else first.setUTCFullYear(year + 1);
  }
  return first.toISOString().slice(0, 10);
}

/**
 * Takes what is a filter out of what was typed: `invoice type:pdf after:2024` becomes the word `invoice` and two filters. What names nothing
 * stays a word; the last word stays too while it is being typed (`whole` false), lest it is taken away under the fingers.
 */
export function takeTyped(text: string, filters: Filters, topics: readonly Named[], senders: readonly Named[], whole: boolean): Filters {
  const next = structuredClone(filters);
  const pieces = text.match(/\S*?"[^"]*"?|\S+/g) ?? [];
  const open = whole || /\s$/.test(text) ? pieces.length : pieces.length - 1;
  const words = pieces.filter((piece, index) => index >= open || !take(piece, next, topics, senders));
  next.q = words.join(" ") + (/\s$/.test(text) && words.length ? " " : "");
  return next;
}

/** Whether the last word is a filter that means nothing yet: the server would refuse to search for it. */
export function isHalf(text: string, topics: readonly Named[], senders: readonly Named[]): boolean {
  const last = /(?:^|\s)((topic|sender|type|after|before|in):("[^"]*"?|[^\s"]*))$/i.exec(text);
  if (!last) return false;
  const [, piece, name, value] = last as unknown as [string, string, string, string];
  if (/^"[^"]*$/.test(value)) return true; // in quotes that are not closed yet
  if (name.toLowerCase() === "in") return value.toLowerCase() !== "trash";
  return !take(piece, structuredClone(NO_FILTERS), topics, senders);
}

function take(piece: string, filters: Filters, topics: readonly Named[], senders: readonly Named[]): boolean {
  const found = /^(topic|sender|after|before|type|lang|status):"?([^"]+)"?$/i.exec(piece);
  if (!found) return false;
  const [name, value] = [found[1]!.toLowerCase(), found[2]!];
  const named = (list: readonly Named[]) => list.find((one) => one.name.localeCompare(value, undefined, { sensitivity: "base" }) === 0)?.id;
  const add = (list: string[], one: string | undefined): boolean => {
    if (!one) return false;
    if (!list.includes(one)) list.push(one);
    return true;
  };
  switch (name) {
    case "topic":
      return add(filters.topics, named(topics));
    case "sender":
      return add(filters.senders, named(senders));
    case "type":
      return add(filters.types, TYPES[value.toLowerCase()] ?? (value.includes("/") ? value : undefined));
    case "lang":
      return add(filters.languages, /^[a-z]{2}$/i.test(value) ? value.toLowerCase() : undefined);
    case "status":
      return add(filters.statuses, ["stored", "extracted", "ready", "failed", "uploading"].find((status) => status === value.toLowerCase()));
    default: {
      const day = dayOf(value);
      if (day === null) return false;
      if (name === "after") filters.issuedAfter = day;
      else filters.issuedBefore = day;
      return true;
    }
  }
}
