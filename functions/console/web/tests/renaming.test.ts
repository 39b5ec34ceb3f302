import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { UnreachableError } from "@/api/problems";
import { rename } from "@/settings/renaming";
import { useToasts } from "@/stores/toasts";

const sent: unknown[] = [];
const reload = vi.fn(async () => undefined);
let refuse = false;

beforeEach(() => {
  setActivePinia(createPinia());
  sent.length = 0;
  refuse = false;
  reload.mockClear();
  vi.spyOn(api, "patch").mockImplementation((async (_path: string, options: unknown) => {
    if (refuse) throw new UnreachableError();
    sent.push(options);
  }) as never);
});

const body = (name: string) => ({ path: { connection_id: "c1" }, body: { name } });

it("gives a cloud another name, and its former one back", async () => {
  await rename({ id: "c1", name: "Attic" }, "Cellar", reload);
  expect([sent, reload.mock.calls.length]).toEqual([[body("Cellar")], 1]);
  expect(await useToasts().undoLast()).toBe(true);
  expect([sent, reload.mock.calls.length]).toEqual([[body("Cellar"), body("Attic")], 2]);
});

it("offers nothing to take back if it was refused, and says so if taking it back is", async () => {
  refuse = true;
  await expect(rename({ id: "c1", name: "Attic" }, "Cellar", reload)).rejects.toThrow();
  expect(useToasts().toasts).toEqual([]);
  refuse = false;
  await rename({ id: "c1", name: "Attic" }, "Cellar", reload);
  refuse = true;
  await useToasts().undoLast();
  expect(useToasts().toasts.map((toast) => toast.tone)).toEqual(["error"]);
});
