// The list of documents: loaded page by page, kept up to date by events, and what is selected in it.
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { api } from "@/api/client";
import { isAbort } from "@/api/problems";
import type { BulkAction, BulkResult, Document, DocumentHit, Facets, Job, ListQuery } from "@/api/types";
import { sleep } from "@/api/client";
import { type Filters, NO_FILTERS, narrowed, toQuery } from "@/library/filters";
import { count, forgotten, isSelected, NOTHING, range, type Selection, set } from "@/library/selection";
import { watchDocuments } from "./live";

const PAGE = 100;
const QUIET_MILLISECONDS = 400;
/** So much later the list is looked at again after news: once for all that comes meanwhile. */
const AGAIN_MILLISECONDS = 3000;
/** A page that takes longer may never come: with the next news it is asked for anew. */
const SLOW_MILLISECONDS = 20_000;
const IDS_AT_ONCE = 1000;
/** Facets count so many documents at most (shared/documents/facets.py). */
export const COUNTED = 10_000;

export interface Work {
  action: BulkAction | "move";
  done: number;
  total: number | null;
  cancel?: () => void;
}

export interface Outcome {
  done: string[] | null;
  /** Null: the server did it by the filter, and knows which. */
  count: number;
  failed: { id: string; code: string }[];
  cancelled: boolean;
}

