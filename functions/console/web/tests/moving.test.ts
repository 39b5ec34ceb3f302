import { expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { UnreachableError } from "@/api/problems";
import { moveAll } from "@/library/moving";

it("stops at a server that is away, and says what was asked for and what was not", async () => {
  let asked = 0;
  const post = vi.spyOn(api, "post").mockImplementation((async () => {
    if (++asked > 6) throw new UnreachableError();
  }) as never);
  const moves = Array.from({ length: 50 }, (_, number) => ({ id: String(number), to: null }));
  const outcome = await moveAll(moves, () => {}, () => false);
  expect(outcome.count).toBe(6);
  expect(outcome.failed).toHaveLength(44);
  expect(new Set(outcome.failed.map(({ code }) => code))).toEqual(new Set(["unreachable"]));
  expect(post.mock.calls.length).toBeLessThan(12);
});
