// Where what is sought stands on a page.
import type { components } from "@/api/schema";
import { highlighted } from "@/library/highlight";

/** A word of a recognised page, and where it stands on the picture, in pixels. */
export type PlacedWord = components["schemas"]["PlacedWord"];

export interface RecognizedWords {
  width: number;
  height: number;
  words: PlacedWord[];
}

/** The words of a recognised page that are sought; a phrase or quote is found word by word, in its order. */
export function placedHits(words: readonly PlacedWord[], sought: readonly string[]): PlacedWord[] {
  const hits = new Set<PlacedWord>();
  for (const one of sought) {
    const parts = one.split(/\s+/).filter(Boolean);
    for (let at = 0; at + parts.length <= words.length; at++) {
      if (parts.every((part, index) => fits(words[at + index]!.text, part))) for (let i = 0; i < parts.length; i++) hits.add(words[at + i]!);
    }
  }
  return [...hits];
}

function fits(word: string, part: string): boolean {
  const bare = part.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
  return bare !== "" && highlighted(word, [bare]).some((piece) => piece.marked);
}

/** Puts `mark` around what is sought in each element, as text; returns how many were made. */
export function markElements(elements: readonly HTMLElement[], sought: readonly string[]): number {
  let made = 0;
  for (const element of elements) {
    const text = element.textContent ?? "";
    const pieces = highlighted(text, sought.flatMap((one) => [one, ...one.split(/\s+/).filter((word) => word.length > 2)]));
    const marked = pieces.some((piece) => piece.marked);
    if (!marked && !element.querySelector("mark")) continue;
    element.replaceChildren(
      ...pieces.map((piece) => {
        if (!piece.marked) return document.createTextNode(piece.text);
        made++;
        const mark = document.createElement("mark");
        mark.textContent = piece.text;
        return mark;
      }),
    );
  }
  return made;
}
