import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createApp, defineComponent, h, nextTick, ref } from "vue";
import { handleKey, keepKeys, takeKeys } from "@/keyboard";
import { lazy, lazyDialog, waited } from "@/lazy";
import { useToasts } from "@/stores/toasts";

const Part = defineComponent({ render: () => h("p", "here") });
const press = (key: string) => handleKey(new KeyboardEvent("keydown", { key, cancelable: true }));
const show = (part: object) => {
  const app = createApp(part);
  app.config.errorHandler = () => undefined;
  const root = document.createElement("div");
  app.mount(root);
  return root;
};

beforeEach(() => setActivePinia(createPinia()));
afterEach(() => {
  takeKeys();
  vi.useRealTimers();
});

it("shows a part although it did not come at first, and says so once", async () => {
  vi.useFakeTimers();
  let tries = 0;
  const root = show(lazy(async () => (++tries < 3 ? Promise.reject(new TypeError("Failed to fetch")) : { __esModule: true, default: Part })));
  await vi.advanceTimersByTimeAsync(10_000);
  expect([tries, root.textContent, useToasts().toasts.length]).toEqual([3, "here", 1]);
});

it("keeps the keys for a dialog that loads, and gives them up if it does not come, so that it can be opened again", async () => {
  const open = ref(true);
  let refuse = (_error: Error) => {};
  const Dialog = lazyDialog(() => new Promise<{ default: typeof Part }>((_, reject) => (refuse = reject)), () => (open.value = false));
  show({ render: () => (open.value ? h(Dialog) : null) });
  press("a");
  refuse(new TypeError("Failed to fetch"));
  await new Promise((resolve) => setTimeout(resolve));
  await nextTick();
  expect([open.value, takeKeys(), useToasts().toasts.map((toast) => toast.tone)]).toEqual([false, [], ["error"]]);
});

it("waits for code with the keys kept, and without it says so", async () => {
  let come = (_value: string) => {};
  const coming = waited(() => new Promise<string>((resolve) => (come = resolve)));
  press("j");
  come("code");
  expect([await coming, takeKeys()]).toEqual(["code", ["j"]]);
  keepKeys();
  expect(await waited(() => Promise.reject(new TypeError("Failed to fetch")))).toBeUndefined();
  expect(useToasts().toasts).toHaveLength(1);
});
