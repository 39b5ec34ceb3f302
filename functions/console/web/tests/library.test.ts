import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { UnreachableError } from "@/api/problems";
import { NO_FILTERS } from "@/library/filters";
import { COUNTED, useLibrary } from "@/stores/library";
import type { Watcher } from "@/stores/live";

const watchers: Watcher[] = [];
vi.mock("@/stores/live", () => ({ watchDocuments: (watcher: Watcher) => (watchers.push(watcher), () => undefined) }));

beforeEach(() => {
  setActivePinia(createPinia());
  watchers.length = 0;
  vi.restoreAllMocks();
});

const page = (...ids: string[]) => ({ items: ids.map((id) => ({ id, created_at: id, topics: [] })), next_cursor: null, facets: null });

it.each(["missed", "changed"] as const)("looks again after news (%s) that came while the list was loading", async (news) => {
  vi.useFakeTimers();
  const answers: ((page: object) => void)[] = [];
  vi.spyOn(api, "get").mockImplementation((() => new Promise((resolve) => answers.push(resolve))) as never);
  const library = useLibrary();
  const loading = library.show(NO_FILTERS, false);
  for (const watcher of watchers) {
    if (news === "missed") watcher.missed?.();
    else watcher.changed?.({ id: "d1", status: "ready", trashed_at: null } as never);
  }
  answers[0]!(page()); // as it was before
  await loading;
  await vi.advanceTimersByTimeAsync(1000);
  expect(answers.length).toBe(2);
  answers[1]!(page("d1"));
  await vi.advanceTimersByTimeAsync(0);
  expect(library.items.map((item) => item.id)).toEqual(["d1"]);
  vi.useRealTimers();
});

interface Question {
  query: { q?: string; limit: number; cursor?: string };
  signal: AbortSignal;
  answer: (page: object) => Promise<void>;
  fail: (error: unknown) => Promise<void>;
}

