// The keyboard: one place that knows what each key does, so that help can show it. Screens add theirs while they are shown.
import { onScopeDispose, shallowReactive } from "vue";

export interface Shortcut {
  /** "g l" are two keys one after the other; "mod+k" is Ctrl, or Command on a Mac. */
  keys: string;
  /** Key of the message that says what it does. */
  label: string;
  group: "everywhere" | "library" | "document" | "triage";
  run: (event: KeyboardEvent) => void;
  /** Also while typing. */
  whileTyping?: boolean;
  /** Not in the help: another key for the same. */
  hidden?: boolean;
}

export const shortcuts = shallowReactive<Shortcut[]>([]);

/** Adds shortcuts until the component that calls is gone; later ones win. */
export function useShortcuts(added: Shortcut[]): void {
  shortcuts.push(...added);
  onScopeDispose(() => {
    for (const shortcut of added) shortcuts.splice(shortcuts.indexOf(shortcut), 1);
  });
}

export const isMac = typeof navigator !== "undefined" && /Mac|iP(hone|ad)/.test(navigator.platform);

/** Not F5, and not Tab: those are the browser's. */
const KEEPABLE = /^(.|Enter|Escape|Backspace|Delete|Home|End|Arrow\w+|Page\w+)$/u;
const KEPT_MILLISECONDS = 10_000;
let kept: string[] = [];
let keptUntil = 0;
let keptFor = "";

/** What is typed from now on is for something that is still being loaded, and gets it by `replayKeys`; else it would be lost, or command something. */
export function keepKeys(what = "part"): void {
  if (Date.now() >= keptUntil) kept = [];
  keptUntil = Date.now() + KEPT_MILLISECONDS;
  keptFor = what;
}

/** The keys pressed since `keepKeys`, as events name them. */
export function takeKeys(): string[] {
  const taken = kept;
  kept = [];
  keptUntil = 0;
  return taken;
}

/** Gives the keys pressed since `keepKeys` to what has the focus now, as if they were pressed there; not if they are for something else by now. */
export function replayKeys(what = keptFor): void {
  if (what !== keptFor) return;
  for (const key of takeKeys()) press(key);
}

/** A browser does by itself only what a person presses: so the letters, and what Enter does, are done here. */
function press(key: string): void {
  const target = document.activeElement ?? document.body;
  if (!target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }))) return;
  if (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement) {
    if (key === "Enter" || (key === " " && target instanceof HTMLButtonElement)) target.click();
  } else if ((target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) && isTyping(target)) {
    if (key === "Enter" && target instanceof HTMLInputElement) return target.form?.requestSubmit();
    if (key === "Backspace") target.value = target.value.slice(0, -1);
    else if (key.length === 1) target.value += key;
    else return;
    target.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
}

const SEQUENCE_MILLISECONDS = 2500;
/** Not all hands are fast, nor all machines. */
let first = "";
let firstAt = 0;

/** Whether keys are letters there, and not commands. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "file", "range"].includes(target.type);
}

/** Whether the space bar presses what has the focus. */
function isPressed(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('button, input, select, summary, [role="button"], [role="tab"], [role="option"]') !== null;
}

function nameOf(event: KeyboardEvent): string {
  const mod = event.ctrlKey || event.metaKey;
  const key = event.key === " " ? "space" : event.key.length === 1 ? event.key.toLowerCase() : event.key.toLowerCase();
  const shifted = event.shiftKey && (event.key.length > 1 || mod);
  return `${mod ? "mod+" : ""}${event.altKey ? "alt+" : ""}${shifted ? "shift+" : ""}${key}`;
}

export function handleKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || ["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
  if (Date.now() < keptUntil && KEEPABLE.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
    if (!event.repeat) kept.push(event.key);
    event.preventDefault();
    return;
  }
  const typing = isTyping(event.target);
  const inDialog = document.querySelector('[role="dialog"], [role="alertdialog"], [role="menu"]') !== null;
  const name = nameOf(event);
  if (name === "space" && isPressed(event.target)) return;
  const both = first && event.timeStamp - firstAt < SEQUENCE_MILLISECONDS ? `${first} ${name}` : "";
  first = "";
  const fits = (keys: string) =>
    [...shortcuts].reverse().find((shortcut) => shortcut.keys === keys && (shortcut.whileTyping || (!typing && !inDialog)));
  const found = (both && fits(both)) || fits(name);
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (!typing && shortcuts.some((shortcut) => shortcut.keys.startsWith(`${name} `))) {
    first = name;
    firstAt = event.timeStamp;
  }
}

/** The keys as a keyboard shows them. */
export function keyCaps(keys: string): string[] {
  return keys.split(" ").flatMap((key) =>
    key.split("+").map((part) => {
      const names: Record<string, string> = {
        mod: isMac ? "⌘" : "Ctrl",
        shift: "⇧",
        alt: isMac ? "⌥" : "Alt",
        arrowup: "↑",
        arrowdown: "↓",
        arrowleft: "←",
        arrowright: "→",
        space: "␣",
        escape: "Esc",
        enter: "↵",
        delete: "Del",
      };
      return names[part] ?? (part.length === 1 ? part.toUpperCase() : part);
    }),
  );
}
