import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { handleKey, keepKeys, replayKeys, shortcuts, takeKeys } from "@/keyboard";

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

it("leaves the browser's own keys alone", () => {
  keepKeys();
  expect([press("F5"), press("Tab"), press("ArrowDown")]).toEqual([false, false, true]);
  expect(takeKeys()).toEqual(["ArrowDown"]);
});

it("gives what was pressed to what has the focus by then, as typed there", () => {
  document.body.innerHTML = '<form><input type="text" value="A"></form><button>Go</button>';
  const [field, button, submitted, clicked] = [document.querySelector("input")!, document.querySelector("button")!, vi.fn(), vi.fn()];
  document.querySelector("form")!.requestSubmit = submitted;
  button.addEventListener("click", clicked);
  keepKeys();
  for (const key of ["t", "u", "Backspace", "t", "i", "c", "Enter"]) press(key);
  field.focus();
  replayKeys();
  expect([field.value, submitted.mock.calls.length]).toEqual(["Attic", 1]);
  keepKeys();
  press("Enter");
  button.focus();
  replayKeys();
  expect(clicked).toHaveBeenCalledOnce();
});

it("gives what was pressed for a dialog to the dialog, though a screen came meanwhile", () => {
  keepKeys("screen");
  press("a");
  keepKeys();
  press("b");
  replayKeys("screen");
  expect(takeKeys()).toEqual(["a", "b"]);
});
