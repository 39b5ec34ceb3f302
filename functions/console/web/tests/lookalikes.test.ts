import { beforeEach, describe, expect, it } from "vitest";
import { keepBoth, type Pair, keptBoth, pairKey } from "@/library/lookalikes";
import { typeByName } from "@/viewer/viewable";

const pair = (...ids: string[]) => ({ documents: ids.map((id) => ({ id })), likeness: 0.9 }) as unknown as Pair;

beforeEach(() => localStorage.clear());

describe("two that look alike", () => {
  it("are one pair in either order", () => {
    expect(pairKey(pair("b", "a"))).toBe(pairKey(pair("a", "b")));
  });

  it("are kept both, for that user alone, until it is taken back", () => {
    const forget = keepBoth("ada", pair("a", "b"));
    keepBoth("ada", pair("c", "d"));
    expect([keptBoth("ada").has("a b"), keptBoth("ada").has("c d"), keptBoth("eve").size]).toEqual([true, true, 0]);
    forget();
    expect([...keptBoth("ada")]).toEqual(["c d"]);
  });

  it("are asked about again if storage holds something else", () => {
    localStorage.setItem("docuvault-kept-both-ada", "{");
    expect(keptBoth("ada").size).toBe(0);
    localStorage.setItem("docuvault-kept-both-ada", '{"a": 1}');
    expect(keptBoth("ada").size).toBe(0);
  });
});

describe("a version", () => {
  it("is shown by what its name says, if that can be shown", () => {
    expect(["a.PDF", "b.jpeg", "c.txt", "d.svg", "e.html", "f"].map(typeByName)).toEqual(["application/pdf", "image/jpeg", "text/plain", null, null, null]);
  });
});
