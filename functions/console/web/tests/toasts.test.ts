import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { explain } from "@/i18n/explain";
import { useToasts } from "@/stores/toasts";

beforeEach(() => setActivePinia(createPinia()));

it("takes back what is still being done when it is done, and not what was before it", async () => {
  const toasts = useToasts();
  const [before, now] = [vi.fn(), vi.fn()];
  toasts.say("before", { undo: before });
  let end = () => {};
  void toasts.during(new Promise<void>((resolve) => (end = resolve)).then(() => void toasts.say("done", { undo: now })));
  const undone = toasts.undoLast();
  await Promise.resolve();
  expect(before).not.toHaveBeenCalled();
  end();
  expect(await undone).toBe(true);
  expect([now.mock.calls.length, before.mock.calls.length]).toEqual([1, 0]);
});

it("says nothing of what was asked for by somebody who has left", () => {
  const toasts = useToasts();
  toasts.say(explain(new DOMException("", "AbortError")), { tone: "error" });
  expect(toasts.toasts).toEqual([]);
});

it("takes back what was done last although what was tried since failed", async () => {
  const toasts = useToasts();
  const undo = vi.fn();
  toasts.say("before", { undo });
  await toasts.during(Promise.reject(new Error("refused"))).catch(() => undefined);
  expect(await toasts.undoLast()).toBe(true);
  expect(undo).toHaveBeenCalledOnce();
});

it("leaves nothing to take back for whoever comes next", async () => {
  const toasts = useToasts();
  const undo = vi.fn();
  toasts.say("deleted", { undo });
  toasts.clear();
  expect([toasts.toasts, await toasts.undoLast(), undo.mock.calls]).toEqual([[], false, []]);
});
