// Pairs of look-alikes that somebody wants to keep both of: known to this browser only, the last of them.
import type { ResponseOf } from "@/api/types";

export type Pair = ResponseOf<"/api/documents/lookalikes", "get">["items"][number];

const MOST = 500;
const nameFor = (user: string) => `docuvault-kept-both-${user}`;

export function pairKey(pair: Pair): string {
  return pair.documents
    .map((document) => document.id)
    .sort()
    .join(" ");
}

export function keptBoth(user: string): Set<string> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(nameFor(user)) ?? "[]");
    return new Set(Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : []);
  } catch {
    return new Set(); // storage is switched off, or holds something else
  }
}

/** Remembers that both stay; gives what forgets it again. */
export function keepBoth(user: string, pair: Pair): () => void {
  const key = pairKey(pair);
  save(user, [...keptBoth(user), key]);
  return () => save(user, [...keptBoth(user)].filter((one) => one !== key));
}

function save(user: string, keys: string[]): void {
  try {
    localStorage.setItem(nameFor(user), JSON.stringify(keys.slice(-MOST)));
  } catch {
    // it holds until the page is left
  }
}
