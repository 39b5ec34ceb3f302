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

/** The documents that were passed over, each as it was then. */
export function passedOver(storage: Pick<Storage, "getItem" | "setItem">) {
  const read = (): Record<string, string> => {
    try {
      return JSON.parse(storage.getItem(KEY) ?? "{}") as Record<string, string>;
    } catch {
      return {};
    }
  };
  return {
    has: (document: Pick<Document, "id" | "updated_at">) => read()[document.id] === document.updated_at,
    add(document: Pick<Document, "id" | "updated_at">): void {
      const all = { ...read(), [document.id]: document.updated_at };
      storage.setItem(KEY, JSON.stringify(Object.fromEntries(Object.entries(all).slice(-KEPT))));
    },
    forget: () => storage.setItem(KEY, "{}"),
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
  let cursor: string | null | undefined;
  let page: Document[] = [];
  let looking: Promise<void> | null = null;

  /** One more that waits, or `ended`. */
  async function lookOn(): Promise<void> {
    while (!ended.value) {
      const document = page.shift();
      if (document === undefined) {
        if (cursor === null) {
          ended.value = true;
          return;
        }
        const found = await api.get("/api/documents", { query: { sort: "-created_at", limit: PAGE, cursor: cursor ?? undefined } as never });
        page = found.items as Document[];
        cursor = found.next_cursor ?? null;
        continue;
      }
      if (!["ready", "failed"].includes(document.status) || passed.has(document)) continue;
      const open = await openQuestions(document.id);
      if (!open.length && document.topics.length && document.status !== "failed") continue;
      shown.value = [...shown.value, { document, open }];
      return;
    }
  }

  async function fill(): Promise<void> {
    looking ??= (async () => {
      while (!ended.value && shown.value.length < at.value + 2) await lookOn();
    })().finally(() => (looking = null));
    await looking;
  }

  async function restart(everything: boolean): Promise<void> {
    if (everything) passed.forget();
    shown.value = [];
    at.value = 0;
    ended.value = false;
    cursor = undefined;
    page = [];
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

  return { shown, at, ended, restart, fill, next, previous, change };
}
