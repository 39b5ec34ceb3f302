// What is selected: some, or all that the filters choose but for some. A list of 50,000 is never held for it.

export type Selection = { all: false; ids: ReadonlySet<string> } | { all: true; except: ReadonlySet<string> };

export const NOTHING: Selection = { all: false, ids: new Set() };

export function isSelected(selection: Selection, id: string): boolean {
  return selection.all ? !selection.except.has(id) : selection.ids.has(id);
}

/** With `ids` selected or not; those of the other kind stay. */
export function set(selection: Selection, ids: readonly string[], selected: boolean): Selection {
  const changed = new Set(selection.all ? selection.except : selection.ids);
  for (const id of ids) {
    if (selected === selection.all) changed.delete(id);
    else changed.add(id);
  }
  return selection.all ? { all: true, except: changed } : { all: false, ids: changed };
}

/** Without a document that is not there any more. */
export function forgotten(selection: Selection, id: string): Selection {
  return set(selection, [id], selection.all);
}

/** How many; null if only the server knows. */
export function count(selection: Selection, total: number | null): number | null {
  if (!selection.all) return selection.ids.size;
  return total === null ? null : Math.max(0, total - selection.except.size);
}

/** The ids from one to another, in the order of the list. */
export function range(list: readonly { id: string }[], from: string, to: string): string[] {
  const [a, b] = [list.findIndex((item) => item.id === from), list.findIndex((item) => item.id === to)];
  if (a < 0 || b < 0) return [to];
  return list.slice(Math.min(a, b), Math.max(a, b) + 1).map((item) => item.id);
}
