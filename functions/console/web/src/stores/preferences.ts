// How this browser likes it: theme, language, list or grid. Nothing of it is secret, so it stays in localStorage.
import { defineStore } from "pinia";
import { reactive, toRefs, watch } from "vue";

export type Theme = "system" | "light" | "dark";

export interface Preferences {
  theme: Theme;
  /** Empty: the browser's. */
  language: string;
  layout: "list" | "grid";
  filtersOpen: boolean;
}

const KEY = "docuvault-preferences";
const USUAL: Preferences = { theme: "system", language: "", layout: "list", filtersOpen: false };

export function readPreferences(): Preferences {
  try {
    return { ...USUAL, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return { ...USUAL }; // storage is switched off, or holds something else
  }
}

export function showTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export const usePreferences = defineStore("preferences", () => {
  const chosen = reactive(readPreferences());
  watch(
    chosen,
    () => {
      showTheme(chosen.theme);
      try {
        localStorage.setItem(KEY, JSON.stringify(chosen));
      } catch {
        // it holds until the tab is closed
      }
    },
    { deep: true },
  );
  return { ...toRefs(chosen) };
});
