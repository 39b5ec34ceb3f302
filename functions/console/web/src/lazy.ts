// What is loaded when it is first used. A key that is pressed meanwhile is for what is awaited; if its code does not come, that is said, and
// nothing waits any longer.
import { type Component, defineAsyncComponent } from "vue";
import { i18n } from "./i18n";
import { keepKeys, takeKeys } from "./keyboard";
import { useToasts } from "./stores/toasts";

type Load<T> = () => Promise<T>;

const AGAIN_MILLISECONDS = 3000;

/** A part of a screen; the screen lives without it until it comes. */
export function lazy<T extends Component>(load: Load<{ default: T }>): T {
  return defineAsyncComponent<T>({
    loader: load,
    onError: (_error, retry, _fail, attempts) => {
      if (attempts === 1) tell();
      setTimeout(retry, AGAIN_MILLISECONDS);
    },
  });
}

/** Something that is opened, and takes the keys. `close` is called if it does not come, so that it can be opened again. */
export function lazyDialog<T extends Component>(load: Load<{ default: T }>, close: () => void): T {
  return defineAsyncComponent<T>({
    loader: () => {
      keepKeys();
      return load();
    },
    onError: (_error, _retry, fail) => {
      takeKeys();
      tell();
      close();
      fail();
    },
  });
}

/** What `load` brings; undefined if it does not come, which is said. Who calls gives the keys on by `replayKeys`. */
export async function waited<T>(load: Load<T>): Promise<T | undefined> {
  keepKeys();
  try {
    return await load();
  } catch {
    takeKeys();
    tell();
    return undefined;
  }
}

/** It may also be of an older version, whose files are gone. */
export function tell(): void {
  const { t } = i18n.global;
  useToasts().say(t("shell.partMissing"), { tone: "error", action: { label: t("shell.reload"), run: () => location.reload() } });
}
