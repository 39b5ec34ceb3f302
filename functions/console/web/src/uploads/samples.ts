// Documents that nobody has written, to try it with: those that `./scripts/demo` uses.
import invoice from "../../../../../scripts/samples/bicycle-invoice.pdf?url";
import bill from "../../../../../scripts/samples/electricity-bill-scan.pdf?url";
import booking from "../../../../../scripts/samples/hotel-booking.html?url";
import claim from "../../../../../scripts/samples/insurance-claim.eml?url";
import costs from "../../../../../scripts/samples/nebenkostenabrechnung.txt?url";
import contract from "../../../../../scripts/samples/rental-contract.pdf?url";

const SAMPLES: [name: string, url: string, type: string][] = [
  ["bicycle-invoice.pdf", invoice, "application/pdf"],
  ["rental-contract.pdf", contract, "application/pdf"],
  ["electricity-bill-scan.pdf", bill, "application/pdf"],
  ["insurance-claim.eml", claim, "message/rfc822"],
  ["hotel-booking.html", booking, "text/html"],
  ["nebenkostenabrechnung.txt", costs, "text/plain"],
];

export async function sampleFiles(): Promise<File[]> {
  return await Promise.all(
    SAMPLES.map(async ([name, url, type]) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${url}: ${response.status}`);
      return new File([await response.blob()], name, { type, lastModified: Date.now() });
    }),
  );
}
