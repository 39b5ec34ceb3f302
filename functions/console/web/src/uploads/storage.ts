// Where the queue outlives its tab: IndexedDB, one record an upload.
import type { UploadRecord } from "./queue";

const STORE = "uploads";

export class QueueStorage {
  private database: Promise<IDBDatabase> | null = null;

  async all(owner: string): Promise<UploadRecord[]> {
    const records = await this.run<UploadRecord[]>("readonly", (store) => store.getAll());
    return records.filter((record) => record.owner === owner).sort((a, b) => a.addedAt - b.addedAt);
  }

  async save(record: UploadRecord): Promise<void> {
    await this.run("readwrite", (store) => store.put(record));
  }

  async forget(id: string): Promise<void> {
    await this.run("readwrite", (store) => store.delete(id));
  }

  private open(): Promise<IDBDatabase> {
    this.database ??= new Promise((resolve, reject) => {
      const request = indexedDB.open("docuvault", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no storage"));
    });
    return this.database;
  }

  private async run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<T> {
    const database = await this.open();
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result as T);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("storage failed"));
    });
  }
}