export const useLibrary = defineStore("library", () => {
  const filters = shallowRef<Filters>(NO_FILTERS);
  const trashed = ref(false);
  const items = shallowRef<DocumentHit[]>([]);
  const facets = shallowRef<Facets | null>(null);
  const total = ref<number | null>(null);
  const state = ref<"new" | "loading" | "ready" | "failed">("new");
  const loadingMore = ref(false);
  const error = shallowRef<unknown>(null);
  const selection = shallowRef<Selection>(NOTHING);
  const focused = ref<string | null>(null);
  const work = ref<Work | null>(null);
  const scrollTop = ref(0);
  let anchor: string | null = null;
  let cursor: string | null = null;
  let shown = "";
  /** What `items` were chosen by: not `shown` until its first page is there. */
  let chosenBy = "";
  let running: AbortController | null = null;
  let later: ReturnType<typeof setTimeout> | undefined;
  /** What was told since the page that is being loaded was asked for: it may be from before. Null: removed. */
  let news: Map<string, Document | null> | null = null;
  let outdated = false;
  let beganAt = 0;
  /** A next page was being loaded when the first one was asked for again. */
  let goOn = false;

  const query = computed<ListQuery>(() => toQuery(filters.value, trashed.value));
  const selected = computed(() => count(selection.value, total.value));
  /** Whether there are COUNTED documents or more: how many only the server knows. */
  const areMany = computed(() => facets.value !== null && total.value === null);
  const isNarrowed = computed(() => narrowed(filters.value) > 0 || filters.value.q.trim() !== "");
  const hasMore = computed(() => state.value === "ready" && more.value);
  const more = ref(false);

  /** Shows what these filters choose; what is shown already is only looked at again. */
  async function show(next: Filters, inTrash: boolean): Promise<void> {
    const key = JSON.stringify([toQuery(next, inTrash)]);
    const same = key === shown && state.value === "ready";
    filters.value = next;
    trashed.value = inTrash;
    if (!same) {
      selection.value = NOTHING;
      focused.value = anchor = null;
      scrollTop.value = 0;
      if (key !== shown && state.value !== "ready") state.value = "loading";
    }
    shown = key;
    await load(same);
  }

  /** The first page. Quietly: as many as are there already, in their place. */
  async function load(again = false): Promise<void> {
    clearTimeout(later);
    later = undefined;
    outdated = false;
    const quietly = again && chosenBy === shown;
    goOn = quietly && (goOn || loadingMore.value);
    beganAt = Date.now();
    running?.abort();
    const mine = (running = new AbortController());
    const meanwhile = (news = new Map<string, Document | null>());
    const key = shown;
    if (!quietly && !items.value.length) state.value = "loading";
    try {
      const limit = quietly ? Math.min(200, Math.max(PAGE, items.value.length)) : PAGE;
      const page = await api.get("/api/documents", { query: { ...query.value, limit, facets: true }, signal: mine.signal });
      if (mine !== running) return;
      const end = page.items.at(-1)?.id;
      const followed = quietly && items.value.length > limit ? items.value.findIndex((item) => item.id === end) + 1 : 0;
      if (followed > 0) {
        // What comes after its last one stays: by their number, some would be left out when others came before them.
        const ids = new Set(page.items.map((item) => item.id));
        items.value = [...page.items, ...items.value.slice(followed).filter((item) => !ids.has(item.id))];
      } else {
        items.value = page.items;
        cursor = page.next_cursor ?? null;
        more.value = cursor !== null;
      }
      facets.value = page.facets ?? null;
      total.value = totalOf(facets.value);
      chosenBy = key;
      error.value = null;
      state.value = "ready";
      news = null;
      for (const [id, document] of meanwhile) document === null ? removed(id) : changed(document);
      if (outdated) reloadSoon();
      if (goOn) void loadMore();
      goOn = false;
    } catch (failed) {
      if (mine !== running) return;
      news = null;
      if (isAbort(failed)) return;
      if (quietly && items.value.length) {
        later ??= setTimeout(() => void load(true), AGAIN_MILLISECONDS);
        return;
      }
      error.value = failed;
      state.value = "failed";
    }
  }

  async function loadMore(): Promise<void> {
    if (loadingMore.value || cursor === null || state.value !== "ready" || chosenBy !== shown) return; // a cursor is good for one query
    loadingMore.value = true;
    const [mine, from] = [running, cursor];
    try {
      const page = await api.get("/api/documents", { query: { ...query.value, limit: PAGE, cursor: from }, signal: mine?.signal });
      if (mine !== running) return;
      const ids = new Set(items.value.map((item) => item.id));
      items.value = [...items.value, ...page.items.filter((item) => !ids.has(item.id))];
      cursor = page.next_cursor ?? null;
      more.value = cursor !== null;
    } catch (failed) {
      if (!isAbort(failed)) later ??= setTimeout(() => void load(true), AGAIN_MILLISECONDS);
    } finally {
      loadingMore.value = false;
    }
  }

  /** Once what is being loaded is there: it would never come if each news began it anew. */
  function reloadSoon(): void {
    if (state.value === "new") return;
    if (news !== null && Date.now() - beganAt < SLOW_MILLISECONDS) outdated = true;
    else later ??= setTimeout(() => void load(true), QUIET_MILLISECONDS);
  }

  function changed(document: Document): void {
    news?.set(document.id, document);
    if (state.value !== "ready" || chosenBy !== shown) return reloadSoon();
    const at = items.value.findIndex((item) => item.id === document.id);
    if (at >= 0 && Date.parse(items.value[at]!.updated_at) > Date.parse(document.updated_at)) return reloadSoon(); // told late, or made long ago
    const belongs = (document.trashed_at !== null) === trashed.value && document.status !== "uploading";
    if (at >= 0 && !belongs) {
      takeOut(document.id);
    } else if (at >= 0) {
      const next = [...items.value];
      next[at] = { ...next[at]!, ...document };
      items.value = next;
      if (document.status === "ready" || document.status === "failed") reloadSoon();
    } else if (belongs) {
      const last = items.value.at(-1);
      const within = !more.value || (last !== undefined && newestFirst(document, last) < 0); // else its place is on a page that is not here yet
      if (within && !isNarrowed.value && !trashed.value && (filters.value.sort === "" || filters.value.sort === "-created_at")) {
        items.value = [document as DocumentHit, ...items.value].sort(newestFirst);
        if (total.value !== null) total.value++;
      }
      reloadSoon();
    }
  }

  function removed(id: string): void {
    news?.set(id, null);
    if (chosenBy !== shown) return reloadSoon();
    if (items.value.some((item) => item.id === id)) takeOut(id);
  }

  function takeOut(id: string): void {
    items.value = items.value.filter((item) => item.id !== id);
    selection.value = forgotten(selection.value, id);
    if (total.value !== null) total.value--;
    reloadSoon();
  }

  watchDocuments({ changed, removed, missed: reloadSoon });
  api.onReachable((now) => now && state.value === "failed" && reloadSoon());

  function select(id: string, selectedNow: boolean, withRange = false): void {
    const ids = withRange && anchor ? range(items.value, anchor, id) : [id];
    selection.value = set(selection.value, ids, selectedNow);
    anchor = id;
  }

  function selectAll(): void {
    selection.value = { all: true, except: new Set() };
  }

  function clearSelection(): void {
    selection.value = NOTHING;
    anchor = null;
  }

  const isOn = (id: string): boolean => isSelected(selection.value, id);

  /** The chosen documents' ids, if they are few enough to say one by one: at most `most`, if all are chosen. */
  async function chosenIds(most = IDS_AT_ONCE): Promise<string[] | null> {
    const now = selection.value;
    if (!now.all) return [...now.ids];
    if ((total.value ?? Infinity) > most) return null;
    const ids: string[] = [];
    let from: string | undefined;
    do {
      const page = await api.get("/api/documents", { query: { ...query.value, limit: 200, cursor: from } });
      ids.push(...page.items.map((item) => item.id));
      from = page.next_cursor ?? undefined;
    } while (from !== undefined);
    return ids.filter((id) => !now.except.has(id));
  }

  /** Does it to what is selected. */
  async function act(action: BulkAction, topicIds?: string[]): Promise<Outcome> {
    const ids = await chosenIds();
    if (ids !== null) return await actOn(ids, action, topicIds);
    const now = selection.value as Extract<Selection, { all: true }>;
    const { sort: _, ...filter } = query.value;
    return await actByFilter(filter, [...now.except], action, topicIds);
  }

  async function actOn(ids: string[], action: BulkAction, topicIds?: string[]): Promise<Outcome> {
    const outcome: Outcome = { done: [], count: 0, failed: [], cancelled: false };
    work.value = { action, done: 0, total: ids.length, cancel: () => (outcome.cancelled = true) };
    try {
      for (let at = 0; at < ids.length && !outcome.cancelled; at += IDS_AT_ONCE) {
        const some = ids.slice(at, at + IDS_AT_ONCE);
        const body = { action, ids: some, ...(topicIds ? { topic_ids: topicIds } : {}) };
        const result = (await api.post("/api/documents/bulk", { body })) as BulkResult;
        outcome.done!.push(...result.done);
        outcome.failed.push(...result.failed);
        work.value.done = at + some.length;
      }
    } finally {
      work.value = null;
    }
    outcome.count = outcome.done!.length;
    reloadSoon();
    return outcome;
  }

  async function actByFilter(filter: object, except: string[], action: BulkAction, topicIds?: string[]): Promise<Outcome> {
    const body = { action, filter, except, ...(topicIds ? { topic_ids: topicIds } : {}) };
    let job = (await api.post("/api/documents/bulk", { body: body as never })) as Job;
    const path = { job_id: job.id };
    const cancel = () => void api.delete("/api/jobs/{job_id}", { path }).catch(() => undefined);
    try {
      for (let pause = 150; job.state === "running"; pause = Math.min(pause * 1.5, 2000)) {
        work.value = { action, done: job.done, total: job.total, cancel };
        await sleep(pause);
        job = await api.get("/api/jobs/{job_id}", { path });
      }
    } finally {
      work.value = null;
    }
    reloadSoon();
    return { done: null, count: job.done, failed: job.failed, cancelled: job.state === "cancelled" };
  }

  function clear(): void {
    running?.abort();
    running = null;
    news = null;
    clearTimeout(later);
    later = undefined;
    items.value = [];
    facets.value = total.value = error.value = null;
    cursor = focused.value = null;
    more.value = false;
    scrollTop.value = 0;
    state.value = "new";
    shown = chosenBy = "";
    clearSelection();
  }

  return {
    filters, trashed, items, facets, total, areMany, state, loadingMore, error, selection, selected, focused, work, scrollTop, query, isNarrowed, hasMore,
    show, load, loadMore, reloadSoon, select, selectAll, clearSelection, isOn, chosenIds, act, actOn, clear,
  };
});

/** As the server sorts: by microseconds, of which Date knows nothing, then by id. */
function newestFirst(a: Document, b: Document): number {
  const [first, second] = [microseconds(a.created_at), microseconds(b.created_at)];
  if (first !== second) return first < second ? 1 : -1;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/** A point in time, as the API writes it, so that later ones are greater: it leaves out a fraction of zero. */
function microseconds(at: string): string {
  const [seconds = "", fraction = ""] = at.replace(/(Z|[+-]\d\d:\d\d)$/, "").split(".");
  return `${seconds}.${fraction.padEnd(6, "0")}`;
}

/** Each document has one content type, so these add up to all that were counted. */
function totalOf(facets: Facets | null): number | null {
  const counted = facets?.content_types.reduce((sum, one) => sum + one.documents, 0) ?? COUNTED;
  return counted < COUNTED ? counted : null;
}
