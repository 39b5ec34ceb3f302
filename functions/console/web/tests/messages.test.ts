import { describe, expect, it } from "vitest";
import { de } from "@/i18n/de";
import { en } from "@/i18n/en";
import { languageFor } from "@/i18n";

function flat(messages: object, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(messages).flatMap(([name, value]: [string, unknown]) =>
      typeof value === "string" ? [[`${prefix}${name}`, value] as const] : [...flat(value as object, `${prefix}${name}.`)],
    ),
  );
}

const SAME = new Set(["common.name", "topics.name", "facts.version", "document.text", "filters.title", "search.kind.filter", "secondFactor.code", "uploads.speed", "uploads.state.done"]);

describe("German", () => {
  it("says all that English says, with the same parts", () => {
    const [english, german] = [flat(en), flat(de)];
    expect([...german.keys()].sort()).toEqual([...english.keys()].sort());
    for (const [key, text] of english) {
      const parts = (one: string) => [...new Set(one.match(/\{\w+\}/g) ?? [])].sort();
      expect([key, parts(german.get(key)!), german.get(key)!.split("|").length]).toEqual([key, parts(text), text.split("|").length]);
    }
  });

  it("is not English", () => {
    const english = flat(en);
    const untranslated = [...flat(de)].filter(([key, text]) => text === english.get(key) && !SAME.has(key)).map(([key]) => key);
    expect(untranslated).toEqual([]);
  });

  it("is shown to whom it is for", () => {
    expect([languageFor("", ["de-AT", "en"]), languageFor("", ["fr"]), languageFor("en", ["de"])]).toEqual(["de", "en", "en"]);
  });
});
