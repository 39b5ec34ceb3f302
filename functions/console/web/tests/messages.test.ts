import { describe, expect, it } from "vitest";
import { de } from "@/i18n/de";
import { en } from "@/i18n/en";
import { languageFor } from "@/i18n";
import { admin } from "@/i18n/admin";
import { more } from "@/i18n/more";
import { settings } from "@/i18n/settings";
import { sharing } from "@/i18n/sharing";
import { triage } from "@/i18n/triage";
import { viewer } from "@/i18n/viewer";
import { preview } from "@/i18n/preview";
import { sideBySide } from "@/i18n/side_by_side";
import { aiPreview } from "@/i18n/ai_preview";
import { merging } from "@/i18n/merging";
import { moving } from "@/i18n/moving";
import { sharedFiles } from "@/i18n/shared_files";

function flat(messages: object, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(messages).flatMap(([name, value]: [string, unknown]) =>
      typeof value === "string" ? [[`${prefix}${name}`, value] as const] : [...flat(value as object, `${prefix}${name}.`)],
    ),
  );
}

/** All of it, those of the screens that load later, too. */
const ENGLISH = { ...en, ...settings.en, ...admin.en, ...sharing.en, ...triage.en, ...viewer.en, ...more.en, ...preview.en, ...sideBySide.en, ...moving.en, ...merging.en, ...aiPreview.en,...sharedFiles.en };
const GERMAN = { ...de, ...settings.de, ...admin.de, ...sharing.de, ...triage.de, ...viewer.de, ...more.de, ...preview.de, ...sideBySide.de, ...moving.de, ...merging.de, ...aiPreview.de,...sharedFiles.de };

const SAME = new Set(["settings.storage.kinds.nextcloud", "settings.storage.kinds.webdav", "settings.storage.kinds.google_drive", "settings.storage.kinds.onedrive", "common.name", "topics.name", "facts.version", "document.text", "filters.title", "search.kind.filter", "secondFactor.code", "uploads.speed", "uploads.state.done"]);

describe("German", () => {
  it("says all that English says, with the same parts", () => {
    const [english, german] = [flat(ENGLISH), flat(GERMAN)];
    expect([...german.keys()].sort()).toEqual([...english.keys()].sort());
    for (const [key, text] of english) {
      const parts = (one: string) => [...new Set(one.match(/\{\w+\}/g) ?? [])].sort();
      expect([key, parts(german.get(key)!), german.get(key)!.split("|").length]).toEqual([key, parts(text), text.split("|").length]);
    }
  });

  it("is not English", () => {
    const english = flat(ENGLISH);
    const untranslated = [...flat(GERMAN)].filter(([key, text]) => text === english.get(key) && !SAME.has(key)).map(([key]) => key);
    expect(untranslated).toEqual([]);
  });

  it("is shown to whom it is for", () => {
    expect([languageFor("", ["de-AT", "en"]), languageFor("", ["fr"]), languageFor("en", ["de"])]).toEqual(["de", "en", "en"]);
  });
});
