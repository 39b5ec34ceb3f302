import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { NO_FILTERS } from "@/library/filters";
import { useLibrary } from "@/stores/library";
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
