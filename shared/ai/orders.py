"""Notices when a text speaks to a model instead of to its reader.

Nothing a document says is an instruction here: the response's form, the topics, the quotes are checked whatever it says. But a paper that
gives orders to an AI has been made to be misfiled, so what a model answers about it is at most suggested. This is a second barrier, not
the first: whoever words it cleverly enough passes it, and meets the others.
"""

import re
import unicodedata

from shared.ai.provider import DocumentText

CHARACTERS_LOOKED_AT = 60_000

_ORDERS = re.compile(
    r"""
      (?:ignor\w*|disregard|forget|override|bypass|vergiss\w*|missacht\w*|oubli\w*|olvid\w*|dimentic\w*|negeer\w*|vergeet|zignoruj\w*
        |игнорир\w*|забуд\w*) .{0,60}?
      (?:instruct\w*|prompt\w*|rules|guidelines|previous|above|anweisung\w*|instruktion\w*|vorgaben|regeln|consigne\w*|instruccion\w*
        |istruzion\w*|instructie\w*|instrukcj\w*|polece\w*|инструкц\w*|указани\w*)
    | (?:system|developer)\s*(?:prompt|message|override|instruction)
    | (?:you\s+are|act\s+as|du\s+bist|tu\s+es|eres)\s+(?:now\s+|jetzt\s+|désormais\s+|ahora\s+)?(?:an?\s+|ein\w*\s+|une?\s+|una?\s+)?
      (?:\w+\s+){0,2}(?:ai|ki|ia|llm|chatgpt|claude|gemini|language\s+model|sprachmodell|assistant|assistent|chatbot)\b
    | (?:note|message|attention|hinweis|nachricht|à\s+l'attention|instruction)\w*\s+(?:to|for|an|für|de|pour)\s+
      (?:the\s+|die\s+|das\s+|l'|all\s+)?
      (?:\w+\s+){0,2}(?:ai|ki|ia|llm|model|modell|classifier|assistant|assistent)\b
    | <\|?\s*/?(?:im_start|im_end|system|assistant|endoftext|start_of_turn|end_of_turn)\s*\|?>
    | \[/?INST\] | <<\s*/?SYS\s*>> | ^\s*(?:human|assistant|system|user)\s*: | \#{2,}\s*(?:system|instruction)
    | "topics"\s*:\s*\[ | "confidence"\s*:\s*[\d.]+ | \bt\d{1,3}\b\s*(?:with|mit|avec)\s+confidence
    | 忽略.{0,20}(?:指令|指示|说明) | (?:指示|命令).{0,10}無視 | 이전.{0,10}지시.{0,10}무시
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE | re.DOTALL,
)

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]")


def speaks_to_models(document: DocumentText) -> bool:
    """Whether its text, title or file name seems to give orders to a model; invisible characters and odd letter forms are seen through."""
    left = CHARACTERS_LOOKED_AT
    for text in (document.title, document.filename.replace("_", " ").replace("-", " "), *(page.text for page in document.pages)):
        plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text[:left]))
        if _ORDERS.search(plain):
            return True
        left = max(0, left - len(text))
    return False
