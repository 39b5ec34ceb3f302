// The page of a shared link.
export const sharing = {
  en: {
    sharing: {
      heading: "A document for you",
      text: "Somebody shares this document with you. Open it to download it.",
      gone: "This link does not work any more: it has expired, was used up or taken back. Ask whoever sent it for a new one.",
      sent: "“{name}” is being downloaded.",
      passwordHint: "Whoever sent you the link knows it.",
      wrong: "This password is wrong. Ask whoever sent you the link.",
    },
  },
  de: {
    sharing: {
      heading: "Ein Dokument für Sie",
      text: "Jemand teilt dieses Dokument mit Ihnen. Öffnen Sie es, um es herunterzuladen.",
      gone: "Dieser Link gilt nicht mehr: Er ist abgelaufen, aufgebraucht oder zurückgenommen. Bitten Sie den Absender um einen neuen.",
      sent: "„{name}“ wird heruntergeladen.",
      passwordHint: "Wer Ihnen den Link geschickt hat, kennt es.",
      wrong: "Dieses Passwort ist falsch. Fragen Sie den, der Ihnen den Link geschickt hat.",
    },
  },
};
