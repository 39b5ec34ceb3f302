// What is done with all that is selected, told when it is done, and taken back by "Undo".
import type { BulkAction } from "@/api/types";
import { i18n } from "@/i18n";
import { explain, explainCode } from "@/i18n/explain";
import { number } from "@/i18n/formats";
import { type Outcome, useLibrary } from "@/stores/library";
import { useToasts } from "@/stores/toasts";
import { useTopics } from "@/stores/topics";
import { type Move, moveAll } from "./moving";

const OPPOSITE: Partial<Record<BulkAction, BulkAction>> = { trash: "restore", restore: "trash", add_topics: "remove_topics", remove_topics: "add_topics" };
const { t } = i18n.global;

/** An error is said, and not raised; until it is done, Ctrl+Z waits for it. */
export function act(action: BulkAction, topicIds?: string[]): Promise<void> {
  const [library, topics] = [useLibrary(), useTopics()];
  return useToasts().during(
    said(async () => {
      const outcome = await library.act(action, topicIds);
      const opposite = OPPOSITE[action];
      const back = async () => {
        await library.actOn(outcome.done!, opposite!, topicIds);
        if (topicIds) await topics.load();
      };
      tell(outcome, t(`bulk.done.${action}`, { n: number(outcome.count) }, outcome.count), opposite && outcome.done?.length ? back : undefined);
      library.clearSelection();
      if (topicIds) void topics.load().catch(() => undefined);
    }),
  );
}

/** The server moves one document a request: all that are chosen are asked for one by one. `to` is a connection, or null: the server itself. */
export function move(to: string | null, place: string): Promise<void> {
  const library = useLibrary();
  return useToasts().during(
    said(async () => {
      const ids = (await library.chosenIds(Infinity)) ?? [];
      const before = new Map(library.items.map((item) => [item.id, item.storage.connection_id ?? null]));
      const outcome = await ask(ids.map((id) => ({ id, to })));
      const done = outcome.done!.filter((id) => before.get(id) !== to);
      const back = async () => {
        const undone = await ask(done.map((id) => ({ id, to: before.get(id)! })));
        tell(undone, undone.count ? t("moving.undone") : "");
      };
      // Where those were that were never shown, nobody here knows.
      const known = done.length > 0 && done.every((id) => before.has(id));
      tell(outcome, t("moving.done", { n: number(outcome.count), place }, outcome.count), known ? back : undefined);
      library.clearSelection();
    }),
  );
}

async function ask(moves: readonly Move[]): Promise<Outcome> {
  const library = useLibrary();
  let cancelled = false;
  library.work = { action: "move", done: 0, total: moves.length, cancel: () => (cancelled = true) };
  try {
    return await moveAll(moves, (done) => library.work && (library.work = { ...library.work, done }), () => cancelled);
  } finally {
    library.work = null;
    library.reloadSoon();
  }
}

function tell(outcome: Outcome, done: string, back?: () => Promise<void>): void {
  const failed = outcome.failed.length;
  const text = [
    outcome.cancelled ? t("bulk.cancelled", { n: number(outcome.count) }, outcome.count) : done,
    failed ? t("bulk.failed", { n: number(failed), why: explainCode(outcome.failed[0]!.code) }, failed) : "",
  ].join(" ");
  const toasts = useToasts();
  toasts.say(text.trim(), { tone: failed ? "error" : "plain", undo: back && (() => toasts.during(said(back))) });
}

async function said(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    useToasts().say(explain(error), { tone: "error" });
  }
}
