// Marks words in a text. Case and accents do not count, nor where a quote's lines break.
import type { Piece } from "./snippets";

/** The text in pieces; whatever fits one of `words` is marked. A word marks what begins with it, a phrase itself. */
export function highlighted(text: string, words: readonly string[]): Piece[] {
  const wanted = words.map((word) => word.trim()).filter(Boolean);
  if (!wanted.length) return [{ text, marked: false }];
  const { plain, places } = folded(text);
  const patterns = wanted.map((word) => {
    const escaped = folded(word).plain.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
    return /\s/.test(word) ? escaped : `(?<![\\p{L}\\p{N}])${escaped}[\\p{L}\\p{N}]*`;
  });
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of plain.matchAll(new RegExp(patterns.join("|"), "gu"))) {
    const start = places[found.index]!;
    const end = places[found.index + found[0].length] ?? text.length;
    if (start < at || end <= start) continue;
    if (start > at) pieces.push({ text: text.slice(at, start), marked: false });
    pieces.push({ text: text.slice(start, end), marked: true });
    at = end;
  }
  if (at < text.length) pieces.push({ text: text.slice(at), marked: false });
  return pieces;
}

/** What of a query is looked for: words and phrases, not what is excluded, nor filters. */
export function soughtWords(query: string): string[] {
  return (query.match(/-?"[^"]+"|\S+/g) ?? [])
    .filter((word) => !word.startsWith("-") && word.toLowerCase() !== "or" && !/^\w+:/.test(word))
    .map((word) => word.replace(/["*]/g, ""))
    .filter(Boolean);
}

/** Lower case without accents, and for each place in it the place in the original. */
function folded(text: string): { plain: string; places: number[] } {
  const places: number[] = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const character = String.fromCodePoint(text.codePointAt(at)!);
    const simple = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    for (let i = 0; i < simple.length; i++) places.push(at);
    plain += simple;
    at += character.length;
  }
  return { plain, places };
}
