// English comes with the first load; another language when it is chosen.
import { createI18n } from "vue-i18n";
import { en } from "./en";

export type Messages = typeof en;
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

export const i18n = createI18n({
  legacy: false,
  locale: "en",
  fallbackLocale: "en",
  messages: { en },
  missingWarn: false,
  fallbackWarn: false,
});

const LOADERS: Record<Exclude<Language, "en">, () => Promise<unknown>> = {
  de: async () => (await import("./de")).de,
};

/** The language to show: the chosen one, or the first of the browser's that there is. */
export function languageFor(chosen: string, browsers: readonly string[] = navigator.languages): Language {
  if (chosen in LANGUAGES) return chosen as Language;
  for (const one of browsers) {
    const base = one.toLowerCase().split("-")[0]!;
    if (base in LANGUAGES) return base as Language;
  }
  return "en";
}

const further: Record<Language, object>[] = [];

/** Adds the messages of screens that load later, in all languages at once: they are a few kilobytes. */
export function addMessages(messages: Record<Language, object>): void {
  if (further.includes(messages)) return;
  further.push(messages);
  for (const language of i18n.global.availableLocales as Language[]) i18n.global.mergeLocaleMessage(language, messages[language]);
}

/** Loads the language and switches to it. */
export async function showLanguage(language: Language): Promise<void> {
  const global = i18n.global;
  if (language !== "en" && !(global.availableLocales as string[]).includes(language)) {
    global.setLocaleMessage(language as "en", (await LOADERS[language]()) as Messages);
    for (const messages of further) global.mergeLocaleMessage(language, messages[language]);
  }
  global.locale.value = language as "en";
  document.documentElement.lang = language;
}
