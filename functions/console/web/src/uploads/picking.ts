// Files out of what was picked or dropped: folders are walked through, what systems leave lying about is passed over.

export interface Picked {
  file: File;
  handle: FileSystemFileHandle | null;
}

const LITTER = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\.localized|~\$.*|\._.*)$/i;

/** Must be called in the event itself: afterwards the browser forgets what was dropped. */
export async function fromDrop(transfer: DataTransfer): Promise<Picked[]> {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({
      // Chromium gives a handle, by which the file is found again after a reload.
      handle: (item as { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> }).getAsFileSystemHandle?.() ?? null,
      entry: item.webkitGetAsEntry(),
      file: item.getAsFile(),
    }));
  const picked: Picked[] = [];
  for (const { handle, entry, file } of entries) {
    const found = await handle?.catch(() => null);
    if (entry?.isDirectory) picked.push(...(await inFolder(entry as FileSystemDirectoryEntry)));
    else if (file && !LITTER.test(file.name)) picked.push({ file, handle: found?.kind === "file" ? (found as FileSystemFileHandle) : null });
  }
  return picked;
}

export function fromInput(files: FileList | null): Picked[] {
  return [...(files ?? [])].filter((file) => !LITTER.test(file.name)).map((file) => ({ file, handle: null }));
}

async function inFolder(folder: FileSystemDirectoryEntry): Promise<Picked[]> {
  const reader = folder.createReader();
  const picked: Picked[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return picked;
    for (const entry of some) {
      if (entry.isDirectory) picked.push(...(await inFolder(entry as FileSystemDirectoryEntry)));
      else if (!LITTER.test(entry.name)) {
        const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
        picked.push({ file, handle: null });
      }
    }
  }
}
