import { describe, expect, it } from "vitest";
import { finished, dayOf, fromRoute, fromView, isHalf, NO_FILTERS, takeTyped, toQuery, toRoute, unfinished } from "@/library/filters";
import { highlighted } from "@/library/highlight";
import { count, isSelected, NOTHING, range, set } from "@/library/selection";
import { aroundTheMark, pieces } from "@/library/snippets";

const TOPICS = [{ id: "t1", name: "Invoices" }, { id: "t2", name: "Car insurance" }];

describe("what is typed", () => {
  it("becomes filters, and the rest stays words", () => {
    const found = takeTyped('rent topic:"Car insurance" after:2024 type:pdf lang:DE', NO_FILTERS, TOPICS, [], true);
    expect(found).toMatchObject({ q: "rent", topics: ["t2"], issuedAfter: "2024-01-01", types: ["application/pdf"], languages: ["de"] });
  });

  it("is left alone while it is being typed", () => {
    expect(takeTyped("after:202", NO_FILTERS, [], [], false).q).toBe("after:202");
    expect(takeTyped("type:pdf", NO_FILTERS, [], [], false)).toMatchObject({ q: "type:pdf", types: [] });
    expect(takeTyped("type:pdf ", NO_FILTERS, [], [], false)).toMatchObject({ q: "", types: ["application/pdf"] });
  });

  it("is not searched for while it is half a filter, which the server refuses", () => {
    const half = (text: string) => isHalf(text, TOPICS, [{ id: "s1", name: "Ada" }]);
    for (const text of ["type:", "type:mar", "rent type:mar", 'topic:"Car insurance', "topic:Car", "sender:ad", "after:202", "before:2024-13", "in:tra", "TYPE:x"])
      expect([text, half(text)]).toEqual([text, true]);
    for (const text of ["", "rent", "type:markdown", "type:mar ", 'topic:"Car insurance"', "sender:Ada", "after:2024", "in:trash", "http://x", "xtype:mar", "lang:d"])
      expect([text, half(text)]).toEqual([text, false]);
  });

  it("that names nothing stays a word", () => {
    expect(takeTyped("topic:nothing http://x.example", NO_FILTERS, TOPICS, [], true).q).toBe("topic:nothing http://x.example");
  });
});

describe("a day", () => {
  it("is read as far as it is given", () => {
    expect([dayOf("2024"), dayOf("2024-7"), dayOf("2024-07-15"), dayOf("2024-02-31"), dayOf("soon")]).toEqual(["2024-01-01", "2024-07-01", "2024-07-15", null, null]);
    expect([dayOf("2024", true), dayOf("2024-12", true), dayOf("2024-12-31", true)]).toEqual(["2025-01-01", "2025-01-01", "2025-01-01"]);
  });
});

describe("filters", () => {
  it("survive an address and a saved view", () => {
    const filters = { ...NO_FILTERS, q: "a b", topics: ["1", "2"], types: ["application/pdf"], issuedBefore: "2024-01-01", sort: "filename" };
    expect(fromRoute(toRoute(filters))).toEqual(filters);
    expect(fromView(toQuery(filters, false))).toEqual(filters);
  });

  it("that are not there are not asked for", () => {
    expect(toQuery(NO_FILTERS, false)).toEqual({});
    expect(toQuery(NO_FILTERS, true)).toEqual({ trashed: true });
  });
});

describe("a selection", () => {
  it("of all knows its exceptions", () => {
    const all = set({ all: true, except: new Set() }, ["a", "b"], false);
    expect([isSelected(all, "a"), isSelected(all, "c"), count(all, 10), count(all, null)]).toEqual([false, true, 8, null]);
    expect(count(set(all, ["a"], true), 10)).toBe(9);
  });

  it("of a range goes either way", () => {
    const list = ["a", "b", "c", "d"].map((id) => ({ id }));
    expect(range(list, "c", "a")).toEqual(["a", "b", "c"]);
    expect(range(list, "gone", "b")).toEqual(["b"]);
    expect(count(set(NOTHING, range(list, "b", "d"), true), 4)).toBe(3);
  });
});

describe("a snippet", () => {
  it("is text, whatever it holds", () => {
    expect(pieces("&lt;b&gt; a <mark>R&amp;B</mark> <img src=x>")).toEqual([
      { text: "<b> a ", marked: false },
      { text: "R&B", marked: true },
      { text: " <img src=x>", marked: false },
    ]);
  });
});

describe("marks in a text", () => {
  const marked = (text: string, ...words: string[]) => highlighted(text, words).filter((piece) => piece.marked).map((piece) => piece.text);

  it("heed neither case nor accents, and begin where a word does", () => {
    expect(marked("Kündigung, unkündbar, KUNDIGUNGEN", "kundigung")).toEqual(["Kündigung", "KUNDIGUNGEN"]);
  });

  it("find a phrase over the end of a line", () => {
    expect(marked("the notice\nperiod ends", "notice period")).toEqual(["notice\nperiod"]);
  });

  it("lose nothing of the text", () => {
    const text = "aİb ﬁn 😀 x. (a+b)";
    expect(highlighted(text, ["b", "(a+b)"]).map((piece) => piece.text).join("")).toBe(text);
  });
});

it("asks for what a word that is being typed begins, and knows what was typed", () => {
  const half = ["harb", "rental noti", 'a "b c', "two or three", "-draft x", "water -x", "one two three four five", "h", ""].map(unfinished);
  expect(half).toEqual(["harb or harb*", "rental noti or rental noti*", 'a "b c', "two or three", "-draft x", "water -x", "one two three four five", "h", ""]);
  expect(["harb or harb*", "rental noti or rental noti*", "harb or ship*", "or"].map(finished)).toEqual(["harb", "rental noti", "harb or ship*", "or"]);
});

it("begins near the first mark, at a word, so that a line shows it", () => {
  const cut = (snippet: string) => aroundTheMark(pieces(snippet)).map((piece) => piece.text).join("");
  expect(cut("The landlord, Margaret Holloway, lets to the tenant, Daniel <mark>Okafor</mark>, the flat")).toBe("… lets to the tenant, Daniel Okafor, the flat");
  expect([cut("Dear <mark>Okafor</mark>"), cut("a text of more than a few words without any mark at all")]).toEqual(["Dear Okafor", "a text of more than a few words without any mark at all"]);
});
