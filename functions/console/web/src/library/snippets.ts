// A snippet is HTML with marks and all else escaped. It is taken apart into text and never given to the browser as HTML.

export interface Piece {
  text: string;
  marked: boolean;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'", "#39": "'", "#34": '"' };

export function pieces(snippet: string): Piece[] {
  return snippet
    .split(/(<mark>|<\/mark>)/)
    .reduce<{ pieces: Piece[]; marked: boolean }>(
      (state, part) => {
        if (part === "<mark>") return { ...state, marked: true };
        if (part === "</mark>") return { ...state, marked: false };
        if (part) state.pieces.push({ text: unescaped(part), marked: state.marked });
        return state;
      },
      { pieces: [], marked: false },
    ).pieces;
}

/** What comes before the first mark, cut at a word: a list shows one line, and the mark must be in it. */
const BEFORE = 36;

export function aroundTheMark(all: Piece[]): Piece[] {
  const [first, ...others] = all;
  if (!first || first.marked || first.text.length <= BEFORE || !others.length) return all;
  return [{ ...first, text: `… ${first.text.slice(-BEFORE).replace(/^\S*\s+/, "")}` }, ...others];
}

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#x27|#39|#34);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
