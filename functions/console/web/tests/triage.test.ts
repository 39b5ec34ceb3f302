import { beforeEach, describe, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { ASKED_AT_ONCE, passedOver, useQueue } from "@/triage/queue";

const document = (number: number, topics: object[]) => ({ id: `d${number}`, updated_at: "1", status: "ready", topics });

function vault(documents: object[]): string[] {
  const asked: string[] = [];
  vi.spyOn(api, "get").mockImplementation((async (path: string, options: { query: { cursor?: string }; path?: { document_id: string } }) => {
    if (path !== "/api/documents") {
      asked.push(options.path!.document_id);
      return { items: [], next_cursor: null };
    }
    const from = Number(options.query.cursor ?? 0);
    return { items: documents.slice(from, from + 50), next_cursor: from + 50 < documents.length ? String(from + 50) : null };
  }) as never);
  return asked;
}

beforeEach(() => {
  localStorage.clear();
  vi.restoreAllMocks();
});

describe("triage", () => {
  it("shows what is under no topic, and not again what was passed over", async () => {
    vault([document(1, [{}]), document(2, []), document(3, [])]);
    const queue = useQueue();
    await queue.restart(false);
    expect(queue.shown.value.map((one) => one.document.id)).toEqual(["d2", "d3"]);
    await queue.next();
    const later = useQueue();
    await later.restart(false);
    expect(later.shown.value.map((one) => one.document.id)).toEqual(["d3"]);
    await later.restart(true);
    expect(later.shown.value.map((one) => one.document.id)).toEqual(["d2", "d3"]);
  });

  it("asks about so many documents and no more before somebody says so", async () => {
    const asked = vault([...Array.from({ length: ASKED_AT_ONCE + 20 }, (_, number) => document(number, [{}])), document(999, [])]);
    const queue = useQueue();
    await queue.restart(false);
    expect([queue.shown.value.length, queue.paused.value, new Set(asked).size]).toEqual([0, true, ASKED_AT_ONCE]);
    await queue.lookFurther();
    expect(queue.shown.value.map((one) => one.document.id)).toEqual(["d999"]);
  });

  it("asks again about a document when that failed, and mixes no two looks", async () => {
    vault([document(1, []), document(2, [])]);
    const queue = useQueue();
    const answers = vi.mocked(api.get).getMockImplementation()!;
    let away = true;
    vi.mocked(api.get).mockImplementation((async (path: never, options: never) => {
      if (away && path !== "/api/documents") throw new Error("away");
      return await answers(path, options);
    }) as never);
    await expect(queue.restart(false)).rejects.toThrow("away");
    away = false;
    await queue.fill();
    expect(queue.shown.value.map((one) => one.document.id)).toEqual(["d1", "d2"]);
    await Promise.all([queue.restart(false), queue.restart(false)]);
    expect(queue.shown.value.map((one) => one.document.id)).toEqual(["d1", "d2"]);
  });

  it("remembers a bounded number, and minds no broken storage", () => {
    const kept = new Map<string, string>();
    const open = () => passedOver({ getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) });
    const has = (number: number, updated_at = "1") => open().has({ id: `d${number}`, updated_at });
    kept.set("docuvault-triage-passed", "no json");
    expect(has(0)).toBe(false);
    kept.set("docuvault-triage-passed", JSON.stringify(Object.fromEntries(Array.from({ length: 2000 }, (_, number) => [`d${number}`, "1"]))));
    open().add({ id: "d2000", updated_at: "1" });
    expect([has(0), has(1), has(2000), has(2000, "2")]).toEqual([false, true, true, false]);
  });
});
