// What waits for a person: documents under no topic, failed, or with something that the assistant is not sure of. One that was passed over is
// not shown again in this browser, until it changes or everything is asked for.
import { ref, shallowRef } from "vue";
import { api } from "@/api/client";
import type { Document, Proposal, Suggestion } from "@/api/types";

export type Open = { kind: "suggestion"; one: Suggestion } | { kind: "proposal"; one: Proposal };

export interface Waiting {
  document: Document;
  open: Open[];
}

const KEY = "docuvault-triage-passed";
const KEPT = 2000;
const PAGE = 50;
/** Documents that the assistant is asked about before a person says "look further": each costs two requests. */
export const ASKED_AT_ONCE = 100;

/** The documents that were passed over, each as it was then: the last KEPT of them. */
export function passedOver(storage: Pick<Storage, "getItem" | "setItem">) {
  let all = new Map<string, string>();
  try {
    all = new Map(Object.entries(JSON.parse(storage.getItem(KEY) ?? "{}") as Record<string, string>));
  } catch {
    // storage holds something else
  }
  const save = () => storage.setItem(KEY, JSON.stringify(Object.fromEntries(all)));
  return {
    has: (document: Pick<Document, "id" | "updated_at">) => all.get(document.id) === document.updated_at,
    add(document: Pick<Document, "id" | "updated_at">): void {
      all.delete(document.id);
      all.set(document.id, document.updated_at);
      if (all.size > KEPT) all.delete(all.keys().next().value!);
      save();
    },
    forget(): void {
      all.clear();
      save();
    },
  };
}

export async function openQuestions(id: string): Promise<Open[]> {
  const path = { document_id: id };
  const [suggestions, proposals] = await Promise.all([
    api.get("/api/documents/{document_id}/suggestions", { path, query: { limit: 100 } }),
    api.get("/api/documents/{document_id}/proposals", { path, query: { limit: 100 } }),
  ]);
  return [
    ...suggestions.items.filter((one) => one.state === "open").map((one) => ({ kind: "suggestion", one }) as const),
    ...proposals.items.filter((one) => one.state === "open").map((one) => ({ kind: "proposal", one }) as const),
  ];
}

/** The documents in turn, newest first, looked for as they are needed: one that is shown, and the next. */
export function useQueue() {
  const passed = passedOver(localStorage);
  const shown = shallowRef<Waiting[]>([]);
  const at = ref(0);
  const ended = ref(false);
  /** Nothing more was found among so many, and there are others. */
  const paused = ref(false);
  let asked = 0;
  let cursor: string | null | undefined;
  let page: Document[] = [];
  let looking: Promise<void> | null = null;
  /** How often it was begun anew: what an earlier look finds is not for this one. */
  let turn = 0;

  /** One more that waits, or `ended`. */
  async function lookOn(mine: number): Promise<void> {
    while (!ended.value && mine === turn) {
      if (asked >= ASKED_AT_ONCE) {
        paused.value = true;
        return;
      }
      const document = page[0];
      if (document === undefined) {
        if (cursor === null) {
          ended.value = true;
          return;
        }
        const found = await api.get("/api/documents", { query: { sort: "-created_at", limit: PAGE, cursor: cursor ?? undefined } as never });
        if (mine !== turn) return;
        page = found.items as Document[];
        cursor = found.next_cursor ?? null;
        continue;
      }
      if (!["ready", "failed"].includes(document.status) || passed.has(document)) {
        page.shift();
        continue;
      }
      const open = await openQuestions(document.id);
      if (mine !== turn) return;
      page.shift(); // only now: if the question failed, it is asked again
      asked++;
      if (!open.length && document.topics.length && document.status !== "failed") continue;
      asked = 0;
      shown.value = [...shown.value, { document, open }];
      return;
    }
  }

  async function fill(): Promise<void> {
    const mine = turn;
    looking ??= (async () => {
      while (mine === turn && !ended.value && !paused.value && shown.value.length < at.value + 2) await lookOn(mine);
    })().finally(() => mine === turn && (looking = null));
    await looking;
  }

  async function restart(everything: boolean): Promise<void> {
    turn++;
    looking = null;
    if (everything) passed.forget();
    shown.value = [];
    at.value = 0;
    ended.value = paused.value = false;
    asked = 0;
    cursor = undefined;
    page = [];
    await fill();
  }

  /** Goes on where the look paused. */
  async function lookFurther(): Promise<void> {
    paused.value = false;
    asked = 0;
    await fill();
  }

  async function next(): Promise<void> {
    const now = shown.value[at.value];
    if (now === undefined) return;
    passed.add(now.document);
    at.value++;
    await fill();
  }

  function previous(): void {
    if (at.value > 0) at.value--;
  }

  function change(id: string, change: Partial<Waiting>): void {
    shown.value = shown.value.map((one) => (one.document.id === id ? { ...one, ...change } : one));
  }

  return { shown, at, ended, paused, restart, lookFurther, fill, next, previous, change };
}
