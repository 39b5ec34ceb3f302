// Short words at the edge: what was done, and how to take it back. They wait while the pointer or the focus is on them.
import { defineStore } from "pinia";
import { ref } from "vue";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "error";
  undo?: () => void | Promise<void>;
  action?: { label: string; run: () => void };
}

const SECONDS = 8;
const SECONDS_WITH_UNDO = 12;

export const useToasts = defineStore("toasts", () => {
  const toasts = ref<Toast[]>([]);
  const timers = new Map<number, ReturnType<typeof setTimeout>>();
  let next = 1;
  let underWay: Promise<unknown> = Promise.resolve();

  function say(text: string, more: Partial<Omit<Toast, "id" | "text">> = {}): number {
    if (text === "") return 0;
    const toast: Toast = { id: next++, text, tone: "plain", ...more };
    toasts.value = [...toasts.value.slice(-2), toast];
    wait(toast.id);
    return toast.id;
  }

  function dismiss(id: number): void {
    hold(id);
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
  }

  function hold(id: number): void {
    clearTimeout(timers.get(id));
    timers.delete(id);
  }

  function wait(id: number): void {
    hold(id);
    const toast = toasts.value.find((one) => one.id === id);
    const seconds = toast?.undo || toast?.action ? SECONDS_WITH_UNDO : SECONDS;
    timers.set(id, setTimeout(() => dismiss(id), seconds * 1000));
  }

  /** Something is being done that can be taken back once it is: who is fast with Ctrl+Z means this, and not what was before it. */
  function during(work: Promise<void>): Promise<void> {
    underWay = Promise.allSettled([underWay, work]);
    return work;
  }

  /** Takes back what was done last, as Ctrl+Z does; false if there is nothing to take back. */
  async function undoLast(): Promise<boolean> {
    await underWay;
    const last = [...toasts.value].reverse().find((toast) => toast.undo);
    if (!last?.undo) return false;
    dismiss(last.id);
    await last.undo();
    return true;
  }

  /** What is to be taken back is not to be taken back by somebody else. */
  function clear(): void {
    for (const { id } of toasts.value) dismiss(id);
    underWay = Promise.resolve();
  }

  return { toasts, say, dismiss, hold, wait, during, undoLast, clear };
});
