// pdf.js, loaded when the first PDF is shown. It runs nothing of the document: no scripts, no forms, no WebAssembly.
import type { PDFDocumentLoadingTask } from "pdfjs-dist";
import PdfWorker from "pdfjs-dist/build/pdf.worker.min.mjs?worker";
import * as pdfjs from "pdfjs-dist";

let worker: InstanceType<typeof pdfjs.PDFWorker> | null = null;

export function openPdf(url: string): PDFDocumentLoadingTask {
  worker ??= new pdfjs.PDFWorker({ port: new PdfWorker() as never });
  return pdfjs.getDocument({ url, worker, enableXfa: false, useWasm: false, isOffscreenCanvasSupported: false, maxImageSize: 64e6, stopAtErrors: false });
}

export const { TextLayer } = pdfjs;
