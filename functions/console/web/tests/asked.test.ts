import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, it, vi } from "vitest";
import { api } from "@/api/client";
import { useTopics } from "@/stores/topics";

const answers: ((...names: string[]) => Promise<void>)[] = [];

beforeEach(() => {
  setActivePinia(createPinia());
  answers.length = 0;
  vi.spyOn(api, "get").mockImplementation((() =>
    new Promise((resolve) =>
      answers.push(async (...names) => {
        resolve({ items: names.map((name) => ({ id: name, name })), next_cursor: null });
        await new Promise((done) => setTimeout(done, 0));
      }),
    )) as never);
});

const names = () => useTopics().topics.map((topic) => topic.name);

it("is asked for once by all who ask at the same time, and once more if somebody asks meanwhile", async () => {
  const topics = useTopics();
  const first = topics.load();
  const later = [topics.load(), topics.load()];
  expect(answers).toHaveLength(1);
  await answers[0]!("from before");
  await first;
  expect(names()).toEqual(["from before"]);
  expect(answers).toHaveLength(2);
  await answers[1]!("b", "a");
  await Promise.all(later);
  expect([names(), answers.length]).toEqual([["a", "b"], 2]);
});

it("does not lose what was made here while it was asked for", async () => {
  vi.spyOn(api, "post").mockResolvedValue({ id: "new", name: "new" } as never);
  const topics = useTopics();
  const loading = topics.load();
  await topics.create("new", "", null);
  await answers[0]!("old");
  await loading;
  expect(names()).toEqual(["new"]);
  await answers[1]!("new", "old");
  expect(names()).toEqual(["new", "old"]);
});

it("is not shown to whoever signs in next", async () => {
  const topics = useTopics();
  const theirs = expect(topics.load()).rejects.toMatchObject({ name: "AbortError" });
  topics.clear();
  const mine = topics.load();
  expect(answers).toHaveLength(2);
  await answers[0]!("theirs");
  await theirs;
  await answers[1]!("mine");
  await mine;
  expect(names()).toEqual(["mine"]);
});

it("is asked for again after it failed", async () => {
  vi.mocked(api.get).mockRejectedValueOnce(new Error("away"));
  const topics = useTopics();
  const failed = expect(topics.load()).rejects.toThrow("away");
  const next = topics.load();
  await failed;
  await new Promise((done) => setTimeout(done, 0));
  await answers[0]!("a");
  await next;
  expect(names()).toEqual(["a"]);
});
