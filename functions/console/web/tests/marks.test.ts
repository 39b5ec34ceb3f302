import { describe, expect, it } from "vitest";
import { soughtWords } from "@/library/highlight";
import { markElements, placedHits, type PlacedWord } from "@/viewer/marks";

const words = ["The", "fee", "is", "45", "euros,", "as", "agreed."].map((text, index): PlacedWord => ({ text, x: index * 10, y: 0, w: 8, h: 10 }));
const texts = (hits: PlacedWord[]) => hits.map((hit) => hit.text);

describe("marks", () => {
  it("looks for words and phrases, not for filters and what is excluded", () => {
    expect(soughtWords('invoi* -draft "due date" or topic:Taxes before:2024 -"not this"')).toEqual(["invoi", "due date"]);
  });

  it("finds words on a scan, whatever stands around them", () => {
    expect(texts(placedHits(words, ["EURO", "fee"]))).toEqual(["euros,", "fee"]);
  });

  it("finds a quote on a scan word by word, in its order", () => {
    expect(texts(placedHits(words, ["45 euros, as"]))).toEqual(["45", "euros,", "as"]);
    expect(placedHits(words, ["euros 45"])).toEqual([]);
    expect(placedHits(words, ["—"])).toEqual([]);
  });

  it("marks text without making anything else of it, and takes marks away again", () => {
    const element = document.createElement("span");
    element.textContent = "<b>fee</b>";
    expect(markElements([element], ["fee"])).toBe(1);
    expect(element.innerHTML).toBe("&lt;b&gt;<mark>fee</mark>&lt;/b&gt;");
    expect(markElements([element], [])).toBe(0);
    expect(element.innerHTML).toBe("&lt;b&gt;fee&lt;/b&gt;");
  });
});
