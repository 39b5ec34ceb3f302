// Hashes files one after the other, off the page's own thread.
import { sha256 } from "./sha256";

export type HashRequest = { id: number; file: Blob };
export type HashReply = { id: number } & ({ read: number } | { hex: string } | { failed: string });

const said = (reply: HashReply) => postMessage(reply);
let queue: Promise<void> = Promise.resolve();

addEventListener("message", (event: MessageEvent<HashRequest>) => {
  const { id, file } = event.data;
  queue = queue.then(async () => {
    try {
      said({ id, hex: await sha256(file, (read) => said({ id, read })) });
    } catch (error) {
      said({ id, failed: String(error) });
    }
  });
});
