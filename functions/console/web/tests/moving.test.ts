import { expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { ProblemError, UnreachableError } from "@/api/problems";
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

it("says of the one that is refused that it stays, and moves the others", async () => {
  vi.spyOn(api, "post").mockImplementation((async (_path: string, options: { path: { document_id: string } }) => {
    if (options.path.document_id === "b") throw new ProblemError({ status: 409, code: "not_read_yet", detail: "It is not read yet." } as never);
  }) as never);
  const outcome = await moveAll(["a", "b", "c"].map((id) => ({ id, to: "attic" })), () => {}, () => false);
  expect([outcome.done!.sort(), outcome.failed]).toEqual([["a", "c"], [{ id: "b", code: "not_read_yet" }]]);
});
