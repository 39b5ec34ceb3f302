import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { handleKey, keepKeys, shortcuts, takeKeys } from "@/keyboard";

const run = vi.fn();
const press = (key: string, more: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent("keydown", { key, cancelable: true, ...more });
  handleKey(event);
  return event.defaultPrevented;
};

beforeEach(() => {
  run.mockReset();
  shortcuts.push({ keys: "x", label: "x", group: "library", run });
});
afterEach(() => {
  shortcuts.length = 0;
  takeKeys();
  vi.useRealTimers();
});

it("keeps what is typed for something that is still loading, and commands nothing by it", () => {
  keepKeys();
  expect([press("x"), press("Enter"), press("k", { ctrlKey: true })]).toEqual([true, true, false]);
  expect(run).not.toHaveBeenCalled();
  expect(takeKeys()).toEqual(["x", "Enter"]);
  press("x");
  expect([run.mock.calls.length, takeKeys()]).toEqual([1, []]);
});

it("does not wait for ever for what does not load", () => {
  vi.useFakeTimers();
  keepKeys();
  vi.advanceTimersByTime(10_001);
  press("x");
  expect(run).toHaveBeenCalledOnce();
});