describe("the list", () => {
  const asked: Question[] = [];
  const doc = (id: string, more: object = {}) => ({ id, created_at: id, updated_at: "2026-01-01T00:00:00Z", status: "ready", trashed_at: null, topics: [], ...more }) as never;
  const pageOf = (ids: string[], more: object = {}) => ({ items: ids.map((id) => doc(id)), next_cursor: null, facets: { content_types: [{ documents: ids.length }] }, ...more });
  const ids = () => useLibrary().items.map((item) => item.id);
  const tell = (what: (watcher: Watcher) => void) => watchers.forEach(what);
  const soon = () => vi.advanceTimersByTimeAsync(450);

  beforeEach(() => {
    vi.useFakeTimers();
    asked.length = 0;
    vi.spyOn(api, "get").mockImplementation(((_path: string, { query, signal }: { query: Question["query"]; signal: AbortSignal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
        const settled = async (settle: () => void) => {
          settle();
          await vi.advanceTimersByTimeAsync(0);
        };
        asked.push({ query, signal, answer: (page) => settled(() => resolve(page)), fail: (error) => settled(() => reject(error)) });
      })) as never);
  });
  afterEach(() => vi.useRealTimers());

  async function shown(first: object) {
    const library = useLibrary();
    void library.show(NO_FILTERS, false);
    await asked[0]!.answer(first);
    return library;
  }

  it("keeps what was told while it was looked at again: the answer is from before", async () => {
    const library = await shown(pageOf(["5", "4", "3", "2", "1"]));
    library.reloadSoon();
    await soon();
    tell(({ changed }) => changed!(doc("6")));
    tell(({ changed }) => changed!(doc("2", { title: "new", updated_at: "2026-01-01T00:00:01Z" })));
    tell(({ removed }) => removed!("1"));
    await asked[1]!.answer(pageOf(["5", "4", "3", "2", "1"]));
    expect([ids(), library.total]).toEqual([["6", "5", "4", "3", "2"], 5]);
    expect(library.items.at(-1)).toMatchObject({ title: "new" });
    await soon();
    await asked[2]!.answer(pageOf(["6", "5", "4", "3", "2"]));
    expect(ids()).toEqual(["6", "5", "4", "3", "2"]);
  });

  it("says of as many as are counted that there are so many or more", async () => {
    const library = await shown(pageOf(["1"], { facets: { content_types: [{ documents: COUNTED }] } }));
    expect([library.total, library.areMany]).toEqual([null, true]);
    library.selectAll();
    expect(library.selected).toBeNull();
    expect(await library.chosenIds()).toBeNull();
  });

  it("comes although news come faster than the server responds", async () => {
    const library = await shown(pageOf(["1"]));
    for (let second = 0; second < 5; second++) {
      tell(({ changed }) => changed!(doc("1")));
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(asked).toHaveLength(2);
    expect(asked[1]!.signal.aborted).toBe(false);
    await asked[1]!.answer(pageOf(["2", "1"]));
    expect(library.total).toBe(2);
  });

  it("is asked for anew if an answer does not come at all", async () => {
    await shown(pageOf(["1"]));
    tell(({ missed }) => missed!());
    await vi.advanceTimersByTimeAsync(21_000);
    tell(({ missed }) => missed!());
    await soon();
    expect(asked).toHaveLength(3);
    expect(asked[1]!.signal.aborted).toBe(true);
  });

  it("is not set back by news that are older than it", async () => {
    await shown(pageOf(["1"], { items: [doc("1", { title: "new", updated_at: "2026-01-01T00:00:09Z" })] }));
    tell(({ changed }) => changed!(doc("1", { title: "old", trashed_at: "2026-01-01T00:00:00Z" })));
    expect(useLibrary().items).toMatchObject([{ title: "new" }]);
    await soon();
    expect(asked).toHaveLength(2); // the server knows
  });

  it("does not mix what two filters choose", async () => {
    const many = Array.from({ length: 100 }, (_, number) => String(999 - number));
    const library = await shown(pageOf(many, { next_cursor: "a" }));
    void library.loadMore();
    await asked[1]!.answer(pageOf(Array.from({ length: 150 }, (_, number) => String(799 - number)), { next_cursor: "b" }));
    expect(library.items).toHaveLength(250);
    void library.show({ ...NO_FILTERS, q: "bees" }, false);
    void library.loadMore(); // its cursor is the other one's
    expect(asked.at(-1)!.query).toMatchObject({ q: "bees" });
    expect(asked.at(-1)!.query.cursor).toBeUndefined();
    tell(({ changed }) => changed!(doc("999")));
    await soon();
    await asked.at(-1)!.answer(pageOf(["1"]));
    expect(ids()).toEqual(["1"]);
  });

  it("leaves nothing out between what was looked at again and what follows", async () => {
    const names = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, number) => String(from - number));
    const library = await shown(pageOf(names(950, 851), { next_cursor: "a" }));
    void library.loadMore();
    await asked[1]!.answer(pageOf(names(850, 701)));
    tell(({ missed }) => missed!());
    await soon();
    expect(asked[2]!.query.limit).toBe(200);
    await asked[2]!.answer(pageOf(names(952, 753), { next_cursor: "b" })); // two came before them
    expect(ids()).toEqual(names(952, 701));
  });

  it("shows what was asked for last, in whatever order the answers come", async () => {
    vi.mocked(api.get).mockRestore();
    const answers: ((page: object) => void)[] = [];
    vi.spyOn(api, "get").mockImplementation((() => new Promise((resolve) => answers.push(resolve))) as never); // deaf to its signal
    const library = useLibrary();
    void library.show({ ...NO_FILTERS, q: "b" }, false);
    void library.show({ ...NO_FILTERS, q: "bees" }, false);
    answers[1]!(pageOf(["2"]));
    await vi.advanceTimersByTimeAsync(0);
    answers[0]!(pageOf(["1"]));
    await vi.advanceTimersByTimeAsync(0);
    expect(ids()).toEqual(["2"]);
    library.clear();
    void library.show(NO_FILTERS, false);
    library.clear();
    answers[2]!(pageOf(["3"]));
    await vi.advanceTimersByTimeAsync(0);
    expect(ids()).toEqual([]); // somebody signed out meanwhile
  });

  it("goes on with the next page that looking again cut off", async () => {
    const library = await shown(pageOf(["3", "2"], { next_cursor: "a" }));
    void library.loadMore();
    tell(({ missed }) => missed!());
    await soon();
    expect(asked[1]!.signal.aborted).toBe(true);
    await asked[2]!.answer(pageOf(["3", "2"], { next_cursor: "b" }));
    expect(asked[3]!.query.cursor).toBe("b");
    await asked[3]!.answer(pageOf(["1"]));
    expect(ids()).toEqual(["3", "2", "1"]);
    expect(library.hasMore).toBe(false);
  });

  it("puts no document at the end whose place is on a page that is not here yet", async () => {
    await shown(pageOf(["9", "8"], { next_cursor: "a" }));
    tell(({ changed }) => changed!(doc("1")));
    expect(ids()).toEqual(["9", "8"]);
  });

  it("sorts as the server does what was added within a millisecond", async () => {
    await shown(pageOf([], { items: [doc("a", { created_at: "2026-01-01T00:00:00.000900Z" }), doc("z", { created_at: "2026-01-01T00:00:00Z" })] }));
    tell(({ changed }) => changed!(doc("b", { created_at: "2026-01-01T00:00:00.000100Z" })));
    expect(ids()).toEqual(["a", "b", "z"]);
  });

  it("is looked at again when that failed, and when the server is back", async () => {
    const library = await shown(pageOf(["1"]));
    tell(({ missed }) => missed!());
    await soon();
    await asked[1]!.fail(new UnreachableError());
    expect(library.state).toBe("ready");
    await vi.advanceTimersByTimeAsync(3100);
    expect(asked).toHaveLength(3);
    void library.show({ ...NO_FILTERS, q: "bees" }, false);
    await asked[3]!.fail(new UnreachableError());
    expect(library.state).toBe("failed");
    tell(({ missed }) => missed!());
    await soon();
    await asked[4]!.answer(pageOf(["1"]));
    expect(library.state).toBe("ready");
  });

  it("selects nothing that is gone", async () => {
    const library = await shown(pageOf(["3", "2", "1"]));
    library.select("3", true);
    library.select("1", true, true);
    tell(({ removed }) => removed!("2"));
    expect(library.selected).toBe(2);
    library.selectAll();
    library.select("1", false);
    tell(({ removed }) => removed!("1"));
    expect(library.selected).toBe(1);
  });
});
